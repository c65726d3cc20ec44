"""A cheap HTTP client: it posts over keep-alive connections, one request at a time on each."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle

BODY = b'{"action": "opened", "issue": {"number": 1, "title": "It does not start"}}'
HEAD = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n"
END = b"\r\n\r\n"


@dataclass(slots=True)
class Load:
    """The result of posting for a while: the number of accepted requests, and seconds from request to response."""

    seconds: float = 0.0
    accepted: int = 0
    refused: int = 0
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Returns the accepted requests per second."""
        return self.accepted / self.seconds


@dataclass(slots=True)
class _Connection:
    sock: socket.socket
    sent_at: float = 0.0
    received: bytes = b""

    def send(self, message: bytes) -> None:
        self.sent_at = time.perf_counter()
        self.sock.sendall(message)

    def answer(self) -> bytes | None:
        """Returns the status of the response, once it is complete."""
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("The server closed a connection.")
        self.received += data
        head, _, body = self.received.partition(END)
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        if not length or len(body) < int(length):
            return None
        self.received = b""
        return head[9:12]


def message(path: str, body: bytes, headers: bytes = b"") -> bytes:
    """Returns a POST request; `headers` are whole lines."""
    return HEAD % (path.encode(), len(body), headers) + body


def post(port: int, paths: Sequence[str], *, connections: int, seconds: float) -> Load:
    """Posts the same body to `paths` in turn, as `send` does."""
    return send(port, cycle([message(path, BODY) for path in paths]), connections=connections, seconds=seconds)


def send(
    port: int, messages: Iterator[bytes], *, connections: int, seconds: float, accepted: bytes = b"202"
) -> Load:
    """Sends `messages` for `seconds`, then waits for the outstanding responses."""
    load = Load()
    with selectors.DefaultSelector() as selector:
        started = time.perf_counter()
        for _ in range(connections):
            connection = _Connection(socket.create_connection(("127.0.0.1", port)))
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection.sock, selectors.EVENT_READ, connection)
            connection.send(next(messages))
        while selector.get_map():
            for key, _ in selector.select(30):
                connection = key.data
                status = connection.answer()
                if status is None:
                    continue
                load.latencies.append(time.perf_counter() - connection.sent_at)
                load.accepted += status == accepted
                load.refused += status != accepted
                if time.perf_counter() - started < seconds:
                    connection.send(next(messages))
                else:
                    selector.unregister(connection.sock)
                    connection.sock.close()
        load.seconds = time.perf_counter() - started
    return load
