"""The calls about caught mails."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from starlette.responses import Response

from poweremail._types.number import is_number, is_whole
from poweremail.errors import UsageError
from poweremail.sandbox._release.source import source
from poweremail.sandbox._server.control.headers import (
    DATA_HEADERS,
    attachment,
    inline_image_headers,
    preview_headers,
)
from poweremail.sandbox._server.control.operations import Asked, error
from poweremail.sandbox._server.guard import host_of
from poweremail.sandbox._server.preview import preview
from poweremail.sandbox._service import Service
from poweremail.sandbox._store.mail import find_links
from poweremail.sandbox._store.mails import MailFilter

__all__ = ["FILTERS", "MAILS_A_PAGE", "Mails"]

MAILS_A_PAGE = 100
FILTERS = ("search", "to", "from_email", "subject", "unique_id", "status")

_MOST_MAILS_A_PAGE = 1_000
_MOST_WAITING = 64
_LONGEST_WAIT = 300.0
_LOOK_EVERY = 0.05
"""
Seconds between two looks at whether anything changed, which costs next to nothing. Mails come from
other threads, too.
"""

# Of these, and of no others, a browser makes an image; as an image, SVG runs no script and loads
# nothing.
_IMAGES = {
    f"image/{kind}"
    for kind in ("png", "jpeg", "jpg", "gif", "webp", "avif", "bmp", "x-icon", "svg+xml")
}
_TEXT = "text/plain; charset=utf-8"


class Mails:
    """
    Each method answers one operation: see `poweremail.sandbox._server.control`. *clock* says how
    long one has waited.
    """

    def __init__(self, service: Service, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._mailbox = service.mails
        self._clock = clock
        self._waiting = 0
        # Whoever knows it was shown a mail by this server.
        self._image_key = secrets.token_urlsafe(16)

    async def page(self, asked: Asked) -> dict[str, Any]:
        """Return a page of mails."""
        self._service.recorder.record_due()
        limit = asked.number("limit", MAILS_A_PAGE, most=_MOST_MAILS_A_PAGE)
        after, before = asked.text("after"), asked.text("before")
        wanted = MailFilter(
            search=asked.text("search") or "",
            **{name: asked.text(name) for name in FILTERS[1:]},
            after=asked.number("after", 0),
            before=None if before is None else asked.number("before", 0),
        )
        found = self._mailbox.page(wanted, limit + 1, oldest_first=after is not None)
        return {
            "messages": found[:limit],
            "more": len(found) > limit,
            "total": self._service.mails.count(),
        }

    async def find(self, asked: Asked) -> dict[str, Any]:
        """Return one mail."""
        return self._find(asked.number("number", 0))

    def _find(self, number: int) -> dict[str, Any]:
        self._service.recorder.record_due()
        mail = self._mailbox.find(number)
        return {**mail, "links": find_links(mail["html"])}

    async def raw(self, asked: Asked) -> Response:
        """Return the request's JSON."""
        return _plain(self._mailbox.raw(asked.number("number", 0)), "application/json")

    async def source(self, asked: Asked) -> Response:
        """Return the mail as it would be sent."""
        number = asked.number("number", 0)
        body = source(self._service.mails.mail(number))
        if asked.flag("download"):
            return Response(
                body,
                headers={
                    **attachment(f"message-{number}.eml"),
                    "Content-Type": "application/octet-stream",
                },
            )
        return _plain(body, _TEXT)

    async def text(self, asked: Asked) -> Response:
        """Return the text part."""
        return _plain(self._part(asked, "text"), _TEXT)

    async def html(self, asked: Asked) -> Response:
        """Return the HTML part for a frame."""
        remote = asked.flag("remote")
        text = self._part(asked, "html")
        number = asked.number("number", 0)
        cids = [image["name"] for image in self._mailbox.find(number)["images"]]
        # The guard has let the Host through, so it may stand in a header.
        host = asked.request.headers["host"].lower()
        base = (
            f"{asked.request.url.scheme}://{host}/_sandbox/images/{self._image_key}/{number}/"
            if host_of(host)
            else ""
        )
        body = preview(text, cids, image_base=base, remote=remote)
        return Response(
            body.encode(), headers=preview_headers(base, remote=remote), media_type="text/html"
        )

    def _part(self, asked: Asked, name: str) -> str:
        number = asked.number("number", 0)
        part = self._mailbox.find(number)[name]
        if part is None:
            raise LookupError(f"mail number {number} has no {name} part")
        return str(part)

    async def attachment(self, asked: Asked) -> Response:
        """Return an attachment, to be saved."""
        return self._saved(asked, "attachment")

    async def image(self, asked: Asked) -> Response:
        """Return an image, to be saved."""
        return self._saved(asked, "image")

    def _saved(self, asked: Asked, kind: str) -> Response:
        file = self._mailbox.file(asked.number("number", 0), kind, asked.number("index", 0))
        return Response(
            file.content,
            headers={**attachment(file.name), "Content-Type": "application/octet-stream"},
        )

    async def inline_image(self, asked: Asked) -> Response:
        """
        Return an image, to be shown in its mail; only who has the key that stands in the mail can
        ask.
        """
        if not secrets.compare_digest(
            str(asked.request.path_params["key"]).encode(), self._image_key.encode()
        ):
            raise LookupError("there is no such image")
        file = self._mailbox.file(asked.number("number", 0), "image", asked.number("index", 0))
        type = file.type.lower().partition(";")[0].strip()
        if type not in _IMAGES:
            raise LookupError("it is not an image that is shown")
        return Response(file.content, headers={**inline_image_headers(), "Content-Type": type})

    async def wait(self, asked: Asked) -> Any:
        """Return the newest mail that matches, at once or as soon as there is one."""
        members = asked.members(*FILTERS, "after", "timeout")
        given: dict[str, Any] = {name: text for name in FILTERS if (text := _text(members, name))}
        wanted = MailFilter(**given, after=_after(members))
        if self._waiting >= _MOST_WAITING:
            return error(503, f"{_MOST_WAITING} requests wait already")
        until = self._clock() + _timeout(members)
        with self._one_more_waiting():
            seen = -1
            while True:
                self._service.recorder.record_due()
                last = self._service.store.changes.last
                if last != seen:
                    seen = last
                    number = self._mailbox.first(wanted)
                    if number is not None:
                        return self._find(number)
                left = until - self._clock()
                if left <= 0:
                    raise LookupError("no such mail came in time")
                if await asked.client_gone(min(_LOOK_EVERY, left)):
                    raise LookupError("nobody waits any more")

    @contextmanager
    def _one_more_waiting(self) -> Iterator[None]:
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def delete(self, asked: Asked) -> dict[str, Any]:
        """Forget one mail."""
        self._service.mails.delete(asked.number("number", 0))
        return {}

    async def delete_all(self, _: Asked) -> dict[str, Any]:
        """Forget the mails."""
        return {"forgotten": self._service.mails.clear()}

    async def record_event(self, asked: Asked) -> dict[str, Any]:
        """Let something happen to a mail."""
        members = asked.members("kind", "recipient", "ip", "user_agent", "url")
        given = {name: _text(members, name) for name in ("recipient", "ip", "user_agent", "url")}
        kept = self._service.record_event(
            asked.number("number", 0),
            members.get("kind", ""),
            **{name: value for name, value in given.items() if value is not None},
        )
        return {"events": [event.to_dict() for event in kept]}


def _plain(body: str | bytes, type: str) -> Response:
    content = body.encode() if isinstance(body, str) else body
    return Response(content, headers={**DATA_HEADERS, "Content-Type": type})


def _text(members: dict[str, Any], field: str) -> str | None:
    value = members.get(field)
    if value is not None and not isinstance(value, str):
        raise UsageError("must be a string", field=field, mail_state=None)
    return value


def _after(members: dict[str, Any]) -> int:
    after = members.get("after", 0)
    if not (is_whole(after) and after <= 10**15):
        raise UsageError("must be a number from 0 on", field="after", mail_state=None)
    return after


def _timeout(members: dict[str, Any]) -> float:
    timeout = members.get("timeout", 30)
    if not is_number(timeout, 0, _LONGEST_WAIT):
        raise UsageError(
            f"must be a number of seconds from 0 to {_LONGEST_WAIT:.0f}",
            field="timeout",
            mail_state=None,
        )
    return timeout
