"""The proxy that plays a bad network does what it says: a fault suite is worth what its faults are."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

import pytest
from proxy import proxy_to


@pytest.fixture
def echo():
    """A server that sends back what it gets; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(client):
        with client, suppress(ConnectionError):
            while data := client.recv(1000):
                client.sendall(data)

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(client,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


@pytest.fixture
def proxy(echo):
    """A proxy in front of the echo."""
    with proxy_to(echo) as made:
        yield made


def connect(proxy):
    """Connect to the proxy."""
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def echoed(client, data):
    """Send, and return what comes back."""
    client.sendall(data)
    received = b""
    while len(received) < len(data) and (part := client.recv(1000)):
        received += part
    return received


def test_it_forwards(proxy):
    """In both directions, as much as there is."""
    with connect(proxy) as client:
        assert echoed(client, b"hello") == b"hello"
        client.sendall(b"x" * 300_000)
        assert len(client.recv(1000)) > 0


def test_it_stalls_and_goes_on(proxy):
    """Nothing comes while it is stalled, new connections are accepted, and nothing is lost."""
    with connect(proxy) as client:
        echoed(client, b"before")
        proxy.stall()
        client.sendall(b"late")
        client.settimeout(0.3)
        with connect(proxy) as another, pytest.raises(TimeoutError):
            client.recv(1000)
        another.close()
        proxy.resume()
        client.settimeout(5)

        assert client.recv(1000) == b"late"


def test_it_resets(proxy):
    """Every open connection ends with RST; a new one works."""
    with connect(proxy) as client:
        echoed(client, b"before")
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            client.recv(1000)
    with connect(proxy) as client:
        assert echoed(client, b"after") == b"after"


def test_it_refuses_and_takes_again(proxy):
    """Nobody listens, on the same port, until it resumes."""
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.resume()

    with connect(proxy) as client:
        assert echoed(client, b"after") == b"after"


def test_the_end_of_a_connection_is_passed_on(proxy):
    """When the client closes, the server's end is closed too."""
    with connect(proxy) as client:
        echoed(client, b"before")
        client.shutdown(socket.SHUT_WR)

        assert client.recv(1000) == b""
