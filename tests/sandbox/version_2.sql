BEGIN TRANSACTION;
CREATE TABLE clock (advanced INTEGER NOT NULL);
INSERT INTO "clock" VALUES(61000);
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
CREATE TABLE recipients (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    mail INTEGER NOT NULL,
    unique_id TEXT,
    visible_from INTEGER NOT NULL,
    type TEXT NOT NULL,
    email TEXT NOT NULL,
    name TEXT
);
CREATE TABLE smtp_users (name TEXT PRIMARY KEY, enabled INTEGER NOT NULL, added INTEGER NOT NULL, per_minute INTEGER, per_hour INTEGER, per_day INTEGER, hourly_limit INTEGER, total_limit INTEGER);
INSERT INTO "smtp_users" VALUES('a',1,1,NULL,NULL,NULL,5,NULL);
INSERT INTO "smtp_users" VALUES('b',0,1,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE tallies (
    smtp_user_name TEXT NOT NULL,
    at INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    mails INTEGER NOT NULL,
    PRIMARY KEY (smtp_user_name, at, requests)
) WITHOUT ROWID;
INSERT INTO "tallies" VALUES('a',1458034022000,1,2);
CREATE TABLE templates (template_id TEXT PRIMARY KEY, subject TEXT, html TEXT, text TEXT);
INSERT INTO "templates" VALUES('t1','Hi',NULL,'Dear {{NAME}}');
CREATE INDEX recipients_of_mail ON recipients (mail);
CREATE INDEX recipients_of_unique_id ON recipients (unique_id, number);
CREATE INDEX files_of_mail ON files (mail);
CREATE INDEX smtp_users_added ON smtp_users (name) WHERE added;
DELETE FROM "sqlite_sequence";
COMMIT;
