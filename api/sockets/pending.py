"""The WebSockets that have not said who they are: they live for seconds, in places of their own."""

from __future__ import annotations

from wsproto.frame_protocol import CloseReason

from api.server.gate import group_of
from api.sockets.connection import WebSocket

MAX_PENDING = 200
PER_ADDRESS = 20
CROWDED = "Too many sockets wait for their key: send it at once."


class Pending:
    """They, by address. Where too many wait, the oldest makes way. To be used on the sockets' event loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[WebSocket, None]] = {}

    def add(self, client: WebSocket, host: str) -> None:
        """Wait for a message of this one."""
        waiting = self._waiting.setdefault(group_of(host), {})
        waiting[client] = None
        if len(waiting) > PER_ADDRESS:
            self._end_oldest(waiting)
        elif sum(map(len, self._waiting.values())) > MAX_PENDING:
            self._end_oldest(max(self._waiting.values(), key=len))

    def remove(self, client: WebSocket, host: str) -> None:
        """Wait for this one no more."""
        address = group_of(host)
        waiting = self._waiting.get(address)
        if waiting is not None:
            waiting.pop(client, None)
            if not waiting:
                del self._waiting[address]

    def _end_oldest(self, waiting: dict[WebSocket, None]) -> None:
        oldest = next(iter(waiting))
        del waiting[oldest]
        oldest.close(CloseReason.TRY_AGAIN_LATER, CROWDED)
        oldest.abort_soon()
