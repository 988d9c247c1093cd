"""A TCP proxy on the loopback interface that can be a bad network: it stalls, resets and refuses."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HOST = "127.0.0.1"
_AT_ONCE = 1 << 16  # bytes
_LIFETIME = 120.0  # seconds, after which it ends whatever has become of the test
_TICK = 0.5
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close sends RST


class _End:
    """One end of a connection: its socket, the other end, and what is still to be sent to it."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.other: _End = self
        self.unsent = b""
        self.is_ending = False  # the other end sends no more


class Proxy:
    """Forwards every connection to a port of this machine, until it is told otherwise.

    All work is done by one thread; the methods return when it has done what they say.

    Attributes:
        port: where it listens.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = _bound(0)
        self._listener.listen(128)
        self.port = int(self._listener.getsockname()[1])
        self._ends: set[_End] = set()
        self._is_stalled = False
        self._is_stopped = False
        self._orders: list[tuple[Callable[[], None], threading.Event]] = []
        self._ours, self._theirs = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    def url(self, url: str) -> str:
        """Return the URL of a server, with this proxy in its place."""
        head, _, rest = url.rpartition("@")
        return f"{head}@{_HOST}:{self.port}/{rest.partition('/')[2]}"

    def stall(self) -> None:
        """Forward nothing more, in neither direction. Connections stay open, and new ones are accepted."""
        self._order(lambda: setattr(self, "_is_stalled", True))

    def resume(self) -> None:
        """Forward again: what has been held back, and all that comes."""
        self._order(self._resume)

    def reset(self) -> None:
        """End all connections with RST at both ends; new ones are forwarded."""
        self._order(self._reset)

    def refuse(self) -> None:
        """Refuse new connections, and end those that there are."""
        self._order(self._refuse)

    def stop(self) -> None:
        """End the thread and all connections."""
        self._order(lambda: setattr(self, "_is_stopped", True))
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._ours.close()

    def _order(self, order: Callable[[], None]) -> None:
        done = threading.Event()
        self._orders.append((order, done))
        self._ours.send(b".")
        assert done.wait(10), "the proxy has ended: a test took too long"

    def _resume(self) -> None:
        self._is_stalled = False
        self._listener.listen(128)

    def _reset(self) -> None:
        for end in self._ends:
            with suppress(OSError):
                end.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.sock.close()
        self._ends.clear()

    def _refuse(self) -> None:
        self._reset()
        self._listener.close()
        self._listener = _bound(self.port)  # bound and not listening: nobody else gets the port

    def _run(self) -> None:
        end_of_life = time.monotonic() + _LIFETIME
        try:
            while not self._is_stopped and time.monotonic() < end_of_life:
                self._step()
        finally:
            self._reset()
            self._listener.close()
            self._theirs.close()

    def _step(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._theirs, selectors.EVENT_READ, self._obey)
            if self._listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                selector.register(self._listener, selectors.EVENT_READ, self._accept)
            for end in () if self._is_stalled else self._ends:
                wanted = 0 if end.other.unsent or end.other.is_ending else selectors.EVENT_READ
                wanted |= selectors.EVENT_WRITE if end.unsent else 0
                if wanted:
                    selector.register(end.sock, wanted, end)
            ready = [(key.data, events) for key, events in selector.select(_TICK)]
        for what, events in ready:
            if not isinstance(what, _End):
                what()
            elif what in self._ends:
                self._forward(what, events)

    def _obey(self) -> None:
        count = len(self._theirs.recv(100))
        for order, done in [self._orders.pop(0) for _ in range(count)]:
            order()
            done.set()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection((_HOST, self._target), timeout=5)
        except OSError:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.close()
            return
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        near, far = _End(client), _End(server)
        near.other, far.other = far, near
        self._ends |= {near, far}

    def _forward(self, end: _End, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                received = end.sock.recv(_AT_ONCE)
                end.other.unsent += received
                end.other.is_ending = not received
            for each in (end, end.other):
                each.unsent = each.unsent[each.sock.send(each.unsent) :] if each.unsent else b""
        except BlockingIOError:
            return
        except OSError:
            self._close(end)
            return
        for each in (end, end.other):
            if each.is_ending and not each.unsent:
                self._close(end)
                return

    def _close(self, end: _End) -> None:
        for each in (end, end.other):
            self._ends.discard(each)
            each.sock.close()


def _bound(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((_HOST, port))
    return sock


@contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    """Run a proxy in front of what listens on a port of this machine."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.stop()
