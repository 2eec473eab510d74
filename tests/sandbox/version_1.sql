BEGIN TRANSACTION;
CREATE TABLE files (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    mail INTEGER NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    content BLOB NOT NULL
);
CREATE TABLE mails (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    received INTEGER NOT NULL,
    operation TEXT NOT NULL,
    smtp_user_name TEXT NOT NULL,
    unique_id TEXT,
    subject TEXT NOT NULL,
    from_email TEXT NOT NULL,
    from_name TEXT,
    template_id TEXT,
    mail_size INTEGER NOT NULL,
    attachment_size INTEGER NOT NULL,
    headers TEXT NOT NULL,
    dynamic_value TEXT NOT NULL,
    html TEXT,
    text TEXT,
    raw TEXT NOT NULL
);
INSERT INTO "mails" VALUES(1,1458034022000,'sendMail','a','u1','mail 1','me@example.com',NULL,NULL,5,0,'{"X-Unique-Id": "u1"}','{}',NULL,'Hello','{"smtp_user_name": "a", "message": {"subject": "mail 1", "text": "Hello", "from_email": "me@example.com", "to": [{"email": "ada@example.com"}], "headers": {"X-Unique-Id": "u1"}}}');
INSERT INTO "mails" VALUES(2,1458034052000,'sendMail','a','u1','mail 2','me@example.com',NULL,NULL,5,0,'{"X-Unique-Id": "u1"}','{}',NULL,'Hello','{"smtp_user_name": "a", "message": {"subject": "mail 2", "text": "Hello", "from_email": "me@example.com", "to": [{"email": "ada@example.com"}, {"email": "bob@example.com"}], "headers": {"X-Unique-Id": "u1"}}}');
CREATE TABLE recipients (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    mail INTEGER NOT NULL,
    unique_id TEXT,
    visible_from INTEGER NOT NULL,
    type TEXT NOT NULL,
    email TEXT NOT NULL,
    name TEXT
);
INSERT INTO "recipients" VALUES(1,1,'u1',1458034022000,'to','ada@example.com',NULL);
INSERT INTO "recipients" VALUES(2,2,'u1',1458034052000,'to','ada@example.com',NULL);
INSERT INTO "recipients" VALUES(3,2,'u1',1458034052000,'to','bob@example.com',NULL);
CREATE TABLE smtp_users (name TEXT PRIMARY KEY, enabled INTEGER NOT NULL, added INTEGER NOT NULL);
INSERT INTO "smtp_users" VALUES('b',0,1);
INSERT INTO "smtp_users" VALUES('a',1,1);
CREATE TABLE templates (template_id TEXT PRIMARY KEY, subject TEXT, html TEXT, text TEXT);
INSERT INTO "templates" VALUES('t1',NULL,NULL,'x');
CREATE INDEX recipients_of_mail ON recipients (mail);
CREATE INDEX recipients_of_unique_id ON recipients (unique_id, number);
CREATE INDEX files_of_mail ON files (mail);
CREATE INDEX smtp_users_added ON smtp_users (name) WHERE added;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('mails',2);
INSERT INTO "sqlite_sequence" VALUES('recipients',3);
COMMIT;
