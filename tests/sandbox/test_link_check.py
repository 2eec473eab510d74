"""A check of links sends requests only where it may."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from threading import Thread

import httpx
import pytest

from poweremail import Message
from poweremail.errors import ConfigurationError
from poweremail.sandbox import Sandbox
from poweremail.sandbox._release.link_check import LinkHosts, check_link
from support.plain_http import PLAIN_HTTP


class Site(BaseHTTPRequestHandler):
    """``/200`` responds 200; ``/to/URL`` redirects to URL."""

    def do_HEAD(self) -> None:
        self.server.seen.append(
            (self.headers["Host"], self.path, self.headers.get("Authorization"))
        )
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
        else:
            self.send_response(int(self.path[1:]))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(address="127.0.0.1"):
    server = ThreadingHTTPServer((address, 0), Site)
    server.seen = []
    Thread(target=server.serve_forever, args=(0.01,)).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def site():
    with serving() as site:
        yield site


@pytest.fixture
def names(monkeypatch):
    """Names that resolve to what is set here, as a DNS server would say; the last stays."""
    addresses = dict[str, list[str]]()
    resolve = socket.getaddrinfo

    def getaddrinfo(host, port, *args, **options):
        known = addresses.get(host)
        if known is None:
            return resolve(host, port, *args, **options)
        found = known.pop(0) if len(known) > 1 else known[0]
        return [each for one in found.split() for each in resolve(one, port, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return addresses


def url(site, path="/200", host="localhost"):
    return f"http://{host}:{site.server_port}{path}"


def check(link, *allowed):
    return check_link(link, LinkHosts.from_entries(allowed))


@pytest.mark.parametrize(
    ("path", "ok", "result"),
    [
        ("/200", True, "200 OK"),
        ("/404", False, "404 Not Found"),
        ("/403", None, "403 Forbidden"),
        ("/599", False, "599"),
        ("/to//200", True, "200 OK, after a redirect to "),
    ],
)
def test_what_a_link_leads_to(site, path, ok, result):
    found = check(url(site, path), "localhost")
    assert found.ok is ok
    assert found.result.startswith(result)


def test_by_default_no_request_is_sent(site):
    found = check(url(site))
    assert (found.ok, site.seen) == (None, [])
    assert found.result == ("not checked: the sandbox was not started with --check-links localhost")


def test_a_name_that_is_allowed_may_not_lead_to_a_private_address(site, names):
    names["shop.example.com"] = ["127.0.0.1"]
    link = url(site, host="shop.example.com")
    found = check(link, "*.example.com")
    assert found.result == (
        "not checked: shop.example.com has the address 127.0.0.1, which is not public"
    )
    assert site.seen == []
    assert check(link, "*.example.com", "127.0.0.0/8").ok
    assert site.seen == [(f"shop.example.com:{site.server_port}", "/200", None)]


def test_one_private_address_among_public_ones_is_enough_to_refuse(site, names):
    names["shop.example.com"] = ["93.184.215.14 127.0.0.1"]
    assert "127.0.0.1" in check(url(site, host="shop.example.com"), "shop.example.com").result
    assert site.seen == []


def test_a_name_that_changes_its_address_is_connected_to_at_the_one_that_was_checked(site, names):
    # A second look would lead to another server, which is not listening.
    names["shop.example.com"] = ["127.0.0.1", "127.0.0.9"]
    link = url(site, host="shop.example.com")
    assert check(link, "shop.example.com", "127.0.0.1").ok
    assert "127.0.0.9" in check(link, "shop.example.com", "127.0.0.1").result


def test_redirects_are_followed_only_where_a_link_might_lead(site):
    with serving() as other:
        link = url(site, f"/to/{url(other, host='127.0.0.1')}")
        found = check(link, "localhost", "127.0.0.2")
        assert found.ok  # an address that is in an allowed network
        assert len(other.seen) == 1
        names_only = LinkHosts(names=("localhost",), networks=())
        assert check_link(link, names_only).ok is None
    hop = check(url(site, "/to/http://other.example.com/x"), "localhost")
    assert hop.result.startswith("redirects to http://other.example.com/x, which was not checked")
    assert check(url(site, "/to/file:///etc/passwd"), "localhost").ok is None
    assert len(site.seen) == 3


def test_a_loop_of_redirects_ends(site):
    link = url(site, "/to/" + "/to/" * 9 + "/200")
    assert check(link, "localhost").result == "redirects more than 5 times"


def test_credentials_of_a_link_are_not_sent(site):
    assert check(url(site, host="user:secret@localhost"), "localhost").ok
    assert site.seen == [(f"localhost:{site.server_port}", "/200", None)]


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "2130706433", "0x7f.1", "0", "0.0.0.0"),
        *("[::1]", "[::ffff:127.0.0.1]", "[::]", "localhost.", "LOCALHOST", "169.254.169.254"),
        *("shop.example.com.evil.example", "evilexample.com", "example.com@127.0.0.1"),
    ],
)
def test_no_spelling_leads_to_a_host_that_is_not_allowed(site, host):
    found = check(url(site, host=host), "example.com", "*.example.com")
    assert (found.ok, site.seen) == (None, [])


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "172.16.0.1", "192.168.0.1", "127.0.0.1", "169.254.169.254", "100.64.0.1"),
        *("0.0.0.0", "255.255.255.255", "224.0.0.1", "192.0.2.1", "240.0.0.1"),
        *("::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1"),
        *("::ffff:10.0.0.1", "::10.0.0.1", "::7f00:1", "2002:a00:1::", "64:ff9b::a00:1"),
        *("64:ff9b:1::a00:1", "2001:0:a00:1::f5ff:fffe", "::ffff:0:a00:1", "5f00::1"),
    ],
)
def test_addresses_that_are_not_public(address):
    assert not LinkHosts().allows_address(ip_address(address))


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "2606:2800:21f:cb07::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_that_are_public(address):
    assert LinkHosts().allows_address(ip_address(address))


@pytest.mark.parametrize("entry", ["http://example.com", "*", "a b", "", "*.", "10.0.0.0/99"])
def test_an_entry_that_is_no_host(entry):
    with pytest.raises(ConfigurationError, match="is no name of a host"):
        Sandbox(link_hosts=[entry])


def test_the_links_of_a_mail_are_checked_through_the_control_api(site):
    with (
        Sandbox(link_hosts=["localhost"]) as sandbox,
        sandbox.server() as server,
        sandbox.client() as client,
    ):
        text = f"{url(site)} {url(site, '/404')} https://example.com/ mailto:ada@example.com"
        client.messages.send_mail(
            Message(subject="x", from_email="me@example.com", to="ada@example.com", text=text)
        )
        checked = httpx.post(f"{server.url}/_sandbox/messages/1/links/check", **PLAIN_HTTP).json()
    assert [each["ok"] for each in checked["links"]] == [True, False, None]
    assert len(site.seen) == 2
