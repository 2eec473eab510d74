"""Behind a real nginx: what a browser asks for, and what the sandbox makes of it."""

import re
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from poweremail import Message, PowerEmail
from support.nginx import NAME, SET_UPS, Nginx
from support.plain_http import PLAIN_HTTP

MAIL = Message(subject="Hi", from_email="me@example.com", to="ada@example.com", text="Hello")


PAGE = Path(__file__).parents[2] / "docs" / "share-sandbox.md"
SET_UPS = SET_UPS | {
    "as the docs have it": (
        "https",
        "/mail/",
        re.search(r"^    location .*?^    }", PAGE.read_text(), re.MULTILINE | re.DOTALL)[
            0
        ].replace("http://127.0.0.1:8025", "$UP"),
    )
}


@pytest.fixture
def server(sandbox):
    with sandbox.server(allowed_hosts=["*.example.com"]) as server:
        yield server


@pytest.fixture(params=SET_UPS)
def proxy(request, server, tmp_path):
    scheme, path, locations = SET_UPS[request.param]
    with Nginx(tmp_path, server.url, scheme, locations) as proxy:
        proxy.page = f"{proxy.address}{path}"
        yield proxy


def browser(proxy, **headers):
    """Return a client that does as a browser that has opened mail.example.com."""
    host = f"{NAME}:{proxy.port}"
    return httpx.Client(headers={"Host": host, **headers}, **PLAIN_HTTP)


def test_the_page_and_all_that_it_needs(proxy):
    with browser(proxy, Accept="text/html") as client:
        page = client.get(proxy.page)
        assert "<title>PowerEmail sandbox</title>" in page.text
        # The page adds the slash itself if it is missing.
        base = proxy.page.rstrip("/") + "/"
        addresses = re.findall(r'(?:href|src)="(?!#)([^"]+)"', page.text)
        assert len(addresses) >= 6
        for address in [*addresses, "_sandbox/static/api.js", "_sandbox/messages"]:
            assert client.get(urljoin(base, address)).status_code == 200, address


def test_a_button_of_the_page_works_and_one_of_another_page_does_not(proxy, sandbox):
    with sandbox.client() as client:
        client.messages.send_mail(MAIL)
    base = proxy.page.rstrip("/")
    with browser(proxy) as client:
        own = {"Origin": proxy.url}
        for headers, status in (
            (own, 200),
            (own | {"Sec-Fetch-Site": "same-origin"}, 200),
            ({"Origin": f"{proxy.url}0", "Sec-Fetch-Site": "same-site"}, 403),
            ({"Origin": "https://evil.test"}, 403),
            ({"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}, 403),
        ):
            url = f"{base}/_sandbox/messages/1/events"
            response = client.post(url, json={"kind": "open"}, headers=headers)
            assert response.status_code == status, headers


def test_programs_send_through_it(proxy, sandbox):
    if proxy.page.startswith("https:"):
        pytest.skip("the certificate is nobody's")
    base_url = f"{proxy.page.rstrip('/')}/v1.0/"
    with PowerEmail("a", "b", base_url=base_url, smtp_user_name="s") as client:
        client.messages.send_mail(MAIL)
    assert len(sandbox.outbox) == 1


def test_the_stream_begins_at_once_unless_it_is_held_back(proxy, request):
    url = f"{proxy.page.rstrip('/')}/_sandbox"
    if "buffers" in request.node.name:
        with browser(proxy, **{"X-Sandbox-Page": "1"}) as client:
            assert client.get(f"{url}/changes").json()["changes"] == []
        return
    with browser(proxy) as client, client.stream("GET", f"{url}/stream") as response:
        assert next(response.iter_raw()).startswith(b": stream")


def test_a_foreign_name_that_points_at_the_proxy_is_refused_if_the_proxy_says_it(server, tmp_path):
    locations = SET_UPS["that ends TLS, replaces Host and says what it was"][2]
    with Nginx(tmp_path, server.url, "http", locations) as proxy:
        for host, status in ((NAME, 200), ("rebound.test", 403)):
            response = httpx.get(f"{proxy.address}/_sandbox/messages", headers={"Host": host})
            assert response.status_code == status
