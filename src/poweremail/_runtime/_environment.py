"""
The settings of the environment for connections: the proxy on the way to the service, and the
certificates to trust.

Theory of operation. Each HTTP engine reads these variables in its own way. On a value that it
cannot use, one raises an error that names no variable, another ignores the value, and a third takes
an entry of ``NO_PROXY`` for a URL and fails although there is no proxy at all. So they are read
here, for all engines alike. A setting that cannot be used means that nothing can be sent: the error
names the setting, and it is not temporary, since the next attempt would find the same.

tests/_async/test_environment.py sends through each engine in healthy, broken and random
environments.
"""

from __future__ import annotations

import ipaddress
import os
import re
import threading
from collections.abc import Callable, Collection
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from poweremail._types.secret import Secret
from poweremail._wire.redaction import hide_password
from poweremail.errors import TransportError

if TYPE_CHECKING:
    import ssl

_TLS_SETTINGS = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
"""The variables that Python and the engines read when they make a TLS context."""

_HASHED_NAME = re.compile(r"[0-9a-fA-F]{8}\.\d+")
"""The name under which OpenSSL looks for a certificate in a directory."""

_contexts: dict[tuple[object, ...], ssl.SSLContext] = {}
_making_context = threading.Lock()


def proxy_for(base_url: str, schemes: Collection[str]) -> Secret | None:
    """
    Return the URL of the proxy that the environment names for *base_url*; None if there is none, or
    if ``NO_PROXY`` has the host.

    *schemes*: those of the proxies that the HTTP engine can use.

    Raises `TransportError` if the proxy cannot be used.
    """
    setting, proxy = _proxy_setting(urlsplit(base_url))
    if proxy is not None:
        if problem := _problem(proxy, schemes):
            raise _unusable(setting, problem)
        hide_password(Secret(unquote(urlsplit(proxy.reveal()).password or "")))
    return proxy


def _proxy_setting(service: SplitResult) -> tuple[str, Secret | None]:
    # Loaded late: it loads as many modules as a whole transport.
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415

    proxies = getproxies()
    name = service.scheme if proxies.get(service.scheme) else "all"
    url = proxies.get(name, "").strip()
    excluded = proxies.get("no", "").split(",")
    # proxy_bypass also reads the settings of macOS and Windows.
    if not url or _has_host(excluded, service) or proxy_bypass(service.netloc):
        return name, None
    # Without a scheme it speaks HTTP, as for curl and the engines.
    return f"{name}_proxy".upper(), Secret(url if "://" in url else f"http://{url}")


def _has_host(no_proxy: Collection[str], service: SplitResult) -> bool:
    """
    Whether *no_proxy* has the host of *service*: its name, a domain that it is in, its address, or
    a network that has its address. An entry that cannot be read has no host.
    """
    host = (service.hostname or "").rstrip(".")
    for entry in no_proxy:
        scheme, _, name = entry.strip().lower().rpartition("://")
        if name == "*":
            return True
        if scheme not in ("", "all", service.scheme):
            continue
        try:
            network = ipaddress.ip_network(name.strip("[]"), strict=False)
            if ipaddress.ip_address(host) in network:
                return True
            continue
        except ValueError:  # one of the two is a name
            pass
        try:
            parts = urlsplit(f"//{name}")
            domain, port = (parts.hostname or "").lstrip("*").strip("."), parts.port
        except ValueError:
            continue
        if domain and f".{host}".endswith(f".{domain}") and port in (None, service.port):
            return True
    return False


def _problem(proxy: Secret, schemes: Collection[str]) -> str | None:
    """Return why *proxy* cannot be used, without its password; None if it can be."""
    no_url = "it is not the URL of a proxy, such as http://proxy.example.com:3128"
    try:
        parts = urlsplit(proxy.reveal())
        if not (parts.hostname or "").encode("idna") or parts.port == 0:
            return no_url
    except ValueError:  # also a port out of range, and a name that IDNA does not allow
        return no_url
    if parts.scheme not in schemes:
        return f"its scheme is {parts.scheme!r}, not {' or '.join(schemes)}"
    if parts.scheme.startswith("socks") and find_spec("socksio") is None:
        return "it needs a package that is not installed (pip install socksio)"
    return None


def tls_settings() -> dict[str, str]:
    """Return the variables about TLS that are in force, and their values."""
    settings = {name: value for name in _TLS_SETTINGS if (value := os.environ.get(name))}
    if "SSL_CERT_FILE" in settings:
        settings.pop("SSL_CERT_DIR", None)
    return settings


def tls_context(engine: str, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """
    Return the context that *make* returns for *engine*: it verifies certificates. It is made once,
    since that takes up to 100 ms, and again if the environment has changed.

    Raises `TransportError` if a setting of the environment cannot be used.
    """
    settings = tls_settings()
    key = (engine, *settings.items())
    with _making_context:
        if key not in _contexts:
            try:
                context = make()
                _check_trust(context, settings)
            except (OSError, ValueError) as error:
                named = " or ".join(f"{name} ({value})" for name, value in settings.items())
                raise _unusable(named or "the store of certificates", str(error)) from None
            _contexts[key] = context
        return _contexts[key]


def _check_trust(context: ssl.SSLContext, settings: dict[str, str]) -> None:
    """
    Raise OSError or ValueError if *settings* name certificates, and there are none.

    OpenSSL itself says nothing then, and every handshake fails.
    """
    if file := settings.get("SSL_CERT_FILE"):
        context.load_verify_locations(cafile=file)
    if folders := settings.get("SSL_CERT_DIR"):
        paths = map(Path, folders.split(os.pathsep))
        files = [file for path in paths if path.is_dir() for file in path.iterdir()]
        if not any(_HASHED_NAME.fullmatch(file.name) for file in files):
            raise FileNotFoundError("it has no certificate with the name that `c_rehash` gives it")


def _unusable(setting: str, problem: str) -> TransportError:
    return TransportError(
        f"{setting} cannot be used: {problem}",
        body_left=False,
        temporary=False,
        advice="correct the setting, or unset it",
    )
