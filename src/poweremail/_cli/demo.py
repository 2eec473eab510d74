"""
``poweremail demo``: the main job in one command.

A sandbox on a free loopback port, a client over real HTTP, and a check of each claim against what
the sandbox has caught.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Awaitable, Callable

import anyio
import attrs
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from poweremail import (
    ApiError,
    AsyncPowerEmail,
    Attachment,
    DeliveryUnknownError,
    Image,
    Message,
    MessageInfo,
    TemplateMessage,
    Timeouts,
)
from poweremail.sandbox import CaughtMail, Fault, Sandbox

__all__ = ["run"]

_BATCH = 250
_SENDER = "Demo <demo@example.com>"
_DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@attrs.frozen
class _Step:
    """
    One step of the demo.

    - *title*: what was done.
    - *detail*: what happened.
    - *ok*: whether that is right.
    """

    title: str
    detail: str
    ok: bool


@attrs.frozen
class _Stage:
    """The sandbox, the client and the console that the steps use."""

    sandbox: Sandbox
    client: AsyncPowerEmail
    console: Console

    def last_caught(self) -> CaughtMail:
        return self.sandbox.outbox[-1]


def run(console: Console | None = None) -> bool:
    """Run every step, print what happened, and return whether all of it is right."""
    return anyio.run(_run, console or Console(highlight=False))


async def _run(console: Console) -> bool:
    began = time.perf_counter()
    with Sandbox() as sandbox, sandbox.server() as server:
        console.print(
            f"A sandbox of PowerEmail answers at [bold]{server.url}[/]. Everything below goes "
            "there over HTTP.\n"
        )
        sandbox.add_template(
            "welcome", html="<h1>Welcome, {{NAME}}!</h1>", text="Welcome, {{NAME}}!"
        )
        async with AsyncPowerEmail(
            "owner_id",
            "token",
            base_url=server.url,
            smtp_user_name="smtp12345",
            timeouts=Timeouts(read=5),
        ) as client:
            stage = _Stage(sandbox, client, console)
            steps = [step for play in _PLAYS for step in await play(stage)]
    for step in steps:
        console.print(f"{'[green]ok[/]    ' if step.ok else '[red]FAILED[/]'}  {step.title}")
        console.print(f"        [dim]{escape(step.detail)}[/]", soft_wrap=True)
    failed = sum(not step.ok for step in steps)
    verdict = (
        "[bold green]All of it is true.[/]"
        if not failed
        else f"[bold red]{failed} of it went wrong.[/]"
    )
    console.print(f"\n{verdict} {len(steps)} steps in {time.perf_counter() - began:.1f} s.")
    return not failed


async def _mail(stage: _Stage) -> list[_Step]:
    result = await stage.client.messages.send_mail(
        Message(
            subject="Invoice 42",
            from_email=_SENDER,
            to="Ada Lovelace <ada@example.com>",
            html='<p>Thank you! <img src="cid:logo"></p>',
            text="Thank you!",
            attachments=[Attachment.from_bytes(b"42.00 EUR\n", "invoice.txt")],
            images=[Image.from_bytes(_DOT, "logo")],
        )
    )
    mail = stage.last_caught()
    arrived = [file.content for file in (*mail.attachments, *mail.images)] == [b"42.00 EUR\n", _DOT]
    return [
        _Step(
            "A mail with an attachment and an inline image",
            f"{result.status}, found again as {result.unique_id}",
            mail.unique_id == result.unique_id and arrived,
        )
    ]


async def _templates(stage: _Stage) -> list[_Step]:
    message = TemplateMessage(
        template_id="welcome",
        subject="Welcome",
        from_email="demo@example.com",
        to="grace@example.com",
        dynamic_value={"NAME": "Grace"},
    )
    steps: list[_Step] = []
    for title, send in (
        ("A template mail by POST", stage.client.messages.send_template),
        ("The same by GET", stage.client.messages.send_template_http_get),
    ):
        result = await send(message)
        mail = stage.last_caught()
        steps.append(
            _Step(title, f"{result.status}, reads: {mail.text}", mail.text == "Welcome, Grace!")
        )
    return steps


async def _batch(stage: _Stage) -> list[_Step]:
    messages = (
        Message(
            subject="News",
            from_email=_SENDER,
            to=f"reader{number}@example.com",
            text=f"Issue for reader {number}",
            unique_id="news",
        )
        for number in range(_BATCH)
    )
    columns = TextColumn("Sending"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    accepted = 0
    began = time.perf_counter()
    with Progress(*columns, console=stage.console, transient=True) as progress:
        task = progress.add_task("", total=_BATCH)
        async with stage.client.messages.send_many(messages, concurrency=8) as outcomes:
            async for outcome in outcomes:
                accepted += outcome.state == "accepted"
                progress.advance(task)
    rate = _BATCH / (time.perf_counter() - began)
    caught = sum(mail.unique_id == "news" for mail in stage.sandbox.outbox)
    return [
        _Step(
            f"A batch of {_BATCH}, 8 at a time",
            f"{accepted} accepted, {caught} caught, {rate:.0f} a second",
            accepted == caught == _BATCH,
        )
    ]


async def _pages(stage: _Stage) -> list[_Step]:
    sizes = [len(await stage.client.messages.get_message_info("news", page)) for page in range(3)]
    records: list[MessageInfo] = [
        info async for info in stage.client.messages.iter_message_info("news")
    ]
    recipients = {info.email for info in records}
    return [
        _Step(
            "What became of the batch, page by page",
            f"pages of {', '.join(map(str, sizes))}; {len(recipients)} recipients, all "
            f"{records[0].status}",
            sizes == [100, 100, 50]
            and len(recipients) == _BATCH
            and {info.status for info in records} == {"delivered"},
        )
    ]


async def _rejected(stage: _Stage) -> list[_Step]:
    message = TemplateMessage(
        template_id="no such template", subject="Hi", from_email=_SENDER, to="ada@example.com"
    )
    before = len(stage.sandbox.outbox)
    try:
        await stage.client.messages.send_template(message)
    except ApiError as error:
        ok = error.mail_state == "rejected" and len(stage.sandbox.outbox) == before
        return [
            _Step(
                "A mail that the service rejects",
                f"{type(error).__name__}: {error.message}; not repeated",
                ok,
            )
        ]
    return [_Step("A mail that the service rejects", "it was accepted", ok=False)]


async def _unknown(stage: _Stage) -> list[_Step]:
    rule = stage.sandbox.faults.add(Fault.reset_after_acceptance(), call="sendMail", times=1)
    title = "A mail whose response is lost"
    try:
        await stage.client.messages.send_mail(
            Message(subject="Hi", from_email=_SENDER, to="ada@example.com", text="Hello")
        )
    except DeliveryUnknownError as error:
        found = await stage.client.messages.get_message_info(error.unique_id or "")
        return [
            _Step(
                title,
                "DeliveryUnknownError; posted once, not repeated",
                rule.hit == 1 and error.mail_state == "unknown",
            ),
            _Step(
                "  ... and what its unique id tells later",
                f"{len(found)} mail with it: it had been accepted",
                len(found) == 1,
            ),
        ]
    return [_Step(title, "it was reported as accepted", ok=False)]


_PLAYS: tuple[Callable[[_Stage], Awaitable[list[_Step]]], ...] = (
    _mail,
    _templates,
    _batch,
    _pages,
    _rejected,
    _unknown,
)
