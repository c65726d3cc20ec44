"""One WebSocket (RFC 6455) on a socket whose handshake has been read: frames in, frames out."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Event, Message, Ping, TextMessage
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, generate_accept_token

from scheduler.domain.clock import Clock

READ_BYTES = 4096
MAX_MESSAGE = 4096
"""The maximum size of a client's message; clients have little to say."""
MAX_UNSENT = 1 << 20
"""The pending bytes for a client that does not read; beyond that it is disconnected."""
GOODBYE_SECONDS = 2.0
LAST_SECONDS = 0.3
"""The time for the last message to a client that may see nothing more."""
REASON_BYTES = 123
"""The maximum in a close frame (RFC 6455 section 5.5)."""


def accepting(nonce: str, subprotocol: str | None) -> bytes:
    """Returns the response to a handshake with that Sec-WebSocket-Key (RFC 6455 section 4.2.2)."""
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {generate_accept_token(nonce.encode()).decode()}",
    ]
    if subprotocol is not None:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    return "\r\n".join([*lines, "", ""]).encode()


class WebSocket:
    """An open WebSocket. For use on one event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._frames = Connection(ConnectionType.SERVER)
        self._texts: deque[str] = deque()
        self._partial: list[str] = []
        self._is_over = False
        self.heard_at = clock.monotonic()
        """When the client last sent anything: a pong at least."""

    async def read(self) -> str | None:
        """Returns the client's next text; None once it is closed or lost. Answers pings meanwhile."""
        while not self._texts and not self._is_over:
            try:
                data = await self._reader.read(READ_BYTES)
            except OSError:
                data = b""
            self.heard_at = self._clock.monotonic()
            self._is_over = self._is_over or not data
            if data:
                self._take(data)
        return self._texts.popleft() if self._texts else None

    def send(self, text: str) -> None:
        """Sends a text as soon as the client accepts it; disconnects one that accepts nothing for long."""
        self._write(TextMessage(data=text))
        if self._writer.transport.get_write_buffer_size() > MAX_UNSENT:
            self.abort()

    def ping(self) -> None:
        """Asks the client whether it is alive."""
        self._write(Ping())

    def close(self, code: int, reason: str = "") -> None:
        """Sends the close frame; `finish` closes the connection."""
        cut = reason.encode()[:REASON_BYTES].decode(errors="ignore")
        self._write(CloseConnection(code=code, reason=cut))
        self._is_over = True

    async def finish(self) -> None:
        """Closes the connection after the client's close frame or a timeout, so that earlier data still arrives."""
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                while self._frames.state is ConnectionState.LOCAL_CLOSING:
                    data = await self._reader.read(READ_BYTES)
                    if not data:
                        break
                    self._frames.receive_data(data)
                    if any(isinstance(event, CloseConnection) for event in self._frames.events()):
                        break
        self._writer.close()

    def abort_soon(self) -> None:
        """Closes the connection when the client has read everything sent, and in any case soon."""
        asyncio.get_running_loop().call_later(LAST_SECONDS, self.abort)

    def abort(self) -> None:
        """Closes the connection at once."""
        self._is_over = True
        self._writer.transport.abort()

    def _take(self, data: bytes) -> None:
        self._frames.receive_data(data)
        for event in self._frames.events():
            if isinstance(event, Ping):
                self._write(event.response())
            elif isinstance(event, CloseConnection):
                self._write(event.response())
                self._is_over = True
            elif isinstance(event, TextMessage):
                self._collect(event)
            elif isinstance(event, Message):
                self.close(CloseReason.UNSUPPORTED_DATA, "Only text messages are supported.")
            if self._is_over:
                return

    def _collect(self, event: TextMessage) -> None:
        self._partial.append(event.data)
        if sum(map(len, self._partial)) > MAX_MESSAGE:
            self.close(CloseReason.MESSAGE_TOO_BIG, f"At most {MAX_MESSAGE} characters.")
        elif event.message_finished:
            self._texts.append("".join(self._partial))
            self._partial.clear()

    def _write(self, event: Event) -> None:
        # Nothing may follow a close frame.
        if not self._writer.is_closing():
            with contextlib.suppress(LocalProtocolError):
                self._writer.write(self._frames.send(event))
