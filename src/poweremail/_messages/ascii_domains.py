"""
The domains of a message as DNS has them.

They follow UTS 46 by `idna`, which httpx and anyio need as well. The codec of the standard library
is that of 2003, for which ``faß.de`` is ``fass.de``, another domain.
"""

from __future__ import annotations

from poweremail.errors import UsageError

__all__ = ["ascii_domain", "with_ascii_domain"]


def ascii_domain(field: str, domain: str) -> str:
    """
    Return *domain* as DNS has it: ``xn--bcher-kva.example`` for ``bücher.example``.

    Raises `UsageError` for *field* if it is not valid there.
    """
    if domain.isascii():
        return domain
    import idna  # noqa: PLC0415  its tables take a while, and few mails need them

    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError as error:
        raise UsageError(f"{domain!r} is not a domain of IDNA: {error}", field=field) from None


def with_ascii_domain(field: str, address: str) -> str:
    """Return *address* with its domain as DNS has it. Raises `UsageError` as `ascii_domain`."""
    local, at, domain = address.rpartition("@")
    return f"{local}{at}{ascii_domain(field, domain)}"
