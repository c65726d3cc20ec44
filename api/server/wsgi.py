"""Runs a WSGI application on the event loop: a thread only works on complete requests until they are answered.

The event loop reads the body before and writes the response after, at the client's pace.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from io import BytesIO
from socket import socket
from typing import Any
from urllib.parse import unquote_to_bytes

from api.server.connection import TAKE
from api.server.connection_limits import DEFAULTS
from api.server.threads import Threads

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

THREADS = 32
HEAVY_THREADS = 2
"""For requests that need much CPU or memory, so that they delay no others."""
APART = "reveille.apart"
"""A key in a request's environment: whether it already runs in one of those threads."""

STREAMS = "reveille.streams"
"""The key with which the application says that its response is long and generated while it is sent."""


class MoveApart(Exception):
    """The application asks to be called again in a thread for heavy work."""


class ClientGone(Exception):
    """The client disconnected before its request was complete."""


class WsgiBridge:
    """`app` as an ASGI application. `goodbye` is called when the process stops."""

    def __init__(self, app: Wsgi, goodbye: Callable[[], None], *, threads: int = THREADS) -> None:
        self._app = app
        self._goodbye = goodbye
        self._threads = Threads(threads)
        self._heavy = Threads(HEAVY_THREADS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or handles the lifespan of the server."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        try:
            body, length = await _read(scope, receive)
        except ClientGone:
            return
        try:
            answer = await self._threads.run(_run, self._app, _environ(scope, body, length, apart=False))
        except MoveApart:
            answer = await self._heavy.run(_run, self._app, _environ(scope, body, length, apart=True))
        if answer is not None:
            status, headers, content = answer
            await send({"type": "http.response.start", "status": status, "headers": headers})
            if isinstance(content, bytes):
                await send({"type": "http.response.body", "body": content})
            else:
                await self._stream(content, receive, send)

    async def _stream(self, chunks: Chunks, receive: Receive, send: Send) -> None:
        """Sends chunks as the client reads them: a thread works on one chunk at a time, and none while it waits."""
        gone = asyncio.ensure_future(receive())
        try:
            while not gone.done() and (chunk := await self._heavy.run(chunks.take)) is not None:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            await self._heavy.run(chunks.close)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.get_running_loop().run_in_executor(None, self._goodbye)
        await send({"type": "lifespan.shutdown.complete"})


class Chunks:
    """The chunks of an answer of unknown length."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self._rest = iter(chunks)

    def take(self) -> bytes | None:
        """Returns the next chunk, or None."""
        return next(self._rest, None)

    def close(self) -> None:
        """Tells the application that no more chunks are read."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()


class _Taker:
    """Gives a request's thread the socket of its connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, take: Callable[[], socket]) -> None:
        self._loop = loop
        self._take = take

    def __call__(self) -> socket:
        """Returns the socket, which nobody else uses from now on. The application must answer with None."""

        async def take() -> socket:
            return self._take()

        return asyncio.run_coroutine_threadsafe(take(), self._loop).result()


class ConnectionTaken(Exception):
    """The application took over the connection: there is nothing to answer."""


def _run(app: Wsgi, environ: dict[str, Any]) -> tuple[int, list[tuple[bytes, bytes]], bytes | Chunks] | None:
    """Calls the application; returns status, headers and content, or None when it took over the connection.

    The content is bytes unless the application streams it (STREAMS).
    """
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> None:
        started[:] = [
            int(status[:3]),
            [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        ]

    try:
        chunks = app(environ, start_response)
    except ConnectionTaken:
        return None
    rest = Chunks(chunks)
    if environ.get(STREAMS):
        return started[0], started[1], rest
    try:
        content = b"".join(chunks)
    finally:
        rest.close()
    return started[0], started[1], content


async def _read(scope: Scope, receive: Receive) -> tuple[bytes, int | None]:
    """Reads the body and its length, which is None without one.

    Of a body that is too long only the length is kept.
    """
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), None)
    if declared is not None and int(declared) > DEFAULTS.body_bytes:
        return b"", int(declared)
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > DEFAULTS.body_bytes:
            return b"", len(body)
    return bytes(body), len(body) if body or declared is not None else None


def _environ(scope: Scope, body: bytes, length: int | None, *, apart: bool) -> dict[str, Any]:
    """Returns the environment with the server's extensions to PEP 3333."""
    take = _Taker(asyncio.get_running_loop(), scope["extensions"][TAKE]["take"])
    return environ_of(scope, body, length) | {"reveille.take_socket": take, APART: apart}


def environ_of(scope: Scope, body: bytes, length: int | None) -> dict[str, Any]:
    """Returns the request's environment as in PEP 3333."""
    raw_path: bytes = scope["raw_path"]
    query: bytes = scope["query_string"]
    server, client = scope["server"] or ("", None), scope["client"] or ("", 0)
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(raw_path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "RAW_URI": (raw_path + b"?" + query if query else raw_path).decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or 0),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    _add_headers(environ, scope["headers"])
    environ.pop("HTTP_TRANSFER_ENCODING", None)  # the body is complete
    environ.pop("CONTENT_LENGTH", None)
    if length is not None:
        environ["CONTENT_LENGTH"] = str(length)
    return environ


def _add_headers(environ: dict[str, Any], headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Adds HTTP_* variables. `a-b` and `a_b` have the same name, so the second is only used without the first.

    A proxy that sets or removes a header does not know its form with underscores, so that must not replace it.
    """
    with_underscore: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").upper(), raw_value.decode("latin-1")
        if "_" in name:
            if not name.startswith(("X_FORWARDED", "X_REAL")):
                _append(with_underscore, f"HTTP_{name.replace('-', '_')}", value)
            continue
        name = name.replace("-", "_")
        _append(environ, name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}", value)
    for name, value in with_underscore.items():
        environ.setdefault(name, value)


def _append(variables: dict[str, Any], name: str, value: str) -> None:
    if name in variables:
        value = f"{variables[name]}{'; ' if name == 'HTTP_COOKIE' else ','}{value}"
    variables[name] = value
