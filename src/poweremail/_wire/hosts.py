"""The names and addresses of hosts."""

from __future__ import annotations

import ipaddress
import re

__all__ = ["is_host", "is_loopback"]

# RFC 1123, 2.1; also letters of other languages, and the underscore, which occurs in the names of
# containers.
_LABEL = r"(?!-)[\w-]{1,63}(?<!-)"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?\Z")


def is_host(text: str) -> bool:
    """Return whether *text* is an IP address or a possible name of a host."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(_NAME.match(text))
    return True


def is_loopback(host: str) -> bool:
    """Return whether *host* is a name or an address of this machine only."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
