"""Attachments that are read while they are sent."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
import tempfile
import threading

import pytest

from _async.ways import ENGINES, WAYS, client_of, reached, until
from poweremail import Attachment, DeliveryUnknownError, Image, NotSentError, Timeouts, UsageError
from poweremail.sandbox import Fault
from support.fault_server import (
    FaultServer,
    reset_after_body,
    reset_before_body,
    reset_in_body,
    respond,
)
from support.messages import message

CONTENT = os.urandom(1_000_003)
# The sandbox stores all of it before it answers, on a machine that may be busy.
PATIENT = Timeouts(read=30)


class Stream:
    """Yields *chunks*, and counts how often it was begun."""

    def __init__(self, *chunks: object) -> None:
        self.chunks = iter(chunks)
        self.begun = 0

    def __aiter__(self):
        self.begun += 1
        return self

    async def __anext__(self):
        for chunk in self.chunks:
            return chunk
        raise StopAsyncIteration


def chunked(content: bytes, size: int = 77_777) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


@pytest.mark.parametrize("way", WAYS)
async def test_each_source_arrives_whole(way, served, tmp_path):
    path = tmp_path / "content.bin"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        attachments = [
            Attachment.from_path(path),
            Attachment.from_bytes(CONTENT, "bytes.bin"),
            Attachment.from_file(file, "file.bin"),
            Attachment.from_file(io.BytesIO(CONTENT), "io.bin"),
            Attachment.from_stream(Stream(*chunked(CONTENT)), "stream.bin", size=len(CONTENT)),
            Attachment.from_stream(chunked(CONTENT, 5), "iterable.bin"),
        ]
        images = [
            Image.from_stream(Stream(b"\x89PNG"), "logo", type="image/png"),
            Image.from_file(io.BytesIO(b"GIF8"), "dot.gif"),
        ]
        async with reached(way, served, timeouts=PATIENT) as client:
            await client.messages.send_mail(message(attachments=attachments, images=images))
    [mail] = served.outbox
    assert [file.name for file in mail.attachments] == [
        "content.bin",
        "bytes.bin",
        "file.bin",
        "io.bin",
        "stream.bin",
        "iterable.bin",
    ]
    assert all(file.content == CONTENT for file in mail.attachments)
    assert [(file.type, file.content) for file in mail.images] == [
        ("image/png", b"\x89PNG"),
        ("image/gif", b"GIF8"),
    ]


@pytest.mark.parametrize("found", ["all", "a part", "nothing"])
async def test_a_file_arrives_whole_whether_or_not_the_system_has_it_in_memory(
    found, tmp_path, monkeypatch
):
    def preadv(file, buffers, offset, flags):
        if found == "nothing":
            raise BlockingIOError
        [buffer] = buffers
        size = len(buffer) if found == "all" else len(buffer) // 2
        buffer[:size] = os.pread(file, size, offset)
        return size

    monkeypatch.setattr(os, "preadv", preadv)
    path = tmp_path / "content.bin"
    path.write_bytes(CONTENT)
    with FaultServer(respond()) as server:
        async with client_of("httpx", server.url) as client:
            await client.messages.send_mail(message(attachments=[Attachment.from_path(path)]))
    [file] = server.seen[0].json["message"]["attachments"]
    assert base64.b64decode(file["content"]) == CONTENT


@pytest.mark.parametrize("known", [True, False])
async def test_the_length_is_announced_where_it_is_known(known):
    stream = Attachment.from_stream(
        Stream(CONTENT), "stream.bin", size=len(CONTENT) if known else None
    )
    with FaultServer(respond()) as server:
        async with client_of("httpx", server.url) as client:
            await client.messages.send_mail(message(attachments=[stream]))
    [request] = server.seen
    assert request.headers.get("content-length") == (str(len(request.body)) if known else None)
    assert request.headers.get("transfer-encoding") == (None if known else "chunked")
    assert request.json["message"]["attachments"][0]["name"] == "stream.bin"


async def test_a_retry_sends_the_body_again(tmp_path):
    path = tmp_path / "content.bin"
    path.write_bytes(CONTENT * 8)
    file = io.BytesIO(b"header" + CONTENT)
    file.seek(6)
    mail = message(attachments=[Attachment.from_path(path), Attachment.from_file(file, "file.bin")])
    with FaultServer(reset_before_body, reset_before_body, respond()) as server:
        async with client_of("httpx", server.url) as client:
            assert (await client.messages.send_mail(mail)).attempts == 3
            await client.messages.send_mail(mail)
    first, second = (
        [file["content"] for file in request.json["message"]["attachments"]]
        for request in server.seen
    )
    assert first == second


async def test_a_stream_that_has_been_read_is_not_sent_again():
    stream = Stream(*chunked(CONTENT * 8))
    mail = message(attachments=[Attachment.from_stream(stream, "stream.bin")])
    with FaultServer(reset_in_body, respond()) as server:
        async with client_of("httpx", server.url) as client:
            with pytest.raises(NotSentError):
                await client.messages.send_mail(mail)
            with pytest.raises(
                UsageError, match="not sent: content: the stream has been read already"
            ):
                await client.messages.send_mail(mail)
    assert (server.posts, stream.begun) == (0, 1)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_mail_whose_end_cannot_be_written_is_not_sent(engine, request):
    """The connection breaks while the stream is read to its end, before the last piece is due."""
    outcome = NotSentError
    if request.node.callspec.params["anyio_backend"] == "asyncio":  # async only
        # Streams of asyncio do not report at once that the system refused to write.  # async only
        outcome = (NotSentError, DeliveryUnknownError)  # async only
    is_reset = threading.Event()

    def reset(connection) -> bool:
        connection._read(262_300)  # nearly all before the last piece
        connection.reset()
        connection.socket.close()
        is_reset.set()
        return False

    class Ending(Stream):
        async def __anext__(self):
            if chunk := next(self.chunks, None):
                return chunk
            await until(is_reset.is_set)
            raise StopAsyncIteration

    # As large as a piece of the body, so that all before the last one has been written.
    stream = Attachment.from_stream(Ending(bytes(192 * 1024)), "x.bin", size=192 * 1024)
    with FaultServer(reset) as server:
        async with client_of(engine, server.url, timeouts=PATIENT) as client:
            with pytest.raises(outcome):
                await client.messages.send_mail(message(attachments=[stream]))
    assert server.posts == 0


async def test_a_stream_that_has_not_been_read_is_sent_again(served):
    served.faults.add(Fault.refuse(), times=2)
    mail = message(attachments=[Attachment.from_stream(Stream(CONTENT), "stream.bin")])
    async with reached("in-process", served) as client:
        assert (await client.messages.send_mail(mail)).attempts == 3


async def test_a_stream_is_not_sent_again_after_a_lookup():
    with FaultServer(
        reset_after_body, respond({"status": "success", "message_data": []})
    ) as server:
        async with client_of(
            "httpx", server.url, on_unknown="reconcile", visibility=0, resend_after=0.01
        ) as client:
            with pytest.raises(DeliveryUnknownError):
                await client.messages.send_mail(
                    message(attachments=[Attachment.from_stream(Stream(CONTENT), "stream.bin")])
                )
    first, *others = [request.path.rpartition("/")[2] for request in server.seen]
    assert (first, set(others)) == ("sendMail", {"getMessageInfo"})


@pytest.mark.parametrize(
    ("chunks", "size", "text"),
    [
        ([b"123"], 4, "not as long as the 4 bytes"),
        ([b"123", b"45"], 4, "not as long as the 4 bytes"),
        ([b"123", "45"], None, "yielded str, not bytes"),
        ([5], 4, "yielded int, not bytes"),
    ],
)
async def test_a_stream_of_another_length_than_announced_is_not_sent(chunks, size, text):
    with FaultServer(respond()) as server:
        async with client_of("httpx", server.url) as client:
            with pytest.raises(UsageError, match=f"not sent: content: .*{text}"):
                await client.messages.send_mail(
                    message(
                        attachments=[Attachment.from_stream(Stream(*chunks), "x.bin", size=size)]
                    )
                )
            await client.messages.send_mail(message())
    assert server.posts == 1


async def test_an_error_of_the_stream_is_reported():
    async def failing():
        yield b"1"
        raise LookupError("the source broke")

    with FaultServer(respond()) as server:
        async with client_of("httpx", server.url) as client:
            with pytest.raises(
                UsageError,
                match="not sent: content: the stream failed: LookupError: the source broke",
            ):
                await client.messages.send_mail(
                    message(attachments=[Attachment.from_stream(failing(), "x.bin")])
                )
            await client.messages.send_mail(message())
    assert server.posts == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["of this world", "of both"])
async def test_a_generator_is_closed_where_the_connection_breaks(way, served, kind):
    begun, closed = [], []

    async def source():
        begun.append(True)
        try:
            for _ in range(400):
                yield bytes(100_000)
        finally:
            closed.append(True)

    def plain():
        begun.append(True)
        try:
            for _ in range(400):
                yield bytes(100_000)
        finally:
            closed.append(True)

    served.faults.add(Fault.reset_before_acceptance())
    stream = source() if kind == "of this world" else plain()
    async with reached(way, served) as client:
        with pytest.raises(NotSentError):
            await client.messages.send_mail(
                message(attachments=[Attachment.from_stream(stream, "x.bin")])
            )
        # At once, and not only when the garbage collector finds it.
        assert closed == begun
    del stream
    assert served.outbox == []


async def test_a_file_that_was_closed_is_not_sent(tmp_path):
    with tempfile.TemporaryFile() as file:
        file.write(CONTENT)
        file.seek(0)
        mail = message(attachments=[Attachment.from_file(file, "x.bin")])
    with FaultServer(respond()) as server:
        async with client_of("httpx", server.url) as client:
            with pytest.raises(UsageError, match="not sent: content: cannot read"):
                await client.messages.send_mail(mail)
    assert server.posts == 0


@pytest.mark.parametrize("kind", ["bytes", "path", "stream"])
async def test_a_limit_of_the_service_is_kept(tmp_path, kind):
    path = tmp_path / "x.bin"
    path.write_bytes(CONTENT)
    attachment = {
        "bytes": lambda: Attachment.from_bytes(CONTENT, "x.bin"),
        "path": lambda: Attachment.from_path(path),
        "stream": lambda: Attachment.from_stream(Stream(*chunked(CONTENT)), "x.bin"),
    }[kind]
    with FaultServer(respond()) as server:
        async with client_of("httpx", server.url, max_request_bytes=1_000_000) as client:
            with pytest.raises(UsageError, match="not sent: message: .*max_request_bytes"):
                await client.messages.send_mail(message(attachments=[attachment()]))
            await client.messages.send_mail(message())
        async with client_of("httpx", server.url, max_request_bytes=2_000_000) as client:
            await client.messages.send_mail(message(attachments=[attachment()]))
    assert server.posts == 2


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # async only
@pytest.mark.parametrize("kind", ["path", "file", "stream", "bytes"])
async def test_a_large_attachment_costs_little_memory(kind, tmp_path):
    """
    20 MB: at most 8 MB more at the peak, in a process of its own; where they are given as bytes,
    these have been counted before.
    """
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(20_000_000))
    with FaultServer(respond()) as server:
        done = subprocess.run(
            [sys.executable, "-m", "_async.memory", kind, str(path), server.url],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(["tests", *sys.path])},
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert len(server.seen[-1].body) > 26_666_666
    extra = int(done.stdout)
    assert extra <= 8_000_000, f"{extra:,} bytes"
