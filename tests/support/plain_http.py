"""How the tests ask over HTTP themselves: ``httpx.get(url, **PLAIN_HTTP)``."""

from __future__ import annotations

PLAIN_HTTP = {
    "timeout": 60,  # as long as a busy machine may need
    "trust_env": False,
    "verify": False,  # there is no TLS, and to load the authorities takes longer than most tests
}
