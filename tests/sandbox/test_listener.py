"""Where the sandbox listens."""

import errno
import socket

import pytest

from poweremail.sandbox._server import listener as module
from poweremail.sandbox._server.listener import listener_url, open_listeners


def connects(host, port):
    try:
        socket.create_connection((host, port), 5).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "reached", "count", "shown"),
    [
        ("localhost", ["127.0.0.1", "::1"], 2, "127.0.0.1"),
        ("LOCALHOST", ["127.0.0.1", "::1"], 2, "127.0.0.1"),
        ("127.0.0.1", ["127.0.0.1"], 1, "127.0.0.1"),
        ("::1", ["::1"], 1, "[::1]"),
        ("0.0.0.0", ["127.0.0.1"], 1, "127.0.0.1"),
        ("::", ["127.0.0.1", "::1"], 1, "127.0.0.1"),
    ],
)
def test_addresses(host, reached, count, shown):
    listeners = open_listeners(host, 0)
    port = listeners[0].getsockname()[1]
    try:
        assert {each.getsockname()[1] for each in listeners} == {port}
        assert [each for each in ("127.0.0.1", "::1") if connects(each, port)] == reached
        assert (len(listeners), listener_url(listeners[0])) == (count, f"http://{shown}:{port}")
    finally:
        for each in listeners:
            each.close()


def test_a_port_that_is_taken_on_one_of_both_is_taken():
    """Else a client that tries the other kind of address first would reach somebody else."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            open_listeners("localhost", port)
        assert not connects("127.0.0.1", port)


def without_ipv6(number):
    real = module._open

    def opened(host, port):
        if ":" in host:
            raise OSError(number, "no")
        return real(host, port)

    return opened


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_a_machine_without_ipv6(monkeypatch, number):
    monkeypatch.setattr(module, "_open", without_ipv6(number))
    (listener,) = open_listeners("localhost", 0)
    assert connects("127.0.0.1", listener.getsockname()[1])
    listener.close()


def test_every_address_of_a_machine_without_ipv6(monkeypatch):
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    (listener,) = open_listeners("::", 0)
    assert connects("127.0.0.1", listener.getsockname()[1])
    listener.close()
