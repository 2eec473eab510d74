"""Which spellings are one address, and what an entry may be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poweremail import ConfigurationError, UsageError
from poweremail._types.address_forms import fold_address
from poweremail.suppression import EVERY_STREAM, Suppression

SAME = [
    ("ada@example.com", "ADA@EXAMPLE.COM"),
    ("ada@example.com", "  Ada Lovelace <Ada@Example.com> "),
    ("ada@example.com", '"ada"@example.com'),
    ('"a b"@example.com', '"A B"@example.com'),
    ('"a b"@example.com', '"a\\ b"@example.com'),
    ('"a\\"b"@example.com', '"\\a\\"\\b"@example.com'),
    ("ada@xn--n3h.example", "ada@☃.example"),
    ("ada@xn--n3h.xn--bcher-kva.example", "ada@☃.BÜCHER.example"),
    ("ada@xn--bcher-kva.example", "ada@bücher.example"),
    ("ada@xn--bcher-kva.example", "ada@BÜCHER.example"),
    ("rené@example.com", "rene\u0301@example.com"),
    ("ada+news@example.com", "Ada+NEWS@example.com"),
]
DIFFERENT = [
    ("ada@example.com", "ada+news@example.com"),
    ("ada.l@example.com", "adal@example.com"),
    ("ada@example.com", "ada@mail.example.com"),
    ('"a b"@example.com', "ab@example.com"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_of_one_address_are_one_entry(one, other):
    assert Suppression(one).address == Suppression(other).address


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_addresses_are_others(one, other):
    assert Suppression(one).address != Suppression(other).address


@given(st.from_regex(r"\A[A-Za-z0-9+]{1,9}@[A-Za-zäöü]{1,9}\.[a-z]{2,4}\Z"))
def test_the_form_is_stable(address):
    form = fold_address(address)
    assert fold_address(form) == form
    assert fold_address(address.swapcase()) == form


@pytest.mark.parametrize("address", ["", "ada", "ada@", "a@b@c", "a@b.c, d@e.f", None, 7])
def test_an_entry_needs_an_address(address):
    with pytest.raises(UsageError):
        Suppression(address)


@pytest.mark.parametrize("stream", ["", "a b", "*x", "x" * 65, "näws", None, "a\n"])
def test_an_entry_needs_the_name_of_a_stream(stream):
    with pytest.raises(UsageError, match="stream: must be"):
        Suppression("ada@example.com", stream)


def test_the_rest_of_an_entry_is_checked():
    with pytest.raises(ConfigurationError, match="reason: must be one of"):
        Suppression("ada@example.com", reason="whim")
    with pytest.raises(ConfigurationError, match="since: must be a datetime with a time zone"):
        Suppression("ada@example.com", since=datetime(2026, 1, 1))  # noqa: DTZ001
    east = timezone(timedelta(hours=2))
    entry = Suppression("ada@example.com", since=datetime(2026, 1, 1, 1, tzinfo=east))
    assert entry.since.isoformat() == "2025-12-31T23:00:00+00:00"
    assert abs(Suppression("a@b.c").since - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_time_that_a_store_could_not_give_back_is_refused():
    for since in (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)):
        with pytest.raises(ConfigurationError, match="since: must be after the year 1"):
            Suppression("ada@example.com", since=since)


def test_an_entry_applies_to_its_stream_or_to_all():
    news, every = Suppression("a@b.c", "news"), Suppression("a@b.c", EVERY_STREAM)
    assert [news.applies_to(stream) for stream in ("news", "offers", None)] == [True, False, False]
    assert [every.applies_to(stream) for stream in ("news", "offers", None)] == [True, True, True]
