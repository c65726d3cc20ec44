"""Responses that send nothing: the request is run again in a separate thread, or its connection has a new owner."""

from __future__ import annotations

import socket
from typing import Any

from flask import Response, request

from api.server.wsgi import APART, ConnectionTaken, MoveApart


class RunApart(Response):
    """Nothing is to be sent: the request is run again, apart."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Tells the server to do so."""
        raise MoveApart


def must_move() -> bool:
    """Whether to answer this request by `RunApart` before its heavy work; a foreign server does not know how."""
    return request.environ.get(APART) is False


def has_moved() -> bool:
    """Whether it runs apart already."""
    return request.environ.get(APART) is True


class SocketTaken(Response):
    """Nothing more is to be sent: the socket has another owner."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Tells the server to forget the connection."""
        raise ConnectionTaken


def take_socket(environ: dict[str, Any]) -> socket.socket | None:
    """Returns the socket of this request's connection; None if the server does not give it out."""
    take = environ.get("reveille.take_socket")
    return None if take is None else take()
