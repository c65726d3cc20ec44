"""One connection: uvicorn's HTTP protocol with limits for slow or demanding clients."""

from __future__ import annotations

import json
import os
import socket
from enum import Enum, auto
from http import HTTPStatus
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from api.server.connection_limits import Connections, Limits, group_of

TAKE = "reveille.take_socket"
"""The extension of a scope with which the application takes over the connection's socket."""


TITLES = {414: "URI Too Long"}
"""The name in RFC 9110; Python before 3.13 uses an older one."""


class Phase(Enum):
    """What a connection waits for."""

    IDLE = auto()
    """The next request."""
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    """The application."""
    OVER = auto()
    """The end: it was refused or taken over."""


class GuardedProtocol(HttpToolsProtocol):
    """A connection that is closed when its client takes too long over a head, a body or a response."""

    def __init__(
        self,
        gate: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: Any = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._gate = gate
        self._limits = gate.limits
        self._phase = Phase.HEAD
        self._since = 0.0
        self._received = 0
        self._unsent = _Unsent()
        self.address = ""
        self.held = 0

    @property
    def is_idle(self) -> bool:
        """Whether it is between two requests."""
        return self._phase is Phase.IDLE

    @property
    def unsent(self) -> int:
        """The bytes of a response that the client has not read."""
        return self.transport.get_write_buffer_size()

    def connection_made(self, transport: Any) -> None:
        """Starts waiting for a head."""
        super().connection_made(transport)
        self.address = group_of(self.client[0] if self.client else "")
        if self._gate.admit(self):
            self._wait(Phase.HEAD)
        else:
            self._phase = Phase.OVER
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Releases the connection's place."""
        self._gate.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Counts the bytes, then parses them."""
        if self._phase is Phase.OVER:
            return
        if self._phase is Phase.IDLE:
            self._wait(Phase.HEAD)
        self._received += len(data)
        super().data_received(data)
        # Callbacks of the parser have changed the phase.
        if self._phase is Phase.HEAD and self._received > self._limits.head_bytes:
            self._refuse(431, f"The head of a request has at most {self._limits.head_bytes} bytes.")
        elif self._phase is Phase.BODY:
            self._count(len(data))

    def on_message_begin(self) -> None:
        """Starts a request, perhaps pipelined behind another one."""
        super().on_message_begin()
        self.scope["extensions"] = {TAKE: {"take": self.take_socket}}
        if self._phase not in (Phase.HEAD, Phase.OVER):
            self._wait(Phase.HEAD)
            self._received = 1  # at least

    def on_url(self, url: bytes) -> None:
        """Refuses an address that is too long."""
        super().on_url(url)
        if len(self.url) > self._limits.target_bytes and self._phase is not Phase.OVER:
            self._refuse(414, f"The address of a request has at most {self._limits.target_bytes} bytes.")

    def on_headers_complete(self) -> None:
        """Starts the application and waits for the body."""
        if self._phase is Phase.OVER:
            return
        self._phase, self._since, self._received = Phase.BODY, self.loop.time(), 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keeps a piece of the body."""
        if self._phase is not Phase.OVER:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Notes that the request is complete: this client keeps nobody waiting."""
        if self._phase is Phase.OVER:
            return
        self._phase = Phase.ANSWER
        self._gate.release(self)
        super().on_message_complete()
        if self.cycle.response_complete:  # it was answered before it was complete
            self._wait(Phase.IDLE)

    def on_response_complete(self) -> None:
        """Waits for the next request."""
        super().on_response_complete()
        if self._phase is Phase.ANSWER and not self.pipeline and not self.transport.is_closing():
            self._wait(Phase.IDLE)

    def send_400_response(self, msg: str) -> None:
        """Answers input that is not HTTP."""
        self._refuse(400, "The request is not valid HTTP.")

    def check(self, now: float) -> None:
        """Closes the connection if it takes too long over what it waits for."""
        age, limits = now - self._since, self._limits
        if self._phase is Phase.IDLE and age > self.timeout_keep_alive:
            self._phase = Phase.OVER
            self.transport.close()
        elif self._phase is Phase.HEAD and age > limits.head_seconds:
            self._refuse(408, f"The head of the request did not arrive within {limits.head_seconds:g} s.")
        elif self._phase is Phase.BODY and (
            age > limits.body_seconds or self._received < (age - limits.grace_seconds) * limits.rate
        ):
            self._refuse(408, "The body of the request arrived too slowly.")
        elif self._unsent.is_late(self.unsent, now, limits):
            self.transport.abort()

    def evict(self) -> None:
        """Closes the connection to make room."""
        self._gate.release(self)
        self._phase = Phase.OVER
        self.transport.abort()

    def take_socket(self) -> socket.socket:
        """Hands the socket to another owner; nothing more is sent or read here. On the event loop only."""
        ours = self.transport.get_extra_info("socket")
        taken = socket.socket(fileno=os.dup(ours.fileno()))
        self.cycle.disconnected = True
        self._phase = Phase.OVER
        self.transport.abort()  # closes its own descriptor, not the connection
        return taken

    def _unsupported_upgrade_warning(self) -> None:
        """Logs nothing: the application has answered."""

    def _wait(self, phase: Phase) -> None:
        self._phase, self._since, self._received = phase, self.loop.time(), 0
        self._gate.wait(self)

    def _count(self, count: int) -> None:
        self._gate.hold(self, count)
        if self._received > self._limits.ignored_bytes:
            self.evict()

    def _refuse(self, status: int, detail: str) -> None:
        """Answers with a problem (RFC 9457) if an answer is still possible, and closes the connection."""
        if self._phase is Phase.OVER:
            return
        self._gate.release(self)
        phase, self._phase = self._phase, Phase.OVER
        is_silent = phase is Phase.HEAD and not self._received
        is_answering = self.cycle is not None and (
            self.cycle.response_started if phase is Phase.BODY else not self.cycle.response_complete
        )
        if is_silent or is_answering:
            self.transport.abort()
            return
        reason = TITLES.get(status) or HTTPStatus(status).phrase
        body = json.dumps({"type": "about:blank", "title": reason, "status": status, "detail": detail}).encode()
        head = (
            f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\n"
            f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        if self.cycle is not None:
            self.cycle.disconnected = True
        self.transport.write(head.encode() + body)
        self.transport.close()


class _Unsent:
    """Measures how fast a response is read."""

    __slots__ = ("_first", "_last", "_since")

    def __init__(self) -> None:
        self._first = self._last = 0
        self._since = 0.0

    def is_late(self, left: int, now: float, limits: Limits) -> bool:
        """Whether the client reads too slowly; `left` bytes are pending."""
        if not left:
            self._first = self._last = 0
            return False
        if not self._first:
            self._first, self._since = left, now
        elif left > self._last:
            self._first += left - self._last
        self._last = left
        age = now - self._since
        return age > limits.answer_seconds or self._first - left < (age - limits.grace_seconds) * limits.rate


def protocol_of(gate: Connections) -> Any:
    """Returns the factory that uvicorn calls for each connection."""

    def make(**options: Any) -> GuardedProtocol:
        return GuardedProtocol(gate, **options)

    return make
