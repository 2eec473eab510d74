"""
Searches in mails: their words, the text that they look through, and the text of a mail in HTML.

A search is words that a mail contains, all of them, anywhere and also inside other words. What it
looks for and what it looks through are folded in the same way (`fold`), so finding is comparing.
"""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime
from typing import Any

import attrs

from poweremail.errors import UsageError

_MAX_WORDS = 32
_MAX_CHARS = 1_000_000
"""Of one body: a search through longer ones would hold up whoever waits for the store."""
_SNIPPET_CHARS = 160
# A catch waits for it, so it looks at the beginning of a body; at more of it if that says little.
_SNIPPET_SOURCES = (1_500, 30_000)
_BODY = re.compile("<body", re.IGNORECASE)

# KEY:value, KEY:"a value", "a phrase" or a word; a phrase also ends at the end.
_WORD = re.compile(r'(?:([a-z]+):)?(?:"([^"]*)(?:"|\Z)|([^\s"]+))|"', re.IGNORECASE)

# Each alternative reads on to the end if its own end is missing, so no text makes them slow.
_INVISIBLE = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|title)\b.*?(?:</\1[^>]*>|\Z)", re.IGNORECASE | re.DOTALL
)
# These stand inside words, all other elements between them.
_INLINE_TAG = re.compile(
    r"</?(?:a|b|big|code|em|font|i|mark|s|small|span|strong|sub|sup|u|wbr)(?:\s[^<>]*)?>",
    re.IGNORECASE,
)
_TAG = re.compile(r"</?[a-z!?][^>]*(?:>|\Z)", re.IGNORECASE)
# Beside white space: in a word they join letters, and in an emoji its parts.
_UNSEEN_LETTER = "[\u00ad\u034f\u200b-\u200f\u2007\u2060-\u2064\ufeff]"
# Only from its first letter is a run tried: from each, it would take quadratic time.
_UNSEEN = re.compile(rf"(?<!\S){_UNSEEN_LETTER}+|(?<!{_UNSEEN_LETTER}){_UNSEEN_LETTER}++(?!\S)")


@attrs.frozen
class Search:
    """
    A search. A mail meets it if it meets all of this.

    *texts*
        Are anywhere in the mail.
    *senders*, *recipients*, *subjects*
        Are in the sender's address or name; in those of a recipient; in the subject.
    *tags*
        Are its tags.
    *attachment*
        True: it has an attachment. None sets no condition, here and below.
    *unread*
        Whether nobody has opened it on the page.
    *before*, *since*
        It was caught before, or not before, that time in milliseconds since the epoch.
    """

    texts: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    attachment: bool | None = None
    unread: bool | None = None
    before: int | None = None
    since: int | None = None


_LISTS = {"from": "senders", "to": "recipients", "subject": "subjects", "tag": "tags"}
_FLAGS = {
    ("has", "attachment"): ("attachment", True),
    ("has", "attachments"): ("attachment", True),
    ("is", "unread"): ("unread", True),
    ("is", "read"): ("unread", False),
}
_TIMES = {"before": "before", "after": "since"}


def parse_search(text: str) -> Search:
    """
    Read a search as people type it.

    Words and ``"quoted phrases"``, ``from:``, ``to:`` and ``subject:`` with a word or a phrase,
    ``tag:`` with a whole tag, ``has:attachment``, ``is:unread``, ``is:read``, ``before:`` and
    ``after:`` with a date or a time of ISO 8601, in UTC unless it says otherwise. Anything else is
    text, so a search that is half typed finds nothing rather than everything. Raises `UsageError`
    if it has more than 32 words.
    """
    words = [word for word in _WORD.finditer(text) if word[2] or word[3]]
    if len(words) > _MAX_WORDS:
        raise UsageError(
            f"has {len(words)} words; at most {_MAX_WORDS} can be searched for",
            field="search",
            mail_state=None,
        )
    found: dict[str, Any] = {}
    for word in words:
        key, value = (word[1] or "").lower(), fold(word[2] or word[3])
        if (key, value) in _FLAGS:
            name, found[name] = _FLAGS[key, value]
        elif key in _TIMES and (time := _milliseconds(value)) is not None:
            found[_TIMES[key]] = time
        elif value:
            name = _LISTS.get(key, "texts")
            text = f"{key}:{value}" if key and name == "texts" else value
            found[name] = (*found.get(name, ()), text)
    return Search(**found)


def _milliseconds(text: str) -> int | None:
    try:
        time = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


def fold(text: str) -> str:
    """Return *text* with cases and kinds of white space made one."""
    return " ".join(text.casefold().split())


def search_text(
    head: str, text: str | None, html: str | None, headers: str, names: str | None
) -> str:
    """
    Return the folded text of a mail that searches look through, a line for each part.

    *head* is folded already; *headers* is JSON; *names* are those of files, a line each. Of a body
    it is the first million characters.
    """
    parts = [text[:_MAX_CHARS] if text else "", visible_text(html[:_MAX_CHARS]) if html else ""]
    parts += [f"{name}: {value}" for name, value in json.loads(headers).items()]
    parts += (names or "").split("\n")
    return "\n".join((head, *(folded for part in parts if (folded := fold(part)))))


def snippet(text: str | None, html: str | None) -> str:
    """Return the beginning of what a mail says, on one line."""
    is_text = bool(text and text[: _SNIPPET_SOURCES[-1]].strip())
    source = (text if is_text else html) or ""
    body = None if is_text else _BODY.search(source, 0, _SNIPPET_SOURCES[-1])
    start, line = body.start() if body else 0, ""
    for chars in _SNIPPET_SOURCES:
        part = source[start : start + chars]
        line = _one_line(part if is_text else visible_text(part))
        if len(line) > _SNIPPET_CHARS or len(source) <= start + chars:
            break
    return line[:_SNIPPET_CHARS].rstrip()


def _one_line(text: str) -> str:
    # Newsletters pad their first line with characters that nobody sees.
    return " ".join((text if text.isascii() else _UNSEEN.sub(" ", text)).split())


def visible_text(source: str) -> str:
    """Return what a reader sees of the HTML *source*."""
    text = _TAG.sub(" ", _INLINE_TAG.sub("", _INVISIBLE.sub(" ", source)))
    return html.unescape(text) if "&" in text else text
