"""
The index of the words in mails.

The problem: a search shall find parts of words and whole phrases in 100,000 mails of 5 KB at once;
reading all of them takes a second. And a mail shall be caught as fast as without an index.

How it works. A full-text index (FTS5) knows in which mails the terms stand, and where. A thread
indexes mails in groups after they were caught: one at a time would cost more than the rest of the
catch. It also keeps their folded texts, in ``texts``. While mails keep coming, it uses a
twelfth of the time. Mails that are not indexed yet are scanned, and their texts are made for it.

A term is a run of ASCII letters, digits and all other characters beyond ASCII, exactly as FTS5's
tokenizer ``ascii`` and `_TERM` see it. The table ``indexed`` has a row for each group, with the
terms that it brought; they are few, so a scan of them finds those that contain a part of a word. A
text becomes a query of the index that finds at least all mails with it. Whoever searches compares
the text itself, so what the index finds too much does no harm, and neither do mails that were
deleted meanwhile: their numbers are never given again. When most of the indexed mails are gone, the
index begins anew.

Where SQLite has no FTS5, all mails are scanned.

Why no index of trigrams, with which FTS5 itself finds parts of words: it takes ten times as long to
make. tests/sandbox/test_search.py compares searches with plain comparisons.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable

from poweremail.sandbox._store.database import Store

TEXT_OF_MAIL = """
    search_text(s.words, m.text, m.html, m.headers, (
        SELECT group_concat(name, char(10)) FROM files WHERE mail = m.number
    ))
"""
"""The text of a mail ``m`` with its row ``s`` of ``searchable``."""

_TERM = re.compile("[0-9a-z\x80-\U0010ffff]+")

_MIN_WAITING = 500
_MIN_WAITING_CHARS = 5_000_000
"""So many mails, or characters, are scanned in a few milliseconds: fewer need no index."""

_GROUP_MAILS = 50
_GROUP_CHARS = 500_000
"""The store is locked while a group is indexed: some 10 milliseconds."""

_MAX_TERMS = 1_000
"""
If more terms contain a part of a word, mails with it are so many that a scan soon finds a page.
"""
_MAX_KNOWN_WORDS, _MAX_KNOWN_WORD_CHARS = 100_000, 64
_REST = 11
"""For how long the thread rests after a group while mails are caught, in times of the group."""
_IDLE_SECONDS = 0.5
"""If no mail was caught for so long, the thread does not rest."""


class SearchIndex:
    """The index of the mails in *store*. Safe to use from several threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._available: bool | None = None  # None: not known yet
        self._waiting = self._waiting_chars = 0
        self._last_caught = 0.0
        # Words whose terms are in ``indexed``, if this process has written its last row.
        self._known_words: set[str] = set()
        self._last_written = -1
        self._terms, self._terms_to = "", 0

    def caught(self, chars: int) -> None:
        """Note that a mail was caught, whose text has so many *chars*."""
        self._waiting += 1
        self._waiting_chars += chars
        self._last_caught = time.perf_counter()
        if self._waiting >= _MIN_WAITING or self._waiting_chars >= _MIN_WAITING_CHARS:
            self._start()

    def query(self, texts: Iterable[str]) -> tuple[int, str | None]:
        """
        Return the number of the last indexed mail, and a query of ``mail_index`` that finds all
        mails up to this one that contain the folded *texts*. None: ``texts`` is to be scanned.
        """
        indexed_to = self._indexed_to()
        waiting = self._store.row(
            "SELECT count(*) AS count FROM (SELECT 1 FROM searchable WHERE mail > ? LIMIT ?)",
            *(indexed_to, _MIN_WAITING),
        )
        if waiting and waiting["count"] >= _MIN_WAITING:
            self._start()
        if not indexed_to or not self._works():
            return indexed_to, None
        parts = [part for text in texts if (part := self._part(text))]
        return indexed_to, " AND ".join(f"({part})" for part in parts) or None

    def clear(self) -> None:
        """Forget all mails."""
        if self._indexed_to() and self._works():
            self._store.change("INSERT INTO mail_index (mail_index) VALUES ('delete-all')")
        for table in ("indexed", "texts"):
            self._store.change(f"DELETE FROM {table}")  # noqa: S608  a constant
        self._last_written = -1
        self._terms, self._terms_to = "", 0

    def _indexed_to(self) -> int:
        [row] = self._store.rows("SELECT coalesce(max(last_mail), 0) AS last FROM indexed")
        return int(row["last"])

    def _works(self) -> bool:
        """Return whether this SQLite can use the index; make it if it does not exist."""
        if self._available is None:
            module = self._store.row("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'")
            if module:
                self._store.change(
                    "CREATE VIRTUAL TABLE IF NOT EXISTS mail_index"
                    " USING fts5(words, content='', columnsize=0, tokenize='ascii')"
                )
            self._available = module is not None
        return self._available

    def _part(self, text: str) -> str | None:
        """Return the query that finds all mails with *text*, or None if a scan is better."""
        terms = _TERM.findall(text)
        if not terms:
            return None
        # At its ends the text may stand inside a word, unless it has a character between words.
        open_left, open_right = bool(_TERM.match(text)), bool(_TERM.match(text[-1]))
        if len(terms) == 1:
            found = self._containing(terms[0], open_left=open_left, open_right=open_right)
            return None if found is None else " OR ".join(map(_phrase, found)) or _NOTHING
        firsts: list[str] | None = terms[:1]
        if open_left:
            firsts = self._containing(terms[0], open_left=True, open_right=False)
        is_prefix = open_right
        rest = terms[1:]
        if open_right and self._containing(rest[-1], open_left=False, open_right=True) is None:
            is_prefix, rest = False, rest[:-1]
        phrases = [[each, *rest] for each in firsts] if firsts is not None else [rest]
        star = "*" if is_prefix else ""
        if firsts == []:
            return _NOTHING
        return " OR ".join(_phrase(*phrase) + star for phrase in phrases if phrase) or None

    def _containing(self, term: str, *, open_left: bool, open_right: bool) -> list[str] | None:
        """Return the indexed terms that contain *term*, or None if they are too many."""
        if not open_left and not open_right:
            return [term]
        part = f"{'' if open_left else chr(10)}{term}{'' if open_right else chr(10)}"
        found: dict[str, None] = {}
        terms, start = self._all_terms(), 0
        while (at := terms.find(part, start)) >= 0:
            first = terms.rfind("\n", 0, at + 1) + 1
            start = terms.find("\n", first)
            found[terms[first:start]] = None
            if len(found) > _MAX_TERMS:
                return None
        return list(found)

    def _all_terms(self) -> str:
        """
        Return the lines of all indexed terms: some 10 MB for 100,000 mails.

        They stay in memory; those of an index that was forgotten meanwhile do no harm.
        """
        with self._store.reading():
            rows = self._store.rows(
                "SELECT last_mail, terms FROM indexed WHERE last_mail > ? ORDER BY last_mail",
                self._terms_to,
            )
            if rows:
                self._terms = "".join((self._terms, *(row["terms"] for row in rows)))
                self._terms_to = rows[-1]["last_mail"]
            return self._terms

    def _start(self) -> None:
        with self._lock:
            if self._available is not False and self._thread is None:
                self._thread = threading.Thread(
                    target=_run,
                    args=(weakref.ref(self),),
                    name="poweremail-sandbox-index",
                    daemon=True,
                )
                self._thread.start()

    def index_group(self) -> float | None:
        """
        Index some mails that wait, and return for how many seconds to rest; None if none waits.
        """
        store, began = self._store, time.perf_counter()
        busy = began - self._last_caught < _IDLE_SECONDS
        with store.transaction():
            rows, chars, last = [], 0, self._indexed_to()
            if self._works():
                for row in store.rows(
                    f"SELECT s.mail, {TEXT_OF_MAIL} AS words"  # noqa: S608  a constant
                    " FROM searchable s JOIN mails m ON m.number = s.mail"
                    " WHERE s.mail > ? ORDER BY s.mail LIMIT ?",
                    *(last, _GROUP_MAILS),
                ):
                    rows.append(row)
                    chars += len(row["words"])
                    if chars > _GROUP_CHARS:
                        break
            if not rows:
                if self._is_stale():
                    self.clear()
                    return 0
                self.ended()
                return None
            if self._last_written != last:
                self._known_words.clear()
            for table in ("texts (mail, words)", "mail_index (rowid, words)"):
                store.change_each(
                    f"INSERT INTO {table} VALUES (?, ?)",  # noqa: S608  a constant
                    ((row["mail"], row["words"]) for row in rows),
                )
            terms = self._new_terms(row["words"] for row in rows)
            store.change(
                "INSERT INTO indexed VALUES (?, ?, ?)", *(rows[-1]["mail"], len(rows), terms)
            )
        self._last_written = rows[-1]["mail"]
        self._waiting = max(0, self._waiting - len(rows))
        self._waiting_chars = max(0, self._waiting_chars - chars)
        return _REST * (time.perf_counter() - began) if busy else 0

    def ended(self) -> None:
        """Note that the thread has ended: nothing waits, or the database cannot be used now."""
        with self._lock:
            self._waiting = self._waiting_chars = 0
            self._last_written = -1
            self._thread = None

    def _new_terms(self, texts: Iterable[str]) -> str:
        """Return lines of all terms in *texts* but those of words that came lately."""
        words = set[str]().union(*(text.split() for text in texts)) - self._known_words
        if len(self._known_words) > _MAX_KNOWN_WORDS:
            self._known_words.clear()
        self._known_words.update(word for word in words if len(word) <= _MAX_KNOWN_WORD_CHARS)
        return "\n".join(("", *set(_TERM.findall(" ".join(words))), ""))

    def _is_stale(self) -> bool:
        """Return whether most of the indexed mails are gone."""
        row = self._store.row(
            "SELECT coalesce(sum(mails), 0) AS indexed,"
            " (SELECT count(*) FROM searchable) AS kept FROM indexed"
        )
        return bool(row and row["indexed"] > 2 * row["kept"] + _MIN_WAITING)


_NOTHING = '"\U0010ffff"'
"""A query for what is no character, so that no mail has it."""


def _phrase(*terms: str) -> str:
    return f'"{" ".join(terms)}"'


def _run(reference: weakref.ref[SearchIndex]) -> None:
    """Index what waits. Between groups, the store may become garbage, or be closed."""
    while (index := reference()) is not None:
        try:
            rest = index.index_group()
        except sqlite3.Error:
            # It was closed, or another process holds the file: the next search tries it again, and
            # meanwhile these mails are scanned.
            index.ended()
            return
        if rest is None:
            return
        del index
        time.sleep(rest)
