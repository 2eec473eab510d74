"""What a host is."""

from __future__ import annotations

import pytest

from poweremail._types.checks import is_host


@pytest.mark.parametrize(
    "text",
    [
        "localhost",
        "smtp.example.com",
        "smtp.example.com.",
        "mail_hog",
        "xn--bcher-kva.example",
        "bücher.example",
        "127.0.0.1",
        "::1",
    ],
)
def test_valid_host_names(text):
    assert is_host(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        "bad!host",
        "a b",
        "a..b",
        "-a",
        "a-",
        "a/b",
        "a:25",
        "[::1]",
        "smtp://a",
        "a\n",
        "a" * 64,
        "a." * 126 + "aa",
    ],
)
def test_invalid_host_names(text):
    assert not is_host(text)
