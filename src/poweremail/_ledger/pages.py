"""The messages of a batch, read in pages, so that a million of them need no memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import attrs
from sqlalchemy import Row, select

from poweremail._ledger import State
from poweremail._ledger.database import Database
from poweremail._ledger.payload import recipients
from poweremail._ledger.schema import contents, messages, payloads
from poweremail._ledger.values import Planned, Record

_PAGE_SIZE = 500

_MAX_PAGE_FILE_BYTES = 16 * 1024 * 1024

T = TypeVar("T")

_row = messages.c


def _page(members: type[Any], *columns: Any) -> Any:
    """Reads id, the named *members* that are columns, and *columns*."""
    names = [field.name for field in attrs.fields(members) if field.name in _row]
    found: Any = select(_row.id, *(_row[name] for name in names), *columns)
    return found.join_from(messages, payloads).order_by(_row.id).limit(_PAGE_SIZE)


_RECORDS = _page(Record, payloads.c.payload.label("recipients"))

_PLANNED = _page(Planned, payloads.c.payload, payloads.c.files.label("contents")).where(
    _row.state == State.PLANNED
)


def _numbered(kind: Callable[..., T], row: Row[Any], **members: Any) -> tuple[int, T]:
    columns = row._asdict() | members
    return columns.pop("id"), kind(**columns)


def read_records(
    database: Database, batch: int, after: int, states: frozenset[State] | None = None
) -> list[tuple[int, Record]]:
    """
    The next messages of *batch*, with their numbers, after the one with number *after*; only those
    in *states*, if given.
    """
    wanted = _RECORDS.where(_row.batch == batch, _row.id > after)
    if states is not None:
        wanted = wanted.where(_row.state.in_(sorted(states)))
    with database.reading() as connection:
        rows = connection.execute(wanted).all()
    return [_numbered(Record, row, recipients=recipients(row.recipients)) for row in rows]


def read_planned(database: Database, batch: int, after: int) -> list[tuple[int, Planned]]:
    """As `read_records`, for planned messages, with all that is needed to send them."""
    wanted = _PLANNED.where(_row.batch == batch, _row.id > after)
    read: dict[str, bytes] = {}
    page: list[tuple[int, Planned]] = []
    with database.reading() as connection:
        for row in connection.execute(wanted).all():
            if missing := set(json.loads(row.contents or "[]")) - read.keys():
                if sum(map(len, read.values())) > _MAX_PAGE_FILE_BYTES:
                    break
                found = select(contents).where(contents.c.digest.in_(missing))
                read |= {each.digest: each.content for each in connection.execute(found)}
            page.append(_numbered(Planned, row, contents=read))
    return page
