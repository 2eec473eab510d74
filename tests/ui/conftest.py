"""
The page in a real browser.

The browser is Debian's chromium. Where there is none the tests are skipped; in continuous
integration they fail, so that nobody takes a page that was not looked at for one that works.
Screenshots are left in ``artifacts``, or where POWEREMAIL_ARTIFACTS says.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path
from urllib.parse import urljoin

import pytest

from support.receiver import HANDSHAKE, Receiver
from support.served import ServedSandbox

from .scene import play

ARTIFACTS = Path(os.environ.get("POWEREMAIL_ARTIFACTS") or Path(__file__).parents[2] / "artifacts")
ARGUMENTS = [
    "--no-sandbox",  # tests run as root in containers
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def chromium():
    """Return the program, or skip the test."""
    program = shutil.which("chromium")
    if program is None:
        message = "Debian's chromium is not installed"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return program


# Not of the whole session: as long as playwright runs, its event loop counts as running on this
# thread, and others cannot.
@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def sandbox():
    """A sandbox of its own for each test: its first mail has number 1."""
    with ServedSandbox() as sandbox, sandbox.server() as server:
        sandbox.url = server.url
        yield sandbox


@pytest.fixture
def scene(sandbox):
    """An afternoon in the sandbox, and the URL of the receiver that was told of it."""
    with Receiver({"POST": (200, HANDSHAKE)}) as receiver:
        url = urljoin(receiver.url, "/hooks/mail")
        play(sandbox, url)
        deadline = time.monotonic() + 10
        while any(delivery.state != "delivered" for delivery in sandbox.deliveries):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield url


@pytest.fixture
def open_page(browser, sandbox):
    """
    Open the page, and say at the end what it should not have done: an error in a script, a request
    to elsewhere.
    """
    contexts, wrong, complaints = [], [], []

    def note_request(request):
        # What its headers forbid the browser reports as well, as failed for that reason.
        if not request.url.startswith(
            (sandbox.url, "data:", *open_page.allowed)
        ) and request.failure not in ("csp", "origin"):
            wrong.append(f"request {request.url} {request.failure}")

    def open_page(width=1280, height=800, path="/", **options):
        context = browser.new_context(
            viewport={"width": width, "height": height},
            locale="en-GB",
            timezone_id="UTC",
            **options,
        )
        context.set_default_timeout(60_000)  # in milliseconds, on a machine that may be busy
        contexts.append(context)
        context.on("requestfinished", note_request)
        context.on("requestfailed", note_request)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"error {error}"))
        page.on(
            "console",
            lambda message: (
                complaints.append(f"{message.text} {url_of(message)}")
                if message.type == "error" and not ours(url_of(message))
                else None
            ),
        )
        page.goto(sandbox.url + path)
        page.wait_for_selector("#live[data-state=on]")
        return page

    def url_of(message):
        return (message.location or {}).get("url", "")

    def ours(url):
        # That the frame of a mail was kept from something is no mistake of the page, nor that a
        # mail was deleted while the page was reading it.
        read = re.search(r"/messages/(\d+)", url)
        is_gone = read is not None and int(read[1]) not in [mail.number for mail in sandbox.outbox]
        return is_gone or "/html" in url or url.startswith(tuple(open_page.allowed))

    open_page.complaints = complaints
    open_page.allowed = []  # servers that the page may ask, whatever comes of it
    yield open_page
    for context in contexts:
        context.close()
    assert (wrong, complaints) == ([], [])


@pytest.fixture
def screenshot():
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    return lambda page, name: page.screenshot(path=ARTIFACTS / f"{name}.png", animations="disabled")
