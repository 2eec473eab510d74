"""
Check where the links of a mail lead, by a request to each.

Whoever sends a mail chooses its links, so a check that asked any host would let them reach whatever
this machine reaches: a router, a cloud's metadata, a database. Mail catchers had such holes again
and again. So a request goes out only if all of this holds, at each redirect anew:

- The name of the host was allowed when the sandbox was started; by default none is.
- Every address of that name is one of the public internet, or was allowed, too.
- The connection is made to one of these very addresses. The name is not resolved again, as another
  response of its DNS server might be another address.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TYPE_CHECKING

import attrs

from poweremail._runtime._time_limit import TimeLimit
from poweremail._types.checks import is_host
from poweremail.errors import ConfigurationError
from poweremail.sandbox._webhooks.posting import tls_context

if TYPE_CHECKING:
    import httpx

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_TIMEOUT_SECONDS = 5.0
_MAX_REDIRECTS = 5

_GLOBAL_UNICAST = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

# A page may want a login, another method or a person.
_UNCLEAR = (401, 403, 405, 407, 429, 501, 503)


@attrs.frozen
class LinkHosts:
    """
    The hosts that a link check may send requests to.

    - *names*: names of hosts; one that begins with ``*.`` stands for all names below.
    - *networks*: addresses and networks that are allowed beside the public internet.
    """

    names: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()

    @classmethod
    def from_entries(cls, entries: Iterable[str]) -> LinkHosts:
        """
        Read names (``example.com``, ``*.example.com``), addresses and networks (``10.0.0.0/8``).

        ``localhost`` allows the addresses of loopback, too. Raises `ConfigurationError`.
        """
        names, networks = list[str](), list[Network]()
        for entry in (entries,) if isinstance(entries, str) else entries:
            text = entry.strip("[]").lower().rstrip(".")
            try:
                networks.append(ip_network(text))
            except ValueError:
                if not is_host(text.removeprefix("*.")):
                    reason = f"{entry!r} is no name of a host, no address and no network"
                    raise ConfigurationError(reason, field="link_hosts") from None
                names.append(text)
                networks += _LOOPBACK if text == "localhost" else ()
        return cls(tuple(names), tuple(networks))

    def allows_name(self, host: str) -> bool:
        """Return whether links to *host* may be checked; an address must be in a network."""
        try:
            address = ip_address(host)
        except ValueError:
            host = host.lower().rstrip(".")
            return any(
                host.endswith(name[1:]) if name.startswith("*.") else host == name
                for name in self.names
            )
        return any(address in network for network in self.networks)

    def allows_address(self, address: Address) -> bool:
        """Return whether a connection may be made to *address*, of a host that is allowed."""
        return _is_public(address) or any(address in network for network in self.networks)


@attrs.frozen
class LinkResult:
    """
    The result of a check of *link*: *ok* is None if it is not known, and *result* says what
    happened.
    """

    link: str
    ok: bool | None
    result: str


class _NotAllowed(Exception):  # noqa: N818  it is caught in this file
    pass


def check_link(link: str, hosts: LinkHosts) -> LinkResult:
    """Send a request to *link*, and follow its redirects, as far as *hosts* allows it."""
    import httpx  # noqa: PLC0415

    try:
        url = httpx.URL(link)
    except httpx.InvalidURL:
        return LinkResult(link, False, "is not a valid address")
    steps = 0
    try:
        while True:
            status, location = _request(url, _addresses(url, hosts))
            if location is None or steps == _MAX_REDIRECTS:
                break
            url, steps = url.join(location), steps + 1
    except _NotAllowed as reason:
        where = f"redirects to {url}, which was " if steps else ""
        return LinkResult(link, None, f"{where}not checked: {reason}")
    except httpx.InvalidURL:
        return LinkResult(link, False, "redirects to what is not a valid address")
    except (httpx.HTTPError, TimeoutError) as error:
        return LinkResult(link, False, f"no response: {type(error).__name__}")
    if location is not None:
        return LinkResult(link, False, f"redirects more than {_MAX_REDIRECTS} times")
    ok = None if status in _UNCLEAR else status < HTTPStatus.BAD_REQUEST
    return LinkResult(
        link, ok, f"{_words(status)}{f', after a redirect to {url}' if steps else ''}"
    )


def _addresses(url: httpx.URL, hosts: LinkHosts) -> Sequence[str]:
    """Return the addresses to connect to. Raises `_NotAllowed`."""
    import httpx  # noqa: PLC0415

    host = url.raw_host.decode("ascii").strip("[]")
    if url.scheme not in ("http", "https"):
        raise _NotAllowed(f"{url.scheme} is no address of the web")
    if not hosts.allows_name(host):
        raise _NotAllowed(f"the sandbox was not started with --check-links {host}")
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise httpx.ConnectError(f"{host} has no address") from None
    addresses = dict.fromkeys(str(each[4][0]).partition("%")[0] for each in found)
    for address in addresses:
        if not hosts.allows_address(ip_address(address)):
            raise _NotAllowed(f"{host} has the address {address}, which is not public")
    return list(addresses)


def _request(url: httpx.URL, addresses: Sequence[str]) -> tuple[int, str | None]:
    """
    Return the status of *url*, and where it redirects to, from the first of its addresses that can
    be reached.
    """
    import httpx  # noqa: PLC0415

    extensions = {"sni_hostname": url.raw_host.decode("ascii")}
    headers = {"Host": url.netloc.decode("ascii"), "User-Agent": "poweremail-sandbox link check"}
    error: httpx.HTTPError | None = None
    with (
        TimeLimit(2 * _TIMEOUT_SECONDS) as limit,
        httpx.Client(
            verify=tls_context(None), trust_env=False, timeout=_TIMEOUT_SECONDS, headers=headers
        ) as client,
    ):
        for address in addresses:
            target = url.copy_with(host=address, username=None, password=None, fragment=None)
            try:
                # HEAD, so that nothing is confirmed or unsubscribed by looking.
                request = client.build_request("HEAD", target, extensions=extensions)
                response = limit.send(client, request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as failed:
                error = failed
                continue
            location = response.headers.get("location") if response.is_redirect else None
            return response.status_code, location
    raise error or httpx.ConnectError("there is no address")


def _words(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _is_public(address: Address) -> bool:
    """Return whether *address* is of the public internet, and so is the one inside it, if any."""
    if isinstance(address, IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour
        if address.teredo is not None:
            inside = address.teredo[1]
        if address in _NAT64:
            inside = IPv4Address(int(address) & 0xFFFF_FFFF)
        if inside is not None:
            return _is_public(inside)
        return address in _GLOBAL_UNICAST and address.is_global
    return address.is_global and not address.is_multicast and not address.is_reserved
