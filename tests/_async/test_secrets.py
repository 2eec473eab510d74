"""The token is in the request and nowhere else."""

from __future__ import annotations

import html
import json
import logging
import pickle
import traceback
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

import poweremail
from _async.ways import ENGINES, OPTIONS, TOKEN, client_of, reached
from poweremail import AsyncPowerEmail, Attachment, PowerEmailError, RetryPolicy
from poweremail.batch import AsyncBatch
from poweremail.sandbox import Fault, Sandbox
from poweremail.transports import AsyncHttpxTransport, AsyncOutgoing
from support.fault_server import (
    FaultServer,
    close_after_body,
    early,
    reset_after_body,
    reset_before_body,
    reset_in_body,
    respond,
    stall,
    truncate,
)
from support.interrupt import handle_signal
from support.messages import large, message, template

# Words that are in no form of the token's neighbours, and in every form of the token.
CANARY = "canary"
PACKAGE = str(Path(poweremail.__file__).parent)


def echo(connection) -> bool:
    """Respond with the token in every place."""
    connection.read_body()
    escaped = "".join(f"\\u{ord(character):04X}" for character in TOKEN)
    forms = [
        TOKEN,
        quote(TOKEN),
        quote(TOKEN, safe=""),
        quote_plus(TOKEN),
        json.dumps(TOKEN),
        html.escape(TOKEN),
        escaped,
    ]
    body = {"status": "error", "name": f"Bad {TOKEN}", "message": forms, "extra": {"token": TOKEN}}
    connection.send(200, json.dumps(body).encode(), [("X-Echo", form) for form in forms])
    return True


def spelt(connection) -> bool:
    """Answer with the token in escapes of JSON, which are none any more once it is read."""
    connection.read_body()
    message = TOKEN.replace("+", "\\u002b").replace("=", "\\u003D").replace("a", "\\u0061")
    connection.send(
        200, f'{{"status": "error", "name": "Bad", "message": "for {message}"}}'.encode()
    )
    return True


def in_utf_16(connection) -> bool:
    """Answer with the token in another encoding that JSON allows."""
    connection.read_body()
    connection.send(200, json.dumps({"status": "error", "message": TOKEN}).encode("utf-16"))
    return True


def malformed(connection) -> bool:
    """Send a response that is no HTTP, with the token in it."""
    connection.read_body()
    connection.socket.sendall(
        f"HTTP/1.1 200 OK\r\n{TOKEN} \x00: bad header\r\n\r\n".encode("latin-1")
    )
    return False


def to_self(connection) -> bool:
    """Redirect to the requested URL."""
    connection.read_body()
    connection.send(
        301, b"", [("Location", f"https://example.invalid{connection.target}"), ("X-Token", TOKEN)]
    )
    return True


BEHAVIOURS = {
    "success": respond(),
    "success that echoes": respond(
        {"status": "success", "message": f"for {TOKEN}", "token": TOKEN}
    ),
    "echo": echo,
    "escapes": spelt,
    "UTF-16": in_utf_16,
    "HTML escapes": respond(
        "<html>" + "".join(f"&#{ord(character)};" for character in TOKEN) + html.escape(TOKEN)
    ),
    "malformed": malformed,
    "redirect": to_self,
    "HTML": respond(f"<html>{TOKEN}</html>"),
    "limit": respond("", status=429),
    "reset before": reset_before_body,
    "reset": reset_after_body,
    "stalled": stall,
    "truncated": truncate,
}


CLIENT = tuple(
    str(Path(PACKAGE, tree, f"{room}.py"))
    for tree in ("_async", "_sync")
    for room in ("client", "messages", "settings")
)
"""The files of the methods that a caller calls: they have what the caller gave them."""


def chain_of(error: BaseException | None, seen: set[int]):
    """Every exception that can be reached from *error*."""
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    yield from chain_of(error.__cause__, seen)
    yield from chain_of(error.__context__, seen)
    yield from chain_of(getattr(error, "cause", None), seen)
    for inner in getattr(error, "exceptions", ()):
        yield from chain_of(inner, seen)


def attributes_of(value: object):
    """The attributes of *value*, in its dict or in slots."""
    yield from getattr(value, "__dict__", {}).values()
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if not name.startswith("__"):
                yield getattr(value, name, None)


def locals_of(error: BaseException):
    """
    The local variables, and their attributes, of every frame in the chain of *error* that is
    neither of this file nor of a method of the client; with the place of the frame.
    """
    for each in chain_of(error, set()):
        for frame, line in traceback.walk_tb(each.__traceback__):
            code = frame.f_code
            if code.co_filename == __file__ or code.co_filename in CLIENT:
                continue
            for name, value in frame.f_locals.items():
                for shown in (value, *attributes_of(value)):
                    yield f"{code.co_filename}:{line} {name}", repr(shown)


def texts_of(error: BaseException | None):
    """
    Everything that a person or a program may print of an error: its chain, and the local variables
    of our frames.
    """
    while error is not None:
        yield str(error)
        yield repr(error)
        yield repr(vars(error).get("raw"))
        if isinstance(error, PowerEmailError):
            yield repr(vars(error))
            yield repr(getattr(error.raw, "body", None))
            yield repr(getattr(error.raw, "headers", None))
        for frame, line in traceback.walk_tb(error.__traceback__):
            if frame.f_code.co_filename.startswith(PACKAGE):
                yield f"line {line}: {frame.f_locals!r}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("behaviour", BEHAVIOURS.values(), ids=BEHAVIOURS)
async def test_the_token_is_in_no_text_and_no_log(engine, behaviour, caplog):
    caplog.set_level(logging.DEBUG)
    calls = 0
    with FaultServer(behaviour) as server:
        async with client_of(
            engine,
            server.url,
            timeouts=poweremail.Timeouts(read=0.1),
            retry=RetryPolicy(2, first_wait=0.001),
        ) as client:
            sends = (
                (client.messages.send_mail, message()),
                (client.messages.send_template_http_get, template()),
                (client.messages.get_message_info, "u1"),
                (client.call, "settings/listSmtp"),
            )
            for call, argument in sends:
                calls += 1
                try:
                    result = await call(argument)
                except PowerEmailError as error:
                    texts = list(texts_of(error))
                    # The token is not hidden in the objects either.
                    assert CANARY.encode() not in pickle.dumps((str(error), error.raw))
                else:
                    texts = [
                        repr(result),
                        str(result),
                        repr(result.raw.body),
                        repr(result.extra if hasattr(result, "extra") else 0),
                    ]
                for text in texts:
                    assert CANARY not in text
            assert CANARY not in f"{client!r}{client.__dict__!r}{client.messages.__dict__!r}"
    assert calls == 4
    for record in caplog.records:
        assert CANARY not in f"{record.getMessage()} {record.args!r} {record.msg!r}"


def drawn(content: str):
    yield from (content.encode(),) * 3
    raise LookupError("the source ended")


BODY = "words of the mail"
MAILS = {
    "small": lambda: message(text=BODY),
    "large": lambda: large(text=BODY),
    "stream": lambda: message(
        attachments=[Attachment.from_stream(drawn(BODY * 30_000), "a.txt")], text=BODY
    ),
}
FAULTS = BEHAVIOURS | {
    "reset in the body": reset_in_body,
    "closed": close_after_body,
    "early": early(413),
    "early success": early(200),
    "no server": None,
}
IN_THE_BODY = ("reset before", "reset in the body", "stalled", "early", "early success")
ENGINE, *OTHER_ENGINES = ENGINES


# Every fault by one engine, and by every engine the faults in which its frames have the body.
@pytest.mark.parametrize(
    ("engine", "mail", "fault"),
    [
        *((ENGINE, "small", fault) for fault in FAULTS),
        *((ENGINE, mail, fault) for mail in ("large", "stream") for fault in IN_THE_BODY),
        *(
            (engine, *case)
            for engine in OTHER_ENGINES
            for case in (
                ("small", "malformed"),
                ("large", "reset before"),
                ("stream", "early"),
                ("stream", "stalled"),
            )
        ),
    ],
)
async def test_no_frame_of_an_error_has_the_token_or_the_body(engine, mail, fault):
    options = {
        "timeouts": poweremail.Timeouts(read=0.1, write=0.5, connect=0.5),
        "retry": poweremail.RetryPolicy(2, first_wait=0.001),
        "on_unknown": "reconcile",
        "visibility": 0.01,
    }
    with FaultServer(*filter(None, [FAULTS[fault]])) as server:
        url = "http://127.0.0.1:1" if fault == "no server" else server.url
        async with client_of(engine, url, **options) as client:
            for send in (
                lambda: client.messages.send_mail(MAILS[mail]()),
                lambda: client.messages.send_template_http_get(template()),
                lambda: client.messages.get_message_info("u1"),
            ):
                try:
                    await send()
                except PowerEmailError as error:
                    for place, text in locals_of(error):
                        assert CANARY not in text, place
                        assert BODY not in text, place


BREAKS = (
    Fault.refuse(),
    Fault.reset_before_acceptance(),
    Fault.reset_after_acceptance(),
    Fault.stall(0.2),
    Fault.truncated(),
)
RESPONSES = (
    Fault.html(),
    Fault.status(503),
    Fault.error("GeneralError", "x"),
    Fault.rate_limited(),
)


@pytest.mark.parametrize(
    ("way", "fault"),
    [
        *(("in-process", fault) for fault in BREAKS),
        *((ENGINE, fault) for fault in BREAKS + RESPONSES),
        *((engine, Fault.reset_after_acceptance()) for engine in OTHER_ENGINES),
    ],
    ids=lambda value: getattr(value, "kind", value),
)
async def test_no_frame_of_an_outcome_has_the_token_or_the_body(way, fault, served, tmp_path):
    served.faults.add(fault, call="sendMail")
    mails = [message(text=BODY, subject=str(number)) for number in range(2)]
    options = {"token": TOKEN} if way == "in-process" else {}
    async with (
        reached(way, served, timeouts=poweremail.Timeouts(read=0.1), **options) as client,
        AsyncBatch(
            client, tmp_path / "ledger.db", "news", retry=RetryPolicy(1), visibility=0.0
        ) as batch,
    ):
        async with client.messages.send_many(mails) as outcomes:
            errors = [outcome.error async for outcome in outcomes]
        if fault.kind != "rate_limited":  # a batch would wait until the limit is over
            await batch.add(mails)
            async with batch.run() as outcomes:
                errors += [outcome.error async for outcome in outcomes]
            assert len(errors) == 4
    for error in errors:
        for place, text in locals_of(error):
            assert CANARY not in text, place
            assert BODY not in text, place


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_note_of_an_error_names_the_place_in_the_engine(engine):
    with FaultServer(reset_after_body) as server:
        async with client_of(engine, server.url, retry=poweremail.RetryPolicy(1)) as client:
            with pytest.raises(poweremail.DeliveryUnknownError) as caught:
                await client.messages.send_mail(message())
    shown = "".join(traceback.format_exception(caught.value))
    library = "aiohttp" if "aiohttp" in engine else "http"
    assert f"/{library}" in shown.partition(" in AsyncAdapter.handle")[2]
    assert not hasattr(caught.value, "__notes__")


async def test_the_frames_of_an_interruption_do_not_show_the_body():
    class Interrupting(AsyncHttpxTransport):
        async def handle(self, request):
            pieces = [piece async for piece in AsyncOutgoing(request.body)]
            handle_signal(KeyboardInterrupt if pieces else LookupError)

    options = OPTIONS | {"transport": Interrupting()}
    async with AsyncPowerEmail("owner", TOKEN, "example.com", **options) as client:
        with pytest.raises(KeyboardInterrupt) as caught:
            await client.messages.send_mail(message(text=BODY))
    frames = [frame.f_code.co_name for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert "handle" not in frames
    assert frames[-1] == "handle_signal"
    for place, text in locals_of(caught.value):
        assert CANARY not in text, place
        assert BODY not in text, place


SECRET = "canary/pass word+1"
WITH_SECRETS = {
    "success": respond(
        {
            "status": "success",
            "message": f"drawn: {SECRET}",
            "smtp_user_name": "s",
            "smtp_password": SECRET,
            "webhook_id": "w",
            "key": SECRET,
            "more": {"password": SECRET},
            "smtp_list": [{"smtp_user_name": "s", "password": SECRET, "api_key": SECRET}],
            "webhook_list": [{"webhook_id": "w", "key": SECRET}],
            "webhook_data": {"webhook_id": "w", "key": SECRET, "event": {"key": SECRET}},
        }
    ),
    "sloppy": respond(
        f'{{status: "success", "smtp_password": "{SECRET}", key: "{SECRET}", '
        f'"smtp_list": [{{password: "{SECRET}"}},],}}'
    ),
    "cut off": respond(
        f'{{"status": "success", "smtp_list": [], "webhook_list": [], "key": "{SECRET[:9]}'
    ),
    "error": respond(
        {"status": "error", "name": "GeneralError", "message": f"for {SECRET}", "key": SECRET}
    ),
    "refused": respond(
        {"status": "error", "name": f"Bad {SECRET}", "message": [SECRET], "smtp_password": SECRET}
    ),
    "failed": respond({"status": "success", "smtp_password": SECRET, "key": SECRET}, status=503),
}


@pytest.mark.parametrize("behaviour", WITH_SECRETS.values(), ids=WITH_SECRETS)
async def test_passwords_and_keys_are_in_no_text_and_no_log(behaviour, caplog):
    caplog.set_level(logging.DEBUG)
    revealed = []
    with FaultServer(behaviour) as server:
        async with client_of("httpx", server.url) as client:
            calls = (
                (client.settings.add_smtp, {"total_limit": 1, "hourly_limit": 1}),
                (client.settings.reset_smtp_password, {"smtp_user_name": "s"}),
                (client.settings.list_smtp, {}),
                (client.settings.list_webhook, {}),
                (client.settings.key_reset_webhook, {"webhook_id": "w"}),
                (client.settings.get_webhook_info, {"webhook_id": "w"}),
                (client.settings.delete_webhook, {"webhook_id": "w"}),
                (client.call, {"path": "settings/anything"}),
            )
            for call, arguments in calls:
                try:
                    result = await call(**arguments)
                except PowerEmailError as error:
                    texts = list(texts_of(error))
                    assert CANARY.encode() not in pickle.dumps((str(error), error.raw))
                else:
                    texts = [f"{result!r}{result}{result.raw.body!r}"]
                    revealed += [
                        found.reveal()
                        for found in (
                            getattr(result, "password", None),
                            getattr(result, "key", None),
                        )
                        if found
                    ]
                assert not [text for text in texts if CANARY in text]
    if behaviour is WITH_SECRETS["success"]:
        assert revealed == [SECRET] * 4
    for record in caplog.records:
        assert CANARY not in f"{record.getMessage()} {record.args!r} {record.msg!r}"


@pytest.mark.parametrize("engine", ["a client of httpx", "a client of httpx2"])
async def test_the_log_line_of_a_get_has_no_query(engine, caplog):
    caplog.set_level(logging.INFO)
    with FaultServer(respond()) as server:
        async with client_of(engine, server.url) as client:
            await client.messages.send_template_http_get(template())
    [line] = [
        record.getMessage()
        for record in caplog.records
        if record.name == ("httpx2" if "httpx2" in engine else "httpx")
    ]
    assert "/v1.0/messages/sendTemplateHTTPGet " in line


async def test_the_frames_of_a_cut_off_body_do_not_show_it():
    with FaultServer(reset_before_body) as server:
        async with client_of(
            "httpx", server.url, retry=poweremail.RetryPolicy(1), timeouts=poweremail.Timeouts()
        ) as client:
            with pytest.raises(poweremail.NotSentError) as caught:
                await client.messages.send_mail(large())
    assert not [text for text in texts_of(caught.value) if CANARY in text]


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_frames_of_a_truncated_response_do_not_show_it(engine):
    def cut_off(connection) -> bool:
        connection.read_body()
        user = f'{{"smtp_user_name": "s", "password": "{CANARY}"}}'
        body = f'{{"status": "success", "smtp_list": [{user}]'.encode()
        connection.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + body)
        return False

    with FaultServer(cut_off) as server:
        async with client_of(engine, server.url, retry=poweremail.RetryPolicy(1)) as client:
            with pytest.raises(poweremail.TransportError) as caught:
                await client.settings.list_smtp()
    assert not [text for text in texts_of(caught.value) if CANARY in text]


async def test_the_sandbox_keeps_no_token(tmp_path):
    path = tmp_path / "sandbox.db"
    with Sandbox(path) as sandbox:
        sandbox.add_template("t1", text="Hello")
        async with sandbox.async_client(token=TOKEN) as client:
            await client.messages.send_mail(message())
            await client.messages.send_template_http_get(template())
        assert len(sandbox.outbox) == 2
        assert CANARY not in repr([sandbox.outbox, sandbox.service, vars(sandbox)])
    for file in tmp_path.iterdir():
        assert CANARY.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    "make",
    [
        lambda: AsyncPowerEmail("owner", f"{TOKEN}\r\n", "example.com"),
        lambda: AsyncPowerEmail("owner", TOKEN, "https://example.com"),
        lambda: AsyncPowerEmail("owner", TOKEN, "example.com", transport="pigeon"),
        lambda: AsyncPowerEmail.from_env({"POWEREMAIL_TOKEN": TOKEN}),
        lambda: AsyncPowerEmail.from_env({}, token=TOKEN),
        lambda: AsyncPowerEmail.from_env(
            {"POWEREMAIL_TOKEN": TOKEN, "POWEREMAIL_OWNER_ID": "x", "POWEREMAIL_BASE_URL": "x"}
        ),
    ],
)
def test_a_wrong_option_does_not_show_the_token(make):
    with pytest.raises(poweremail.UsageError) as caught:
        make()
    assert not [text for text in texts_of(caught.value) if CANARY in text]
