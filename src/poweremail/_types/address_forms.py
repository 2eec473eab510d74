"""
The forms in which addresses are compared and sent: that of DNS, and the one by which two are one.
"""

from __future__ import annotations

import re
import unicodedata

from poweremail._types.address import LOCAL_PART, unquote
from poweremail.errors import UsageError

_TO_ESCAPE = re.compile(r'[\\"]')
_ESCAPED = r"\\\g<0>"


def dns_domain(domain: str, *, field: str) -> str:
    """
    Return *domain* as DNS has it: ``xn--bcher-kva.example`` for ``bücher.example``.

    It follows UTS 46 by `idna`, which httpx and anyio need as well. The codec of the standard
    library is that of 2003, for which ``faß.de`` is ``fass.de``, another domain. Raises
    `UsageError` for *field* if the domain is not valid there.
    """
    if domain.isascii():
        return domain
    import idna  # noqa: PLC0415  its tables take a while, and few mails need them

    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError as error:
        raise UsageError(f"{domain!r} is not a domain of IDNA: {error}", field=field) from None


def ascii_domain(address: str) -> str:
    """The domain of *address* in lower case, as DNS has it if DNS can."""
    domain = address.rpartition("@")[2].lower()
    try:
        return dns_domain(domain, field="")
    except UsageError:
        return _punycode(domain)


def _punycode(domain: str) -> str:
    """Write *domain* as DNS has it, also with characters that IDNA 2003 allows, as in ``☃.net``."""
    import idna  # noqa: PLC0415  as above

    try:
        labels = idna.uts46_remap(domain, std3_rules=False).split(".")
    except idna.IDNAError:
        return domain
    return ".".join(
        label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels
    )


def fold_address(address: str) -> str:
    """
    Return the form in which *address*, without a name, is compared: two with the same form are one.

    Lower case, because no known service distinguishes by case, although RFC 5321 allows it; Unicode
    composed (NFC); the domain as DNS has it; no quotes and backslashes that are not needed. A dot
    or a ``+tag`` makes another address: whether it is the same mailbox, only its own host knows.
    """
    if address.isascii() and '"' not in address:
        return address.lower()
    local, at, _ = address.rpartition("@")
    unquoted = unquote(local)
    if unquoted != local:
        # Quotes that are needed, with the one escaping that is.
        quoted = f'"{_TO_ESCAPE.sub(_ESCAPED, unquoted)}"'
        local = unquoted if LOCAL_PART.match(unquoted) else quoted
    return f"{unicodedata.normalize('NFC', local).lower()}{at}{ascii_domain(address)}"
