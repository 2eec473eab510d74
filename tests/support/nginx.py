"""A real nginx in front of a sandbox, if Debian's nginx is installed, in the ways of teams."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

import pytest
import trustme

NAME = "mail.example.com"

PASS_HOST = "proxy_set_header Host $http_host;"
FORWARDED = """proxy_set_header X-Forwarded-Host $host;
proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-For $remote_addr;"""

SET_UPS: dict[str, tuple[str, str, str]] = {
    "with its defaults, which replace Host": ("http", "/", "location / { proxy_pass $UP; }"),
    "that passes Host on": ("http", "/", f"location / {{ proxy_pass $UP; {PASS_HOST} }}"),
    "that ends TLS": (
        "https",
        "/",
        f"location / {{ proxy_pass $UP; {PASS_HOST} {FORWARDED} }}",
    ),
    "that ends TLS, replaces Host and says what it was": (
        "https",
        "/",
        f"location / {{ proxy_pass $UP; {FORWARDED} }}",
    ),
    "below a path that it takes off": (
        "http",
        "/mail/",
        "location /mail/ { proxy_pass $UP/; }",
    ),
    "below a path that it leaves": (
        "https",
        "/tools/mail/",
        f"location /tools/mail/ {{ proxy_pass $UP; {PASS_HOST} }}",
    ),
    "below a path without its slash": ("http", "/mail", "location /mail { proxy_pass $UP/; }"),
    "that is set up for WebSockets": (
        "http",
        "/",
        "location / { proxy_pass $UP; proxy_http_version 1.1;"
        ' proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; }',
    ),
    "that buffers whatever the sandbox says": (
        "http",
        "/",
        "location / { proxy_pass $UP; proxy_http_version 1.1; proxy_buffers 8 64k;"
        " proxy_ignore_headers X-Accel-Buffering; gzip on; gzip_types *; }",
    ),
}
"""For each: the scheme, the path of the page, and the configuration; $UP is the sandbox."""


def program() -> str:
    """Return the program, or skip the test."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip("nginx is not installed")
    return found


class Nginx:
    """
    A context manager that runs nginx with the *locations* of a server, on a free port.

    ``url`` has the name mail.example.com, which no resolver knows; ``address`` is where it listens.
    """

    def __init__(self, folder: Path, upstream: str, scheme: str, locations: str) -> None:
        self._program = program()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"{scheme}://{NAME}:{self.port}"
        self.address = f"{scheme}://127.0.0.1:{self.port}"
        listen = f"listen 127.0.0.1:{self.port}"
        if scheme == "https":
            trustme.CA().issue_cert(NAME, "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
                folder / "cert.pem"
            )
            listen += " ssl; ssl_certificate cert.pem; ssl_certificate_key cert.pem"
        paths = "".join(
            f"{kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;" if os.getuid() == 0 else ""
        self._config = folder / "nginx.conf"
        self._config.write_text(
            f"daemon off; {user} pid {folder}/pid; error_log {folder}/errors; worker_processes 1;"
            f"events {{}} http {{ access_log off; {paths} client_max_body_size 64m;"
            f"server {{ {listen}; server_name {NAME}; {locations.replace('$UP', upstream)} }} }}"
        )
        self._folder = folder

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [self._program, "-p", self._folder, "-c", self._config, "-e", self._folder / "errors"]
        )
        while not self._listens():
            assert self._process.poll() is None, (self._folder / "errors").read_text()
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 5.0).close()
        except OSError:
            return False
        return True
