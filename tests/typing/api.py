"""
The public types, used as users do. Never executed: type checkers read it, and an error here is a
change that breaks users.

`assert_type` says what a checker makes of a value; a call without one says that the arguments are
accepted.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from email.message import EmailMessage
from email.message import Message as StdMessage
from pathlib import Path
from typing import Any, Literal, assert_type

import httpx
from celery import Celery
from procrastinate import App
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from taskiq import AsyncBroker

import PowerEmail as vendors  # noqa: N813  the other PowerEmail is the client
import poweremail
from poweremail import (
    AccountDetail,
    ApiError,
    AsyncFailover,
    AsyncPowerEmail,
    Attachment,
    AttemptEvent,
    AuthenticationError,
    CallResult,
    ChangeUnknownError,
    CircuitPolicy,
    Converted,
    DeliveryUnknownError,
    Deployment,
    Engagement,
    Failover,
    FailoverEvent,
    GeneralError,
    Image,
    LimitWait,
    Listing,
    Message,
    MessageInfo,
    MessageInfoPage,
    NotSentError,
    OutcomeEvent,
    PowerEmail,
    PowerEmailError,
    ProtocolError,
    RateLimitError,
    RateLimits,
    Recipient,
    Response,
    RetryEvent,
    RetryPolicy,
    Secret,
    SendingDomain,
    SendOutcome,
    SendResult,
    SmtpUser,
    SuppressedError,
    TemplateMessage,
    Timeouts,
    Tracking,
    TrackingDomain,
    TransportError,
    UsageError,
    ValidationError,
    Webhook,
    WebhookError,
    WebhookEvent,
    WebhookPayloadError,
    WebhookSignatureError,
)
from poweremail.batch import (
    Added,
    AsyncBatch,
    Batch,
    BatchOutcome,
    BatchStatus,
    Demand,
    Entry,
    Ledger,
    Record,
    read_csv,
    read_json_lines,
)
from poweremail.engines import (
    CeleryMail,
    Kick,
    LaneStatus,
    Mail,
    ProcrastinateMail,
    TaskiqMail,
    Worked,
)
from poweremail.sandbox import (
    AsyncSandboxTransport,
    Attempt,
    AttemptResult,
    CaughtMail,
    Delivery,
    Domain,
    EventRule,
    EventScript,
    MailEvent,
    Outbox,
    Poster,
    RegisteredWebhook,
    Released,
    Sandbox,
    SandboxTransport,
    SmtpServer,
)
from poweremail.suppression import (
    AsyncSuppressions,
    LedgerSuppressionStore,
    SqliteSuppressionStore,
    Suppression,
    Suppressions,
    import_csv,
    open_store,
)
from poweremail.transports import (
    AsyncAiohttpTransport,
    AsyncHttpxTransport,
    AsyncOutgoing,
    AsyncTransport,
    HttpxTransport,
    Outgoing,
    Request,
    Transport,
)
from poweremail.unsubscribe import (
    Unsubscribe,
    UnsubscribeASGI,
    UnsubscribeLinks,
    UnsubscribeWSGI,
)
from poweremail.webhooks import (
    SCHEMES,
    EventBatch,
    MemorySeenStore,
    SeenStore,
    SignatureMatch,
    SqliteSeenStore,
    WebhookASGI,
    WebhookReceiver,
    WebhookResponse,
    WebhookWSGI,
    diagnose,
    handshake_text,
    sign,
    verify_and_parse,
)

version: str = poweremail.__version__


# Messages take what is convenient, and have what was made of it.

Recipient("ada@example.com")
Recipient("ada@example.com", "Ada")
Recipient(email="ada@example.com", name=None)
ada: Recipient = Recipient.parse("Ada <ada@example.com>")
assert_type(ada.email, str)
assert_type(ada.name, str | None)

report = Attachment("report.pdf", b"...")
Attachment("report.pdf", bytearray(b"..."), "application/pdf")
Attachment.from_path("report.pdf")
Attachment.from_path(Path("report.pdf"), name="Report.pdf", type="application/pdf")
Attachment.from_bytes(b"...", "report.pdf", type=None)
Attachment.from_base64("YQ==", "a.txt")
Attachment.from_base64(b"YQ==", "a.txt", type="text/plain")
assert_type(report, Attachment)
assert_type(report.name, str)
assert_type(report.type, str)

logo = Image("logo", b"...")
Image.from_path("logo.png", cid="logo", type="image/png")
Image.from_path(Path("logo.png"))
Image.from_bytes(b"...", "logo")
Image.from_base64("YQ==", "logo", type="image/png")
assert_type(logo.cid, str)
assert_type(logo.type, str)

Tracking()
tracking = Tracking(opens=True, clicks="html", domain="t.example.com")
assert_type(tracking.opens, bool | None)
assert_type(tracking.clicks, Literal["html", "text", "both", "no"] | None)
assert_type(tracking.domain, str | None)


def addresses() -> Iterator[str]:
    yield "ada@example.com"


message = Message(
    subject="Invoice 42",
    from_email="billing@example.com",
    to=["Ada <ada@example.com>", ("Bob", "bob@example.com"), (None, "carol@example.com"), ada],
    cc="dave@example.com",
    bcc=ada,
    reply_to=None,
    html='<p>Thanks! <img src="cid:logo"></p>',
    text="Thanks!",
    attachments=[report],
    images=(logo,),
    headers={"X-Campaign": "q4"},
    tracking=tracking,
    unique_id="invoice-42",
)
Message(
    subject="s",
    from_email=("Billing", "billing@example.com"),
    to=("Ada", "ada@example.com"),
    text="t",
)
Message(
    subject="s",
    from_email=ada,
    to=(ada, ada),
    cc=[],
    bcc=(),
    reply_to=[ada, "help@example.com"],
    html="<p>",
)
Message(
    subject="s",
    from_email=(None, "me@example.com"),
    to=addresses(),
    text="t",
    html=None,
    unique_id=None,
)
Message(
    subject="s",
    from_email="me@example.com",
    to={"ada@example.com", "bob@example.com"},
    text="t",
    tracking=None,
)
assert_type(message.subject, str)
assert_type(message.from_email, Recipient)
assert_type(message.to, tuple[Recipient, ...])
assert_type(message.cc, tuple[Recipient, ...])
assert_type(message.bcc, tuple[Recipient, ...])
assert_type(message.reply_to, tuple[Recipient, ...])
assert_type(message.attachments, tuple[Attachment, ...])
assert_type(message.images, tuple[Image, ...])
assert_type(message.tracking, Tracking | None)
assert_type(message.html, str | None)
assert_type(message.text, str | None)
assert_type(message.unique_id, str | None)
assert_type(message.recipients, tuple[str, ...])
headers: Mapping[str, str] = message.headers
header: str = message.headers["X-Campaign"]

template = TemplateMessage(
    template_id="t1",
    dynamic_value={"NAME": "Ada", "AGE": 36, "SCORE": 1.5},
    subject="Welcome",
    from_email="me@example.com",
    to="ada@example.com",
)
TemplateMessage(
    template_id="t1",
    dynamic_value={"NAME": "Ada"},
    subject="s",
    from_email=ada,
    to=[ada],
    images=[logo],
)
assert_type(template.template_id, str)
assert_type(template.with_ascii_domains(), TemplateMessage)
requesting = Message(
    subject="s",
    from_email=ada,
    to=ada,
    html="<p>",
    auto_text=True,
    auto_html=False,
    signing_domain="example.com",
    return_path_domain=None,
)
assert_type(requesting.auto_text, bool | None)
assert_type(requesting.signing_domain, str | None)
assert_type(requesting.with_text_from_html(), Message)
assert_type(requesting.option_headers(), dict[str, str])
values: Mapping[str, str] = template.dynamic_value

# Suppression and unsubscribing.


class OwnStore:
    def find(self, addresses: Sequence[str], /) -> list[Suppression]:
        return [Suppression(address, "news", reason="spam") for address in addresses]

    def add(self, suppressions: Iterable[Suppression], /) -> None: ...


class OwnAsyncStore:
    async def find(self, addresses: Sequence[str], /) -> list[Suppression]:
        return []

    async def add(self, suppressions: Iterable[Suppression], /) -> int:
        return 0


def suppression_of_threads(store: SqliteSuppressionStore, links: UnsubscribeLinks) -> None:
    client = PowerEmail("o", "t", "d.example", suppression=store)
    PowerEmail("o", "t", "d.example", suppression=OwnStore())
    PowerEmail("o", "t", "d.example", suppression=OwnAsyncStore())  # type: ignore[arg-type]
    client.with_options(suppression=None)
    suppressions = Suppressions(OwnStore(), client=client, unsubscribed="news")
    assert_type(suppressions.find("ada@example.com"), tuple[Suppression, ...])
    assert_type(suppressions.record_mails(client, ["id"]), int)
    assert_type(store.add([Suppression("ada@example.com")]), int)
    assert_type(store.remove("ada@example.com", stream="news", reason="spam"), int)
    assert_type(store.entries(), Iterator[Suppression])
    assert_type(import_csv(store.add, "left.csv", reason="unsubscribe").rows, int)
    assert_type(open_store("x.db"), SqliteSuppressionStore | LedgerSuppressionStore)
    assert_type(links.link("ada@example.com", "news"), Unsubscribe)
    assert_type(links.read("token").until, dt.datetime)
    UnsubscribeWSGI(links, store)
    UnsubscribeASGI(links, OwnAsyncStore())


async def suppression_of_loops() -> None:
    client = AsyncPowerEmail("o", "t", "d.example", suppression=OwnAsyncStore())
    AsyncPowerEmail("o", "t", "d.example", suppression=OwnStore())
    suppressions = AsyncSuppressions(OwnAsyncStore(), client=client)
    assert_type(await suppressions.find("ada@example.com"), tuple[Suppression, ...])
    result = await client.messages.send_raw("From: ...", stream="news")
    assert_type(result.suppressed, tuple[Suppression, ...])
    try:
        await client.messages.send_mail(message)
    except SuppressedError as error:
        assert_type(error.recipients, tuple[str, ...])


def with_links(links: UnsubscribeLinks) -> None:
    mail = Message(
        subject="s",
        from_email="me@example.com",
        to="ada@example.com",
        text="t",
        stream="news",
        unsubscribe=links,
    )
    assert_type(mail.stream, str | None)
    assert_type(mail.unsubscribe, Unsubscribe | None)
    TemplateMessage(
        template_id="t",
        subject="s",
        from_email="me@example.com",
        to="ada@example.com",
        unsubscribe="https://example.com/leave/42",
    )


# Options.

timeouts = Timeouts(connect=5, read=30.0, write=None, pool=None, suppression=10)
assert_type(timeouts.read, float | None)


def announce(event: RetryEvent) -> None:
    assert_type(event.operation, str)
    assert_type(event.unique_id, str | None)
    assert_type(event.attempt, int)
    assert_type(event.error, PowerEmailError)
    assert_type(event.wait, float)


retry = RetryPolicy(3, first_wait=0.1, max_wait=1, max_total=None, on_retry=announce)
RetryPolicy(attempts=1)
RetryPolicy(on_retry=lambda event: event.error.explanation)
assert_type(retry.attempts, int)
assert_type(retry.max_total, float | None)


def hurry(wait: LimitWait) -> None:
    assert_type(wait.smtp_user_name, str)
    assert_type(wait.seconds, float)
    assert_type(wait.ahead, int)


limits = RateLimits(60, None, 50_000, path="budget.db", on_wait=hurry)
RateLimits(per_minute=10, path=Path("budget.db"))
RateLimits(on_wait=lambda wait: wait.seconds)
assert_type(limits.per_minute, int | None)
assert_type(
    RateLimits.from_smtp_user(
        SmtpUser(smtp_user_name="smtp1", hourly_limit=500, raw=Response(200)), per_minute=None
    ),
    RateLimits,
)


def count(event: OutcomeEvent) -> None:
    assert_type(event.id, str)
    assert_type(event.state, Literal["accepted", "rejected", "not_sent", "unknown"])
    assert_type(event.recipients, tuple[str, ...])
    assert_type(event.seconds, float)


def measure(event: AttemptEvent) -> float:
    assert_type(event.error, PowerEmailError | None)
    assert_type(event.status, int | None)
    return event.seconds


hooked = PowerEmail("o", "t", "tes.example.com", on_outcome=count, on_attempt=measure)
hooked.with_options(on_outcome=None, on_attempt=lambda event: event.attempt)

# The async client.


async def async_clients(environ: Mapping[str, str]) -> None:
    AsyncPowerEmail("owner", "token", "tes.example.com")
    AsyncPowerEmail(
        owner_id="owner", token="token", base_url="http://127.0.0.1:8025", app_domain=None
    )
    AsyncPowerEmail(
        "owner",
        "token",
        "tes.example.com",
        transport="httpx2",
        max_response_bytes=1 << 20,
        brand="Other",
        on_unknown="resend",
    )
    assert_type(AsyncPowerEmail.from_env(), AsyncPowerEmail)
    assert_type(AsyncPowerEmail.from_env(environ, retry=retry, timeouts=timeouts), AsyncPowerEmail)
    async with AsyncPowerEmail(
        "owner", "token", "tes.example.com", smtp_user_name="smtp1", timeouts=timeouts, retry=retry
    ) as client:
        assert_type(client, AsyncPowerEmail)
        patient = client.with_options(
            timeouts=Timeouts(read=120), retry=RetryPolicy(10), smtp_user_name=None
        )
        assert_type(patient, AsyncPowerEmail)
        assert_type(
            client.with_options(on_unknown="reconcile", visibility=5, resend_after=None),
            AsyncPowerEmail,
        )
        assert_type(client.with_options(), AsyncPowerEmail)
        assert_type(await patient.prepare(), None)
        await patient.aclose()


async def async_messages(client: AsyncPowerEmail, unknown: DeliveryUnknownError) -> None:
    assert_type(await client.messages.reconcile(unknown), SendResult)
    assert_type(
        await client.messages.reconcile("id-1", recipients=["ada@example.com"], visibility=60),
        SendResult,
    )
    assert_type(await client.messages.send_mail(message), SendResult)
    assert_type(await client.messages.send_mail(message, smtp_user_name="smtp2"), SendResult)
    assert_type(await client.messages.send_template(template, smtp_user_name=None), SendResult)
    assert_type(await client.messages.send_template_http_get(template), SendResult)
    assert_type(await client.messages.get_message_info("id-1"), MessageInfoPage)
    assert_type(await client.messages.get_message_info("id-1", skip_page=1), MessageInfoPage)
    async for info in client.messages.iter_message_info("id-1", skip_page=0, look_ahead=8):
        assert_type(info, MessageInfo)
    assert_type(await anext(client.messages.iter_message_info("id-1")), MessageInfo)
    assert_type(await client.call("settings/listSmtp"), CallResult)
    assert_type(
        await client.call("settings/addSmtp", {"total_limit": 5, "hourly_limit": 1}), CallResult
    )


async def async_settings(client: AsyncPowerEmail) -> None:
    user = await client.settings.add_smtp(total_limit=10, hourly_limit=5)
    assert_type(user, SmtpUser)
    assert_type(user.enabled, bool | None)
    assert_type(user.password, Secret | None)
    assert_type(user.raw, Response)
    assert_type(
        await client.settings.edit_smtp(user.smtp_user_name, hourly_limit=None, enabled=False),
        CallResult,
    )
    assert_type(await client.settings.reset_smtp_password("smtp1"), SmtpUser)
    assert_type(await client.settings.list_smtp(), Listing[SmtpUser])
    assert_type(await client.settings.add_sending_domain("example.com"), CallResult)
    assert_type(await client.settings.delete_sending_domain("example.com"), CallResult)
    assert_type(await client.settings.check_sending_domain("example.com"), SendingDomain)
    assert_type(
        await client.settings.verify_sending_domain("example.com", "postmaster"), CallResult
    )
    assert_type(await client.settings.list_sending_domain(), Listing[SendingDomain])
    assert_type(await client.settings.add_tracking_domain("example.com"), CallResult)
    assert_type(await client.settings.delete_tracking_domain("example.com"), CallResult)
    assert_type(await client.settings.check_tracking_domain("example.com"), TrackingDomain)
    for domain in await client.settings.list_tracking_domain():
        assert_type(domain.create_date, dt.datetime | None)
    assert_type(await client.settings.add_webhook("https://example.com/events"), CallResult)
    await client.settings.add_webhook(
        "https://example.com/events", events=["open", "click"], description="ours", store_log=True
    )
    assert_type(
        await client.settings.edit_webhook("id", "https://example.com/events", events="spam"),
        CallResult,
    )
    assert_type(await client.settings.delete_webhook("id"), CallResult)
    assert_type(await client.settings.key_reset_webhook("id"), Webhook)
    webhooks = await client.settings.list_webhook()
    assert_type(webhooks[0], Webhook)
    assert_type(webhooks[0].events, tuple[str, ...])
    assert_type(webhooks[0].key, Secret | None)
    assert_type(await client.settings.get_webhook_info("id"), Webhook)
    detail = await client.account.view_user_detail()
    assert_type(detail, AccountDetail)
    assert_type(detail.reputation, float | None)
    assert_type(await client.messages.send_raw("From: ..."), SendResult)
    assert_type(await client.messages.send_raw(b"From: ...", smtp_user_name="smtp2"), SendResult)
    assert_type(await client.messages.send_raw(EmailMessage()), SendResult)


async def async_source() -> AsyncIterator[Message]:
    yield message


async def mixed_source() -> AsyncIterator[Message | TemplateMessage]:
    yield template


async def async_batch(client: AsyncPowerEmail) -> None:
    async with client.messages.send_many(
        [message, template], concurrency=8, smtp_user_name="smtp1"
    ) as outcomes:
        async for outcome in outcomes:
            assert_type(outcome, SendOutcome)
    async with client.messages.send_many(message for _ in range(3)) as outcomes:
        assert_type(await anext(outcomes), SendOutcome)
    async with client.messages.send_many(async_source()) as outcomes:
        pass
    async with client.messages.send_many(mixed_source()) as outcomes:
        pass
    messages: list[Message] = [message]
    async with client.messages.send_many(messages) as outcomes:
        pass


# The sync client.


def sync_clients(environ: Mapping[str, str]) -> None:
    PowerEmail("owner", "token", "tes.example.com")
    PowerEmail(owner_id="owner", token="token", base_url="http://127.0.0.1:8025", app_domain=None)
    PowerEmail(
        "owner",
        "token",
        "tes.example.com",
        transport="httpx2",
        max_response_bytes=1 << 20,
        brand="Other",
        on_unknown="resend",
    )
    deployment = Deployment(send_raw="messages/senRaw", user_detail="accounts/userDetails")
    PowerEmail("owner", "token", "tes.example.com", deployment=deployment)
    assert_type(PowerEmail.from_env(), PowerEmail)
    assert_type(PowerEmail.from_env(environ, retry=retry, timeouts=timeouts), PowerEmail)
    with PowerEmail(
        "owner", "token", "tes.example.com", smtp_user_name="smtp1", timeouts=timeouts, retry=retry
    ) as client:
        assert_type(client, PowerEmail)
        patient = client.with_options(
            timeouts=Timeouts(read=120), retry=RetryPolicy(10), smtp_user_name=None
        )
        assert_type(patient, PowerEmail)
        assert_type(
            client.with_options(on_unknown="reconcile", visibility=5, resend_after=None), PowerEmail
        )
        assert_type(client.with_options(), PowerEmail)
        assert_type(patient.prepare(), None)
        patient.close()


def sync_messages(client: PowerEmail, unknown: DeliveryUnknownError) -> None:
    assert_type(client.messages.reconcile(unknown), SendResult)
    assert_type(
        client.messages.reconcile("id-1", recipients=["ada@example.com"], visibility=60), SendResult
    )
    assert_type(client.messages.send_mail(message), SendResult)
    assert_type(client.messages.send_mail(message, smtp_user_name="smtp2"), SendResult)
    assert_type(client.messages.send_template(template, smtp_user_name=None), SendResult)
    assert_type(client.messages.send_template_http_get(template), SendResult)
    assert_type(client.messages.get_message_info("id-1"), MessageInfoPage)
    assert_type(client.messages.get_message_info("id-1", skip_page=1), MessageInfoPage)
    for info in client.messages.iter_message_info("id-1", skip_page=0, look_ahead=8):
        assert_type(info, MessageInfo)
    assert_type(next(client.messages.iter_message_info("id-1")), MessageInfo)
    assert_type(list(client.messages.iter_message_info("id-1")), list[MessageInfo])
    assert_type(client.call("settings/listSmtp"), CallResult)
    assert_type(client.call("settings/addSmtp", {"total_limit": 5, "hourly_limit": 1}), CallResult)


def sync_settings(client: PowerEmail) -> None:
    user = client.settings.add_smtp(total_limit=10, hourly_limit=5)
    assert_type(user, SmtpUser)
    assert_type(user.enabled, bool | None)
    assert_type(user.password, Secret | None)
    assert_type(user.raw, Response)
    assert_type(
        client.settings.edit_smtp(user.smtp_user_name, hourly_limit=None, enabled=False), CallResult
    )
    assert_type(client.settings.reset_smtp_password("smtp1"), SmtpUser)
    assert_type(client.settings.list_smtp(), Listing[SmtpUser])
    assert_type(client.settings.add_sending_domain("example.com"), CallResult)
    assert_type(client.settings.delete_sending_domain("example.com"), CallResult)
    assert_type(client.settings.check_sending_domain("example.com"), SendingDomain)
    assert_type(client.settings.verify_sending_domain("example.com", "postmaster"), CallResult)
    assert_type(client.settings.list_sending_domain(), Listing[SendingDomain])
    assert_type(client.settings.add_tracking_domain("example.com"), CallResult)
    assert_type(client.settings.delete_tracking_domain("example.com"), CallResult)
    assert_type(client.settings.check_tracking_domain("example.com"), TrackingDomain)
    for domain in client.settings.list_tracking_domain():
        assert_type(domain.create_date, dt.datetime | None)
    assert_type(client.settings.add_webhook("https://example.com/events"), CallResult)
    client.settings.add_webhook(
        "https://example.com/events", events=["open", "click"], description="ours", store_log=True
    )
    assert_type(
        client.settings.edit_webhook("id", "https://example.com/events", events="spam"), CallResult
    )
    assert_type(client.settings.delete_webhook("id"), CallResult)
    assert_type(client.settings.key_reset_webhook("id"), Webhook)
    webhooks = client.settings.list_webhook()
    assert_type(webhooks[0], Webhook)
    assert_type(webhooks[0].events, tuple[str, ...])
    assert_type(webhooks[0].key, Secret | None)
    assert_type(client.settings.get_webhook_info("id"), Webhook)
    detail = client.account.view_user_detail()
    assert_type(detail, AccountDetail)
    assert_type(detail.reputation, float | None)
    assert_type(client.messages.send_raw("From: ..."), SendResult)
    assert_type(client.messages.send_raw(b"From: ...", smtp_user_name="smtp2"), SendResult)
    assert_type(client.messages.send_raw(EmailMessage()), SendResult)


def sync_batch(client: PowerEmail) -> None:
    with client.messages.send_many(
        [message, template], concurrency=8, smtp_user_name="smtp1"
    ) as outcomes:
        for outcome in outcomes:
            assert_type(outcome, SendOutcome)
    with client.messages.send_many(message for _ in range(3)) as outcomes:
        assert_type(next(outcomes), SendOutcome)
    messages: list[Message] = [message]
    with client.messages.send_many(messages) as outcomes:
        pass


# Results.


def results(
    result: SendResult, page: MessageInfoPage, call: CallResult, outcome: SendOutcome
) -> None:
    assert_type(result.unique_id, str)
    assert_type(result.recipients, tuple[str, ...])
    assert_type(result.status, str)
    assert_type(result.message, str)
    assert_type(result.attempts, int)
    assert_type(result.reconciled, bool)
    assert_type(result.extra, Mapping[str, Any])
    assert_type(result.raw, Response)

    assert_type(page.unique_id, str)
    assert_type(page.skip_page, int)
    assert_type(page.next_skip_page, int | None)
    assert_type(page.records, tuple[MessageInfo, ...])
    assert_type(page.extra, Mapping[str, Any])
    assert_type(page.raw, Response)
    assert_type(len(page), int)
    for info in page:
        assert_type(info.email, str | None)
        assert_type(info.subject, str | None)
        assert_type(info.sender, str | None)
        assert_type(info.send_from, str | None)
        assert_type(info.status, str | None)
        assert_type(info.time, dt.datetime | None)
        assert_type(info.mail_size, int | None)
        assert_type(info.attachment_size, int | None)
        assert_type(info.open_count, int)
        assert_type(info.click_count, int)
        assert_type(info.opens, tuple[Engagement, ...])
        assert_type(info.extra, Mapping[str, Any])
        for click in info.clicks:
            assert_type(click.time, dt.datetime | None)
            assert_type(click.ip, str | None)
            assert_type(click.user_agent, str | None)

    assert_type(call.data, Mapping[str, Any])
    assert_type(call.message, str)
    assert_type(call.raw, Response)

    assert_type(outcome.index, int)
    assert_type(outcome.message, object)
    assert_type(outcome.result, SendResult | None)
    assert_type(outcome.error, PowerEmailError | None)
    assert_type(outcome.state, Literal["accepted", "rejected", "not_sent", "unknown"])

    assert_type(result.raw.status, int)
    assert_type(result.raw.headers, tuple[tuple[str, str], ...])
    assert_type(result.raw.header("Date"), str | None)
    assert_type(result.raw.body, bytes)
    assert_type(result.raw.text, str)


# Errors.


def errors(client: PowerEmail) -> None:
    try:
        client.messages.send_mail(message)
    except UsageError as error:
        assert_type(error.field, str)
        value_error: ValueError = error
        raise value_error from None
    except RateLimitError as error:
        assert_type(error.retry_after, float | None)
    except (ValidationError, AuthenticationError, GeneralError) as error:
        api_error: ApiError = error
        assert_type(api_error.name, str | None)
    except ApiError as error:
        assert_type(error.message, str)
        assert_type(error.name, str | None)
        assert_type(error.code, str | int | None)
        assert_type(error.retry_after, float | None)
    except NotSentError as error:
        transport_error: TransportError = error
        assert_type(transport_error.body_left, bool)
    except TransportError as error:
        assert_type(error.body_left, bool)
    except DeliveryUnknownError as error:
        assert_type(error.unique_id, str | None)
        assert_type(error.recipients, tuple[str, ...])
        assert_type(error.cause, PowerEmailError | None)
    except ProtocolError as error:
        assert_type(error.raw, Response | None)
    except PowerEmailError as error:
        assert_type(error.explanation, str)
        assert_type(error.advice, str)
        assert_type(error.mail_state, Literal["not_sent", "rejected", "unknown"] | None)
        assert_type(error.raw, Response | None)
        assert_type(error.temporary, bool)
        exception: Exception = error
        raise exception from None


def errors_of_changes(client: PowerEmail) -> None:
    try:
        client.settings.delete_webhook("id")
    except ChangeUnknownError as error:
        assert_type(error.cause, PowerEmailError | None)


# Transports: those that are there, and one of your own.


async def async_transports(client: httpx.AsyncClient, sandbox: Sandbox) -> None:
    transports: list[AsyncTransport] = [
        AsyncHttpxTransport(),
        AsyncHttpxTransport(engine="httpx2", max_connections=50),
        AsyncAiohttpTransport(max_connections=50),
        AsyncHttpxTransport(client),
        AsyncSandboxTransport(sandbox.service),
        CountingAsyncTransport(),
    ]
    for transport in transports:
        AsyncPowerEmail("owner", "token", "tes.example.com", transport=transport)


class CountingAsyncTransport:
    """Satisfies `AsyncTransport` without inheriting from it."""

    def __init__(self) -> None:
        self.sent = 0

    async def handle(self, request: Request) -> Response:
        assert_type(request.method, str)
        assert_type(request.url, str)
        assert_type(request.full_url(), str)
        assert_type(request.headers, tuple[tuple[str, str], ...])
        assert_type(request.endpoint.timeouts, Timeouts)
        assert_type(request.endpoint.max_response_bytes, int)
        outgoing = AsyncOutgoing(request.body)
        async for piece in outgoing:
            assert_type(piece, bytes)
            self.sent += len(piece)
        assert_type(outgoing.left, bool)
        if not self.sent:
            raise TransportError("nothing to send", body_left=outgoing.left)
        return Response(
            200, (("Content-Type", "application/json"),), b'{"status":"success"}', request_left=True
        )

    async def aclose(self) -> None:
        pass


def sync_transports(client: httpx.Client, sandbox: Sandbox) -> None:
    transports: list[Transport] = [
        HttpxTransport(),
        HttpxTransport(engine="httpx2", max_connections=50),
        HttpxTransport(client),
        SandboxTransport(sandbox.service),
        CountingTransport(),
    ]
    for transport in transports:
        PowerEmail("owner", "token", "tes.example.com", transport=transport)


class CountingTransport:
    """Satisfies `Transport` without inheriting from it."""

    def __init__(self) -> None:
        self.sent = 0

    def handle(self, request: Request) -> Response:
        outgoing = Outgoing(request.body)
        for piece in outgoing:
            assert_type(piece, bytes)
            self.sent += len(piece)
        if not self.sent:
            raise TransportError("nothing to send", body_left=outgoing.left)
        return Response(200)

    def close(self) -> None:
        pass


# The standard library's messages.


def email_messages(source: EmailMessage, old: StdMessage, lossy: bool) -> None:
    assert_type(Message.from_email_message(source), Message)
    assert_type(Message.from_email_message(old, lossy=False), Message)
    converted = Message.from_email_message(source, lossy=True)
    assert_type(converted, Converted)
    assert_type(converted.message, Message)
    assert_type(converted.dropped, tuple[str, ...])
    assert_type(Message.from_email_message(source, lossy=lossy), Message | Converted)
    assert_type(message.as_email_message(), EmailMessage)


# The sandbox.


def sandboxed() -> None:
    with Sandbox() as sandbox, sandbox.client() as client:
        assert_type(sandbox, Sandbox)
        assert_type(client, PowerEmail)
        assert_type(sandbox.async_client(retry=retry), AsyncPowerEmail)
        assert_type(sandbox.outbox, Outbox)
        assert_type(sandbox.outbox.one(to="ada@example.com"), CaughtMail)
        assert_type(sandbox.outbox.wait(to="ada@example.com", timeout=5), CaughtMail)
        sandbox.add_sending_domain("example.com", valid=True)
        sandbox.add_tracking_domain("t.example.com", valid=False)
        assert_type(
            sandbox.add_webhook("https://example.com/events", events=["open"]), RegisteredWebhook
        )
        assert_type(sandbox.sending_domains, list[Domain])
        assert_type(sandbox.tracking_domains, list[Domain])
        assert_type(sandbox.webhooks, list[RegisteredWebhook])
    Sandbox(
        verify_webhook=lambda url: url.startswith("https://"), brand="Acme", webhook_ca="ca.pem"
    )
    Sandbox(link_hosts=["shop.example.com", "10.0.0.0/8"])
    Sandbox().server("localhost", allowed_hosts=["*.example.com"], auth=Path("users"))


async def told_by_the_sandbox(receiver: WebhookReceiver, poster: Poster) -> None:
    server = SmtpServer(host="smtp.example.com", allow="example.com", user="me", password="p")
    with Sandbox(
        script=["open 30% within 5s", EventRule("spam", 0.1)],
        webhook_scheme="body-hex",
        smtp_server=server,
    ) as sandbox:
        assert_type(sandbox.script, EventScript)
        assert_type(sandbox.script.add("click 1%").number, int)
        assert_type(sandbox.record(1, "open", recipient="ada@example.com"), list[MailEvent])
        assert_type(
            sandbox.record(sandbox.outbox[0], "click", url="https://example.com/"), list[MailEvent]
        )
        assert_type(sandbox.deliver(), list[Delivery])
        assert_type(sandbox.deliver(to=receiver), list[Delivery])
        assert_type(sandbox.deliver(poster), list[Delivery])
        assert_type(poster.post("https://example.com/", [], b""), AttemptResult)
        assert_type(await sandbox.adeliver(to=receiver), list[Delivery])
        assert_type(sandbox.replay(sandbox.deliveries[0], to=receiver), Delivery)
        assert_type(sandbox.replay(1).attempts, tuple[Attempt, ...])
        assert_type(sandbox.release(1, to="ada@example.com"), Released)
        assert_type(
            sandbox.release(sandbox.outbox[0], to=["ada@example.com"], server=server).recipients,
            tuple[str, ...],
        )


# The vendor's spelling.


def spelt_by_the_vendor() -> None:
    client = vendors.PowerEmail("owner_id", "token", "tes.example.com", retry=retry)
    mail = {
        "subject": "s",
        "from_email": "me@example.com",
        "to": [{"email": "ada@example.com"}],
        "text": "t",
    }
    try:
        assert_type(client.sendMail("smtp1", mail), dict[str, Any])
        assert_type(client.messages.getMessageInfo("id", 0), dict[str, Any])
        assert_type(client.settings.addSmtpUser(total_limit=500, hourly_limit=200), dict[str, Any])
        assert_type(client.account.viewUserDetail(), dict[str, Any])
    except vendors.ParameterError as error:
        assert_type(error.field, str)
    except vendors.SendingFailedError as error:
        assert_type(error.unique_id, str | None)
    except vendors.Error as error:
        assert_type(error.raw, Response | None)


# Batches.


async def durable_async_batch(client: AsyncPowerEmail, messages: AsyncIterator[Message]) -> None:
    options = {"a": RateLimits(per_minute=30)}
    async with AsyncBatch(
        client, "ledger.db", "news", smtp_users=["a"], limits=options, resend_after=60.0
    ) as batch:
        assert_type(batch, AsyncBatch)
        assert_type(await batch.add(messages), Added)
        assert_type(await batch.check(read_csv("r.csv", template_id="t", subject="s")), Added)
        async with batch.run() as outcomes:
            assert_type(outcomes.paused, str | None)
            async for outcome in outcomes:
                assert_type(outcome, BatchOutcome)
                assert_type(outcome.result, SendResult | None)
            outcomes.stop()
        await batch.pause("because")
        await batch.resume()
        await batch.set_options(limits={"a": None}, retry=RetryPolicy(3), lease=None)
        assert_type(await batch.retry(unknown=True), int)
        assert_type((await batch.status()).finished, bool)
        assert_type(await batch.least_seconds(100), float)
        assert_type((await batch.demand(within=30.0)).runners, int)
        async for record in batch.report(["unknown"]):
            assert_type(record, Record)


def durable_batch(client: PowerEmail) -> None:
    ledger = Ledger("postgresql://host/name", patience=5.0)
    with Batch(
        client, ledger, "news", redirect_to="me@example.com", allow=["*@example.com"]
    ) as batch:
        batch.add([message, Entry(message=message, key="k", line=1)])
        batch.add(read_json_lines("r.jsonl", text="Hi"))
        with batch.run() as outcomes:
            assert_type([outcome.state for outcome in outcomes], list[str])
        batch.set_options(limits=RateLimits(), visibility=5, errors_in_a_row=50)
        assert_type(batch.status(), BatchStatus)
        assert_type(batch.demand(), Demand)
        assert_type(batch.status().limits, Mapping[str, RateLimits])


# What is no longer, or never was, accepted: an unused `ignore` is an error of both checkers.

Message(subject="s", from_email="me@example.com", to=5, text="t")  # type: ignore[arg-type]
Message(subject="s", from_email=5, to="ada@example.com", text="t")  # type: ignore[arg-type]
Message(subject="s", from_email="me@example.com", to="ada@example.com", text=b"t")  # type: ignore[arg-type]
Message(subject="s", from_email="me@example.com", to="ada@example.com", attachments=["a.pdf"])  # type: ignore[list-item]
Tracking(clicks="always")  # type: ignore[arg-type]
AsyncPowerEmail("owner", "token", "tes.example.com", transport="urllib")  # type: ignore[arg-type]
PowerEmail("owner", "token", "tes.example.com", transport="aiohttp")  # type: ignore[arg-type]
PowerEmail("owner", "token", "tes.example.com", transport=CountingAsyncTransport())  # type: ignore[arg-type]
message.subject = "another"  # type: ignore[misc]


async def webhooks(request_headers: Mapping[str, str], store: SeenStore) -> None:
    def handle(event: WebhookEvent) -> None:
        assert_type(event.id, str | None)
        assert_type(event.event, str)
        assert_type(event.time, dt.datetime | None)
        assert_type(event.recipient, str | None)
        assert_type(event.msg, Mapping[str, Any])

    async def handle_async(event: WebhookEvent) -> None: ...

    batch = verify_and_parse(
        request_headers, b"", url="https://x/", keys=["old", Secret("new")], scheme="form-base64"
    )
    assert_type(batch, EventBatch)
    assert_type(batch.events, tuple[WebhookEvent, ...])
    for event in batch:
        assert_type(event, WebhookEvent)
    verify_and_parse([(b"a", b"b")], b"", url="https://x/", keys="key", scheme=SCHEMES["body-hex"])
    verify_and_parse({}, b"", url="https://x/", keys="key", scheme="sha1")  # type: ignore[arg-type]
    receiver = WebhookReceiver(
        handle, url="https://x/", keys=lambda: ["key"], scheme="body-hex", store=store
    )
    WebhookReceiver(
        handle_async,
        url="https://x/",
        keys=(),
        scheme="body-hex",
        store=MemorySeenStore(max_ids=5, ttl=1.5),
    )
    WebhookReceiver(
        handle_async,
        url="https://x/",
        keys=(),
        scheme="body-hex",
        store=SqliteSeenStore(Path("x"), lease=5),
    )
    response = receiver.respond("POST", request_headers, b"")
    assert_type(response, WebhookResponse)
    assert_type(response.status, int)
    assert_type(response.headers, tuple[tuple[str, str], ...])
    assert_type(await receiver.arespond("POST", request_headers, b""), WebhookResponse)
    WebhookASGI(receiver)
    WebhookWSGI(receiver)
    assert_type(sign("body-hex", "key", url="https://x/", body=b""), str)
    assert_type(
        diagnose(request_headers, b"", url="https://x/", keys="key").matches,
        tuple[SignatureMatch, ...],
    )
    assert_type(handshake_text(), str)
    for error in (WebhookError("why"), WebhookPayloadError("why"), WebhookSignatureError("why")):
        assert_type(error.explanation, str)


async def task_queues(
    celery: Celery, broker: AsyncBroker, app: App, session: Session, async_session: AsyncSession
) -> None:
    kick = Kick(batch="news", lane=1, turn=0)
    of_celery = CeleryMail(
        celery, "postgresql://host/name", queue="mail", client=PowerEmail.from_env, seconds=10
    )
    CeleryMail(celery, Ledger("ledger.db"), client=AsyncPowerEmail.from_env)  # type: ignore[arg-type]
    assert_type(of_celery.drive(kick), Worked)
    assert_type(of_celery.outbox.add(session, message, key="a"), str)
    of_celery.start("news", runners=8)
    of_celery.drain(host="web-3")
    assert_type(of_celery.workers("news"), list[LaneStatus])
    of_taskiq = TaskiqMail(broker, "postgresql://host/name", smtp_users=["smtp1"])
    assert_type(await of_taskiq.outbox.add(async_session, message), str)
    await of_taskiq.kick()
    of_procrastinate = ProcrastinateMail(app, "postgresql://host/name", beat=10)
    assert_type(await of_procrastinate.drive(kick), Worked)
    Mail("ledger.db")  # type: ignore[abstract]


# Failover: several clients behind the calls of one.


def on_failover(event: FailoverEvent) -> None:
    assert_type(event.target, str)
    assert_type(event.error, PowerEmailError)
    assert_type(event.is_open, bool)


async def fail_over(first: AsyncPowerEmail, second: AsyncPowerEmail) -> None:
    async with AsyncFailover(
        {"main": first, "backup": second},
        order="round_robin",
        weights={"main": 3},
        retry=RetryPolicy(2),
        circuit=CircuitPolicy(failures=5, open_seconds=10),
        on_failover=on_failover,
    ) as mailer:
        result = await mailer.messages.send_mail(requesting)
        assert_type(result, SendResult)
        assert_type(result.target, str | None)
        assert_type(await mailer.messages.get_message_info(result), MessageInfoPage)
        assert_type(await mailer.messages.send_raw(b"..."), SendResult)
        async with mailer.messages.send_many([requesting]) as outcomes:
            async for outcome in outcomes:
                assert_type(outcome.result, SendResult | None)
        assert_type(mailer.resting(), dict[str, float])
        assert_type(mailer.clients["main"], AsyncPowerEmail)


def fail_over_in_threads(first: PowerEmail) -> None:
    with Failover({"main": first}) as mailer:
        assert_type(mailer.messages.send_template(template), SendResult)
        assert_type(mailer.messages.reconcile("id", target="main").target, str | None)
    AsyncFailover({"main": first})  # type: ignore[dict-item]
    Failover({"main": first}, order="random")  # type: ignore[arg-type]
