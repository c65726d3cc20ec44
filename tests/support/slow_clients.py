"""Slow clients: they send a head or a body slowly, send nothing, or never read the answer.

`python -m tests.support.slow_clients PORT COUNT` runs them in a separate process until its standard input ends.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import cycle, islice, product
from threading import Event, Thread
from typing import Self

PATHS = ("/hooks/unknown", "/channels/x/events", "/api/v1/agents")
PIPELINED = 2


class SlowClients:
    """Runs `count` of them at once, of every kind; one that is disconnected reconnects. A context manager."""

    def __init__(self, port: int, count: int, *, every: float = 2.0, paths: Sequence[str] = PATHS) -> None:
        """Sets how often in seconds each slow sender sends a byte: `every`."""
        self._port = port
        self._every = every
        kinds = product(("head", "body", "silent", "deaf"), paths)
        self._clients = [_SlowClient(kind, path) for kind, path in islice(cycle(kinds), count)]
        self._ended = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self.cut = 0
        """How often one was cut off."""

    def __enter__(self) -> Self:
        for client in self._clients:
            client.open(self._port)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        for client in self._clients:
            client.close()

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            for client in self._clients:
                if not client.go_on():
                    self.cut += 1
                    client.open(self._port)


class _SlowClient:
    def __init__(self, kind: str, path: str) -> None:
        self._kind = kind
        self._path = path
        self._socket: socket.socket | None = None

    def open(self, port: int) -> None:
        """Connects, and sends the beginning."""
        self.close()
        with suppress(OSError):
            self._socket = socket.socket()
            if self._kind == "deaf":
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            self._socket.settimeout(5)
            self._socket.connect(("127.0.0.1", port))
            self._socket.setblocking(False)
            self._socket.send(self._beginning())

    def go_on(self) -> bool:
        """Sends one more byte; returns False when it was disconnected."""
        if self._socket is None:
            return False
        try:
            if self._kind in ("head", "body"):
                self._socket.send(b"x")
            if self._kind != "deaf" and not self._socket.recv(4096):
                return False
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Closes the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _beginning(self) -> bytes:
        line = f"POST {self._path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        if self._kind == "head":
            return f"{line}X-Slow: ".encode()
        if self._kind == "body":
            return f"{line}Content-Length: 5000\r\n\r\n{{".encode()
        if self._kind == "deaf":
            return f"GET {self._path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * PIPELINED
        return b""


@contextmanager
def slow_clients(port: int, count: int) -> Iterator[None]:
    """Runs them in a separate process."""
    command = [sys.executable, "-m", __name__, str(port), str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()
        yield
        process.stdin.close()


def main(port: str, count: str) -> None:
    """Runs until standard input ends."""
    with SlowClients(int(port), int(count)):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
