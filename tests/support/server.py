"""The web server with test limits, in this process, around a small WSGI application."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import uvicorn

from api.server.connection import protocol_of
from api.server.connection_limits import DEFAULTS, Connections, Limits
from api.server.wsgi import Wsgi, WsgiBridge

PATIENCE = 20.0


@dataclass
class Served:
    """A running server."""

    port: int
    gate: Connections
    said_goodbye: list[bool] = field(default_factory=list)

    def connect(self, *, receive_buffer: int | None = None) -> socket.socket:
        """Opens a plain connection."""
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", self.port))
        return sock

    def ask(self, request: bytes) -> bytes:
        """Returns everything received until the connection ends."""
        with self.connect() as sock:
            sock.sendall(request)
            return read_all(sock)


@contextmanager
def serving(app: Wsgi, limits: Limits = DEFAULTS, *, threads: int = 1, **options: Any) -> Iterator[Served]:
    """Serves `app` with so few `threads` that a client that occupies one would be noticed."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        served = Served(listener.getsockname()[1], Connections(limits))
        bridge = WsgiBridge(app, lambda: served.said_goodbye.append(True), threads=threads)
        config = uvicorn.Config(
            bridge, http=protocol_of(served.gate), ws="none", lifespan="on", log_config=None, **options
        )
        server = uvicorn.Server(config)

        async def serve() -> None:
            watch = asyncio.create_task(served.gate.watch(asyncio.get_running_loop().time))
            await server.serve(sockets=[listener])
            watch.cancel()

        thread = Thread(target=asyncio.run, args=(serve(),))
        thread.start()
        try:
            yield served
        finally:
            server.should_exit = True
            thread.join()


def read_all(sock: socket.socket) -> bytes:
    """Returns what is received until the other side closes the connection, even by a reset."""
    received = b""
    try:
        while piece := sock.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received
