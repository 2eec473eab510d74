"""The body of a response while it is read: inflated, and no larger than allowed."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poweremail import ProtocolError, transports
from poweremail.transports import ResponseBody

TEXT = b"Hello, Ada! " * 100


def chunked(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        (None, TEXT),
        ("", TEXT),
        (" Identity ", TEXT),
        ("gzip", gzip.compress(TEXT, mtime=0)),
        ("X-GZIP", gzip.compress(TEXT, mtime=0)),
        ("deflate", zlib.compress(TEXT)),
        ("gzip", b""),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_chunks_become_the_body(encoding, data, size):
    body = ResponseBody(encoding, len(TEXT))
    assert all(body.feed(chunk) for chunk in chunked(data, size))
    assert body.finish() == (TEXT if data else b"")
    assert body.failure is None


@given(st.binary(max_size=50), st.integers(1, 50))
def test_the_limit_is_exact(data, limit):
    body = ResponseBody(None, limit)
    assert body.feed(data) is (len(data) <= limit)
    if len(data) <= limit:
        assert body.finish() == data
    else:
        with pytest.raises(ProtocolError, match=f"larger than {limit} bytes"):
            body.finish()


def test_the_limit_counts_inflated_bytes():
    body = ResponseBody("gzip", 1_000)
    assert not body.feed(gzip.compress(bytes(10_000_000)))
    assert not body.feed(b"more")
    with pytest.raises(ProtocolError, match="larger than 1000 bytes") as caught:
        body.finish()
    assert not caught.value.temporary


@pytest.mark.parametrize(
    ("encoding", "data", "text"),
    [
        ("br", b"", "the response is encoded as 'br', which was not requested"),
        ("gzip", b"no gzip", "the response cannot be inflated: "),
        (
            "gzip",
            gzip.compress(TEXT, mtime=0)[:-9],
            "the response ends before its compressed content does",
        ),
    ],
)
def test_a_body_that_cannot_be_inflated_is_a_temporary_error(encoding, data, text):
    body = ResponseBody(encoding, 10_000)
    body.feed(data)
    with pytest.raises(ProtocolError) as caught:
        body.finish()
    assert str(caught.value).startswith(text)
    assert caught.value.temporary


def test_the_old_name_works_and_warns():
    with pytest.warns(DeprecationWarning, match="poweremail.transports.ResponseBody"):
        assert transports.AnswerBody is ResponseBody
