"""Taking a connection out of the server's hands: for answers that never end, which would keep one of its threads."""

from __future__ import annotations

import socket
from typing import Any

from flask import Response

from api.server.wsgi import Taken as NothingToSend


class Taken(Response):
    """Nothing more is to be sent: the socket has another owner."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Tell the server to forget the connection."""
        raise NothingToSend


def take_socket(environ: dict[str, Any]) -> socket.socket | None:
    """The socket of this request's connection; None where the server gives none."""
    take = environ.get("reveille.take_socket")
    return None if take is None else take()
