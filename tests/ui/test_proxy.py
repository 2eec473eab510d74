"""The page in a real browser behind a real nginx, and opened by the address of this machine."""

import socket
from contextlib import contextmanager

import httpx
import pytest

from poweremail import Image, Message
from support.nginx import NAME, SET_UPS, Nginx
from support.plain_http import PLAIN_HTTP
from support.served import ServedSandbox

from .conftest import ARGUMENTS, chromium

DOT = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15"
    b"\xc4\x89\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\xa7\x8a\xbe\xa5\x00"
    b"\x00\x00\x00IEND\xaeB`\x82"
)


@pytest.fixture(scope="module")
def browser():
    """A browser for which mail.example.com is this machine."""
    from playwright.sync_api import sync_playwright

    arguments = [*ARGUMENTS, f"--host-resolver-rules=MAP {NAME} 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=arguments)
        yield browser
        browser.close()


@contextmanager
def opened(browser, url):
    """Open *url*, and fail if the page complains."""
    wrong = []
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda note: wrong.append(note.text) if note.type == "error" else None)
    page.goto(url)
    page.wait_for_selector("#live[data-state=on]")
    if not url.endswith("/"):
        wrong.clear()  # until the page has added the slash, its files are nowhere
    yield page
    context.close()
    assert [text for text in wrong if "Cross-Origin-Opener-Policy" not in text] == []


def works(page, sandbox, base):
    """All that a proxy may break: sample code, live updates, inline images, buttons."""
    assert f"curl {base}/v1.0/messages/sendMail" in page.locator("#sample-shell").inner_text()
    assert f'base_url="{base}/v1.0/"' in page.locator("#sample-python").inner_text()
    page.locator("[data-copy=sample-shell]").click()
    page.locator(".toast", has_text="Copied").wait_for()
    with sandbox.client() as client:
        client.messages.send_mail(
            Message(
                subject="Hi",
                from_email="me@example.com",
                to="ada@example.com",
                html='<img id="dot" src="cid:dot" alt="">',
                images=[Image.from_bytes(DOT, "dot")],
            )
        )
    page.locator("#list li").click()
    image = page.frame_locator("#tab iframe").locator("#dot")
    image.wait_for()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1
    page.get_by_role("tab", name="Events").click()
    page.get_by_role("button", name="Click", exact=True).click()
    page.locator(".history .chip.click").wait_for()
    page.keyboard.press("Delete")
    page.locator("#list li").wait_for(state="detached")
    assert sandbox.outbox == []


# tests/sandbox/test_nginx.py has the others: to a browser they are no different.
DIFFERENT = (
    "with its defaults, which replace Host",
    "that ends TLS, replaces Host and says what it was",
    "below a path that it leaves",
    "below a path without its slash",
    "that buffers whatever the sandbox says",
)


@pytest.mark.parametrize("set_up", DIFFERENT)
def test_behind_nginx(browser, tmp_path, set_up):
    scheme, path, locations = SET_UPS[set_up]
    with (
        ServedSandbox() as sandbox,
        sandbox.server(allowed_hosts=[NAME]) as server,
        Nginx(tmp_path, server.url, scheme, locations) as proxy,
        opened(browser, f"{proxy.url}{path}") as page,
    ):
        works(page, sandbox, f"{proxy.url}{path}".rstrip("/"))
        state = page.locator("#live-text").inner_text()
        assert state == ("Polling" if "buffers" in set_up else "Live")


def test_a_proxy_that_lets_go_of_the_stream_in_pieces(browser, tmp_path):
    """What comes late is known already, and polling goes on."""
    locations = """location / { proxy_pass $UP; proxy_ignore_headers X-Accel-Buffering;
    proxy_buffer_size 4k; proxy_buffers 2 4k; proxy_busy_buffers_size 4k; }"""
    with (
        ServedSandbox() as sandbox,
        sandbox.server(allowed_hosts=[NAME]) as server,
        Nginx(tmp_path, server.url, "http", locations) as proxy,
        opened(browser, f"{proxy.url}/") as page,
        sandbox.client() as client,
    ):
        page.locator("#live-text", has_text="Polling").wait_for()
        for number in range(200):  # more than the buffers hold
            client.messages.send_mail(
                Message(
                    subject=f"Mail {number}",
                    from_email="me@example.com",
                    to="ada@example.com",
                    text="t",
                )
            )
        page.locator("#list .subject", has_text="Mail 199").wait_for()
        page.wait_for_timeout(3_000)  # more than two polls
        client.messages.send_mail(
            Message(subject="Last", from_email="me@example.com", to="ada@example.com", text="t")
        )
        page.locator("#list .subject", has_text="Last").wait_for(timeout=15_000)
        numbers = page.eval_on_selector_all("#list li", "rows => rows.map(row => row.id)")
        assert len(numbers) == len(set(numbers))


def own_address():
    """Return an address of this machine that is not loopback, which is no secure context."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return probe.getsockname()[0]


def test_opened_by_the_address_of_the_machine(browser):
    address = own_address()
    with ServedSandbox() as sandbox, sandbox.server("0.0.0.0") as server:
        url = server.url.replace("127.0.0.1", address)
        with opened(browser, f"{url}/") as page:
            works(page, sandbox, url)


def test_opened_with_a_password(browser, tmp_path):
    from poweremail.sandbox._server.auth import hash_password

    file = tmp_path / "users"
    file.write_text(f"ada:{hash_password('right')}\n")
    with ServedSandbox() as sandbox, sandbox.server(auth=file) as server:
        assert httpx.get(server.url, **PLAIN_HTTP).status_code == 401
        context = browser.new_context(http_credentials={"username": "ada", "password": "right"})
        page = context.new_page()
        page.goto(server.url)
        page.wait_for_selector("#live[data-state=on]")
        works(page, sandbox, server.url)
        context.close()
