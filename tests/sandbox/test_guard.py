"""Which pages may use the sandbox from a browser."""

import httpx
import pytest

from poweremail._types.checks import is_loopback
from poweremail.sandbox._server.app import create_app
from poweremail.sandbox._server.guard import host_of

SEND = "/v1.0/messages/sendMail"
GET = "/v1.0/messages/sendTemplateHTTPGet"


@pytest.fixture
async def client(sandbox):
    app = create_app(
        sandbox.service, allowed_hosts=["mail.test", "*.mail.test", ".dot.test", "0.0.0.0", "::"]
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost:8025"
    ) as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/", "/_sandbox/messages", "/_sandbox/static/main.js", "/_sandbox/docs", "/_sandbox"]
)
@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:8025", True),
        ("sandbox.localhost", True),
        ("127.0.0.1:8025", True),
        ("127.1.2.3", True),
        ("[::1]:8025", True),
        ("mail.test:1", True),
        ("mail.test.evil.example", False),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("10.0.0.1", True),
        ("192.168.1.20:8025", True),
        ("[fe80::1]:8025", True),
        ("a.mail.test", True),
        ("A.B.mail.test:1", True),
        ("mail.test.", True),
        ("amail.test", False),
        ("dot.test", True),
        ("a.dot.test", True),
        ("adot.test", False),
        ("10.0.0.1.evil.example", False),
        ("10.0.0", False),
        ("[::ffff:0.0.0.0]", False),
        ("0.0.0.0:8025", False),
        ("[::]:8025", False),
        ("", False),
        ("localhost:8025@evil.example", False),
        ("a b", False),
    ],
)
async def test_hosts(client, path, host, allowed):
    response = await client.get(path, headers={"Host": host})
    assert (response.status_code != 403) is allowed
    if not allowed:
        assert response.json()["error"].startswith("This host is not one of the sandbox's.")


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Origin": "http://localhost:8025", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "https://localhost:8025"}, True),
        ({"Origin": "http://localhost:9000"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "none"}, True),
        # A proxy replaced Host.
        ({"Origin": "https://mail.test"}, True),
        ({"Origin": "https://mail.test:8443", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "http://a.mail.test"}, True),
        ({"Origin": "https://mail.test", "Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "http://localhost:9000", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "http://localhost:9000", "X-Sandbox-Page": "1"}, True),
        ({"Origin": "http://10.0.0.1", "X-Sandbox-Page": "1"}, True),
        ({"Origin": "http://10.0.0.1"}, False),
        ({"Origin": "http://evil.example", "X-Sandbox-Page": "1"}, False),
        ({"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}, False),
        ({"Origin": "null", "X-Sandbox-Page": "1"}, False),
        ({"Origin": "file://mail.test"}, False),
        # What a proxy says of the host can only be one more reason.
        ({"Origin": "https://mail.test", "X-Forwarded-Host": "mail.test"}, True),
        ({"Origin": "http://evil.example", "X-Forwarded-Host": "evil.example"}, False),
        ({"Origin": "https://mail.test", "X-Forwarded-Host": "mail.test, evil.example"}, False),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/_sandbox/reset"), ("DELETE", "/_sandbox/messages"), ("POST", SEND), ("GET", GET)],
)
async def test_origins(client, method, path, headers, allowed):
    response = await client.request(method, path, headers=headers)
    assert (response.status_code != 403) is allowed


async def test_a_preflight_permits_nothing(client):
    """So no page of another origin can send the header of the sandbox's own page."""
    response = await client.options(
        "/_sandbox/messages",
        headers={
            "Origin": "http://10.0.0.1",
            "Access-Control-Request-Method": "DELETE",
            "Access-Control-Request-Headers": "x-sandbox-page",
        },
    )
    assert response.status_code == 403
    assert not [name for name in response.headers if name.startswith("access-control")]


async def test_a_pattern_for_every_name_names_no_page(sandbox):
    app = create_app(sandbox.service, allowed_hosts=["*"])
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://any.example"
    ) as client:
        assert (await client.get("/")).status_code == 200
        for origin, status in (("http://any.example", 200), ("http://evil.example", 403)):
            response = await client.post("/_sandbox/reset", headers={"Origin": origin})
            assert response.status_code == status


async def test_a_proxy_that_names_a_foreign_host_shows_no_mail(client):
    """A name that was made to point at a proxy, which replaces Host."""
    for path in ("/", "/_sandbox/messages"):
        response = await client.get(path, headers={"X-Forwarded-Host": "evil.example"})
        assert response.status_code == 403


async def test_programs_reach_the_api_under_any_name(client):
    assert (await client.post(SEND, headers={"Host": "sandbox:8025"})).json()["status"] == "error"
    # But no page does whose name was made to point here.
    evil = {
        "Host": "evil.example",
        "Origin": "http://evil.example",
        "Sec-Fetch-Site": "same-origin",
    }
    assert (await client.post(SEND, headers=evil)).status_code == 403
    assert (
        await client.get(GET, headers={"Host": "evil.example", "Sec-Fetch-Site": "same-origin"})
    ).status_code == 403


async def test_a_link_of_another_site_leads_to_the_page(client):
    """Somebody follows a link to the page; what it shows they alone can read."""
    response = await client.get(
        "/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    )
    assert response.status_code == 200
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    "path", ["/_sandbox/messages", "/_sandbox/stream", "/_sandbox/static/main.js"]
)
async def test_another_site_may_not_even_read(client, path):
    response = await client.get(
        path, headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    )
    assert (response.status_code, response.json()) == (
        403,
        {"error": "A page of another site may not use the sandbox."},
    )


@pytest.mark.parametrize(
    "path",
    ["/", "/_sandbox/docs", "/_sandbox/static/main.js", "/_sandbox/messages", "/_sandbox/nothing"],
)
async def test_every_response_restricts_the_browser(client, path):
    headers = (await client.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]


@pytest.mark.parametrize(
    ("path", "host"),
    [("/v1.0/nothing", "localhost"), ("/favicon.ico", "localhost"), ("/", "evil.example")],
)
async def test_responses_of_the_api_and_403_do_nothing_in_a_browser(client, path, host):
    headers = (await client.get(path, headers={"Host": host})).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers.get_list("content-security-policy") == [
        "default-src 'none'; sandbox; frame-ancestors 'none'"
    ]


async def test_the_page_loads_nothing_from_other_hosts(client):
    page = (await client.get("/")).text
    assert "//" not in page
    for name in ("main.js", "base.css", "panes.css", "message.css", "theme.js", "icon.svg"):
        assert f'"_sandbox/static/{name}"' in page
        assert (await client.get(f"/_sandbox/static/{name}")).status_code == 200


async def test_a_post_to_the_page_is_one_to_the_api(client):
    assert (await client.post("/")).json() == {"status": "error", "message": "Page not found"}


@pytest.mark.parametrize(
    ("header", "host"),
    [("a:1", "a"), ("[::1]", "::1"), ("[::1]:5", "::1"), ("a:x", None), ("a/b", None)],
)
def test_the_host_of_a_header(header, host):
    assert host_of(header) == host


@pytest.mark.parametrize(
    ("host", "expected"),
    [("::1", True), ("::ffff:10.0.0.1", False), ("localhost.", False), ("x", False)],
)
def test_loopback(host, expected):
    assert is_loopback(host) is expected
