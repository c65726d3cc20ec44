"""Taking a connection out of gunicorn's hands: for answers that never end, which would keep one of its threads."""

from __future__ import annotations

import os
import socket
import ssl
from typing import Any

from flask import Response


class Taken(Response):
    """Nothing more is to be sent: the socket has another owner."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Tell gunicorn to forget the connection, the way it has for that."""
        raise StopIteration


def take_socket(environ: dict[str, Any]) -> socket.socket | None:
    """Gunicorn's socket of this request, which is left with a dummy to shut down and close; None without one."""
    theirs = environ.get("gunicorn.socket")
    if not isinstance(theirs, socket.socket) or isinstance(theirs, ssl.SSLSocket):
        return None
    ours = theirs.dup()
    dummy, other_end = socket.socketpair()
    os.dup2(dummy.fileno(), theirs.fileno())
    dummy.close()
    other_end.close()
    return ours
