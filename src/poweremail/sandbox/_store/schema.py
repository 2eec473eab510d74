"""The tables of the sandbox's database, version by version."""

from __future__ import annotations

import atexit
import hashlib
import json
import sqlite3
import threading

from poweremail.sandbox._store.mail import tags_of
from poweremail.sandbox._store.search import fold, search_text, snippet

PARTS_OF_MAILS = ("recipients", "files", "searchable", "texts", "events", "planned_events")
"""The tables of which rows are deleted with a mail: their column ``mail`` has its number."""

TABLES = (
    "mails",
    "contents",
    *PARTS_OF_MAILS,
    *("templates", "smtp_users", "tallies", "domains", "webhooks"),
    *("deliveries", "attempts", "claims"),
)
"""All tables but that of the clock."""

# Each step makes a version from the one before; a step that was published never changes.
# Wide columns stand last: SQLite reads a row from its front, and stops at the last column it needs.
_STEPS = (
    """
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
CREATE INDEX recipients_of_mail ON recipients (mail);
CREATE INDEX recipients_of_unique_id ON recipients (unique_id, number);
CREATE TABLE files (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    mail INTEGER NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    content BLOB NOT NULL
);
CREATE INDEX files_of_mail ON files (mail);
CREATE TABLE templates (template_id TEXT PRIMARY KEY, subject TEXT, html TEXT, text TEXT);
CREATE TABLE smtp_users (name TEXT PRIMARY KEY, enabled INTEGER NOT NULL, added INTEGER NOT NULL);
CREATE INDEX smtp_users_added ON smtp_users (name) WHERE added;
""",
    # A tally counts the requests and mails of an SMTP user until then: the content of a window is
    # the difference of two.
    """
ALTER TABLE smtp_users ADD COLUMN per_minute INTEGER;
ALTER TABLE smtp_users ADD COLUMN per_hour INTEGER;
ALTER TABLE smtp_users ADD COLUMN per_day INTEGER;
ALTER TABLE smtp_users ADD COLUMN hourly_limit INTEGER;
ALTER TABLE smtp_users ADD COLUMN total_limit INTEGER;
CREATE TABLE tallies (
    smtp_user_name TEXT NOT NULL,
    at INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    mails INTEGER NOT NULL,
    PRIMARY KEY (smtp_user_name, at, requests)
) WITHOUT ROWID;
INSERT INTO tallies (smtp_user_name, at, requests, mails)
    SELECT smtp_user_name, received, row_number() OVER taken, sum(sent) OVER taken FROM (
        SELECT number, smtp_user_name, received,
            (SELECT count(*) FROM recipients WHERE mail = mails.number) AS sent
        FROM mails
    ) WINDOW taken AS (PARTITION BY smtp_user_name ORDER BY received, number);
CREATE TABLE clock (advanced INTEGER NOT NULL);
INSERT INTO clock VALUES (0);
""",
    """
CREATE TABLE domains (
    kind TEXT NOT NULL,
    domain TEXT NOT NULL,
    created INTEGER NOT NULL,
    valid INTEGER NOT NULL,
    PRIMARY KEY (kind, domain)
) WITHOUT ROWID;
CREATE TABLE webhooks (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id TEXT NOT NULL UNIQUE,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    key TEXT NOT NULL,
    store_log INTEGER NOT NULL,
    description TEXT NOT NULL,
    created INTEGER NOT NULL,
    last_success INTEGER,
    total_event INTEGER NOT NULL
);
""",
    # The words for a search stand in a narrow table of their own: a scan of it costs a fraction of
    # a scan of the mails.
    """
ALTER TABLE recipients ADD COLUMN status TEXT NOT NULL DEFAULT 'delivered';
CREATE INDEX recipients_of_status ON recipients (status, mail);
CREATE TABLE searchable (mail INTEGER PRIMARY KEY, words TEXT NOT NULL);
INSERT INTO searchable (mail, words)
    SELECT number, casefold(concat_lines(subject, from_email, from_name, unique_id, template_id, (
        SELECT group_concat(concat_lines(email, name), char(10))
        FROM recipients WHERE mail = mails.number
    ))) FROM mails;
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    mail INTEGER NOT NULL,
    recipient INTEGER NOT NULL,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    ip TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    url TEXT
);
CREATE INDEX events_of_mail ON events (mail);
CREATE INDEX events_of_recipient ON events (recipient);
""",
    """
CREATE TABLE planned_events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    mail INTEGER NOT NULL,
    recipient INTEGER NOT NULL,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL
);
CREATE INDEX planned_events_due ON planned_events (at, number);
CREATE INDEX planned_events_of_mail ON planned_events (mail);
CREATE TABLE deliveries (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id TEXT NOT NULL,
    mail INTEGER NOT NULL,
    events TEXT NOT NULL,
    created INTEGER NOT NULL,
    state TEXT NOT NULL,
    next_attempt INTEGER,
    tried INTEGER NOT NULL,
    url TEXT NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX deliveries_due ON deliveries (number) WHERE next_attempt IS NOT NULL;
CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, number);
CREATE TABLE attempts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery INTEGER NOT NULL,
    at INTEGER NOT NULL,
    status INTEGER,
    answer TEXT NOT NULL
);
CREATE INDEX attempts_of_delivery ON attempts (delivery);
""",
    # A delivery is claimed before it is posted: another process may have the same file open.
    """
CREATE TABLE claims (delivery INTEGER PRIMARY KEY, until INTEGER NOT NULL);
""",
    # The whole text of a mail stands apart from the narrow table, once it is indexed: see
    # `SearchIndex`.
    """
ALTER TABLE searchable ADD COLUMN received INTEGER NOT NULL DEFAULT 0;
ALTER TABLE searchable ADD COLUMN unread INTEGER NOT NULL DEFAULT 0;
ALTER TABLE searchable ADD COLUMN attachments INTEGER NOT NULL DEFAULT 0;
UPDATE searchable SET
    received = (SELECT received FROM mails WHERE number = searchable.mail),
    attachments = (
        SELECT count(*) FROM files WHERE mail = searchable.mail AND kind = 'attachment'
    );
CREATE INDEX searchable_received ON searchable (received, mail);
CREATE INDEX searchable_unread ON searchable (mail) WHERE unread;
CREATE INDEX searchable_attachments ON searchable (mail) WHERE attachments;
CREATE TABLE texts (mail INTEGER PRIMARY KEY, words TEXT NOT NULL);
CREATE TABLE indexed (last_mail INTEGER PRIMARY KEY, mails INTEGER NOT NULL, terms TEXT NOT NULL);
""",
    # The column ``content`` of a file has the number of its content.
    """
CREATE TABLE contents (
    number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, content BLOB NOT NULL
);
INSERT OR IGNORE INTO contents (digest, content)
    SELECT sha256(content), content FROM files ORDER BY number;
CREATE TABLE new_files (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    mail INTEGER NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    content INTEGER NOT NULL
);
INSERT INTO new_files SELECT number, mail, kind, name, type,
    (SELECT number FROM contents WHERE digest = sha256(files.content)) FROM files;
DROP TABLE files;
ALTER TABLE new_files RENAME TO files;
CREATE INDEX files_of_mail ON files (mail);
CREATE INDEX files_of_content ON files (content);
""",
    # For the list of mails, which shall not read their bodies.
    """
ALTER TABLE searchable ADD COLUMN snippet TEXT NOT NULL DEFAULT '';
ALTER TABLE searchable ADD COLUMN tags TEXT NOT NULL DEFAULT '';
UPDATE searchable SET (snippet, tags) = (
    SELECT snippet(text, html), tags(headers) FROM mails WHERE number = searchable.mail
);
CREATE INDEX searchable_tags ON searchable (mail) WHERE tags != '';
""",
)
_VERSION = len(_STEPS)


def _sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _tags(headers: str) -> str:
    return "\n".join(tags_of(json.loads(headers)))


def _concat_lines(*parts: str | None) -> str:
    return "\n".join(part for part in parts if part)


def prepare(connection: sqlite3.Connection) -> None:
    """
    Create the tables, or bring those of an older version up to date. Raises `sqlite3.Error`.

    Queries of *connection* may then use ``casefold``, which knows all letters (SQLite's own
    ``lower`` knows those of ASCII), ``fold`` and ``concat_lines``.
    """
    _add_functions(connection)
    # It is a property of an empty file, and of no transaction: see `Store.shrink`.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    with connection:
        # Of two processes that open a file at the same time, the second finds it done.
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version > _VERSION:
            raise sqlite3.DatabaseError("a newer version of the sandbox has written it")
        if (version == 0) != (tables == 0):
            raise sqlite3.DatabaseError("it is not a file of the sandbox")
        for step in _STEPS[version:]:
            for statement in step.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_VERSION}")


def prepare_in_memory(connection: sqlite3.Connection) -> None:
    """Do as `prepare` for an empty database in memory, in a tenth of the time: a test has one."""
    with _lock:
        if not _models:
            model = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            atexit.register(model.close)
            prepare(model)
            _models.append(model)
        _models[0].backup(connection)
    _add_functions(connection)


_lock = threading.Lock()
_models: list[sqlite3.Connection] = []  # an empty database, once one was needed


def _add_functions(connection: sqlite3.Connection) -> None:
    for name, arguments, function in (
        ("casefold", 1, str.casefold),
        ("fold", 1, fold),
        ("search_text", 5, search_text),
        ("snippet", 2, snippet),
        ("tags", 1, _tags),
        ("sha256", 1, _sha256),
        ("concat_lines", -1, _concat_lines),
    ):
        connection.create_function(name, arguments, function, deterministic=True)
