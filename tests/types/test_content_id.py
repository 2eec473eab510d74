"""References to a Content-ID: in tags and style sheets, and nowhere else."""

from __future__ import annotations

import time

import pytest

from poweremail import Message
from poweremail._types.content_id import cid_references


@pytest.mark.parametrize(
    "html",
    [
        '<img src="cid:a">',
        "<img src=cid:a>",
        "<IMG/SRC='CID:a'>",
        '<img alt="x > y" src = " cid:a">',
        '<img alt="5" disk" src=cid:a>',
        '<td background="cid:a">',
        "<p style='background:url(cid:a)'>",
        "<style>p { background: url( 'cid:a' ) }</style>",
        '<!--[if mso]><v:fill src="cid:a"/><![endif]-->',
    ],
)
def test_cid_references_in_html_are_found(html):
    assert [found[2] for found in cid_references(html)] == ["a"]


@pytest.mark.parametrize(
    "html",
    [
        "<p>write src=cid:a to show it",
        '<code>&lt;img src="cid:a"&gt;</code>',
        '<a href="https://example.com/?u=cid:a&v=cid:b">',
        '<!-- <img src="cid:a"> -->',
        '<p title="the scheme cid:a">',
    ],
)
def test_cids_in_text_and_comments_are_no_references(html):
    assert list(cid_references(html)) == []
    Message(subject="s", from_email="me@example.com", to="ada@example.com", html=html)


@pytest.mark.parametrize(
    "piece", ["<a ", "<a '", "<a \"'", "<style", "<!--", "src=", " a", "<a a=cid:"]
)
def test_the_search_takes_linear_time(piece):
    html = piece * (500_000 // len(piece))
    began = time.process_time()
    list(cid_references(html))
    assert time.process_time() - began < 5
