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
    TemplateMessage,
    Timeouts,
)
from poweremail.sandbox import CaughtMail, Fault, Sandbox

_BATCH = 250
_SENDER = "Demo <demo@example.com>"
_DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@attrs.define
class _Stage:
    """
    The sandbox, the client and the console that the steps use, and how many steps there were.
    """

    sandbox: Sandbox
    client: AsyncPowerEmail
    console: Console
    steps: int = 0
    failed: int = 0

    def last_caught(self) -> CaughtMail:
        return self.sandbox.outbox[-1]

    def check(self, title: str, detail: str, *, ok: bool) -> None:
        """Print what a step did and what happened; *ok* says that it is right."""
        self.steps += 1
        self.failed += not ok
        self.console.print(f"{'[green]ok[/]    ' if ok else '[red]FAILED[/]'}  {title}")
        self.console.print(f"        [dim]{escape(detail)}[/]", soft_wrap=True)


def run(console: Console | None = None) -> bool:
    """Run every step, print what happened, and return whether all of it is right."""
    return anyio.run(_run, console or Console(highlight=False))


async def _run(console: Console) -> bool:
    began = time.perf_counter()
    with Sandbox() as sandbox, sandbox.server() as server:
        console.print(
            f"A sandbox of PowerEmail listens at [bold]{server.url}[/]. Everything below goes "
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
            for play in _PLAYS:
                await play(stage)
    verdict = (
        f"[bold red]{stage.failed} of it went wrong.[/]"
        if stage.failed
        else "[bold green]All of it is true.[/]"
    )
    seconds = time.perf_counter() - began
    console.print(f"\n{verdict} {stage.steps} steps in {seconds:.1f} s.")
    return not stage.failed


async def _mail(stage: _Stage) -> None:
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
    stage.check(
        "A mail with an attachment and an inline image",
        f"{result.status}, found again as {result.unique_id}",
        ok=mail.unique_id == result.unique_id and arrived,
    )


async def _templates(stage: _Stage) -> None:
    message = TemplateMessage(
        template_id="welcome",
        subject="Welcome",
        from_email="demo@example.com",
        to="grace@example.com",
        dynamic_value={"NAME": "Grace"},
    )
    for title, send in (
        ("A template mail by POST", stage.client.messages.send_template),
        ("The same by GET", stage.client.messages.send_template_http_get),
    ):
        status, text = (await send(message)).status, stage.last_caught().text
        stage.check(title, f"{status}, reads: {text}", ok=text == "Welcome, Grace!")


async def _batch(stage: _Stage) -> None:
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
    stage.check(
        f"A batch of {_BATCH}, 8 at a time",
        f"{accepted} accepted, {caught} caught, {rate:.0f} a second",
        ok=accepted == caught == _BATCH,
    )


async def _pages(stage: _Stage) -> None:
    sizes = [len(await stage.client.messages.get_message_info("news", page)) for page in range(3)]
    records = [info async for info in stage.client.messages.iter_message_info("news")]
    recipients = {info.email for info in records}
    stage.check(
        "What became of the batch, page by page",
        f"pages of {', '.join(map(str, sizes))}; {len(recipients)} recipients, all "
        f"{records[0].status}",
        ok=sizes == [100, 100, 50]
        and len(recipients) == _BATCH
        and {info.status for info in records} == {"delivered"},
    )


async def _rejected(stage: _Stage) -> None:
    message = TemplateMessage(
        template_id="no such template", subject="Hi", from_email=_SENDER, to="ada@example.com"
    )
    before = len(stage.sandbox.outbox)
    detail, ok = "it was accepted", False
    try:
        await stage.client.messages.send_template(message)
    except ApiError as error:
        detail = f"{type(error).__name__}: {error.message}; not repeated"
        ok = error.mail_state == "rejected" and len(stage.sandbox.outbox) == before
    stage.check("A mail that the service rejects", detail, ok=ok)


async def _unknown(stage: _Stage) -> None:
    rule = stage.sandbox.faults.add(Fault.reset_after_acceptance(), call="sendMail", times=1)
    title = "A mail whose response is lost"
    try:
        await stage.client.messages.send_mail(
            Message(subject="Hi", from_email=_SENDER, to="ada@example.com", text="Hello")
        )
    except DeliveryUnknownError as error:
        found = await stage.client.messages.get_message_info(error.unique_id or "")
        stage.check(
            title,
            "DeliveryUnknownError; posted once, not repeated",
            ok=rule.hit == 1 and error.mail_state == "unknown",
        )
        stage.check(
            "  ... and what its unique id shows later",
            f"{len(found)} mail with it: it had been accepted",
            ok=len(found) == 1,
        )
    else:
        stage.check(title, "it was reported as accepted", ok=False)


_PLAYS: tuple[Callable[[_Stage], Awaitable[None]], ...] = (
    _mail,
    _templates,
    _batch,
    _pages,
    _rejected,
    _unknown,
)
