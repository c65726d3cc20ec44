"""Requests whose work is heavy: they move to threads of their own, of which there are two."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from api.server.wsgi import APART, MoveApart


class Moved(Response):
    """Nothing is to be sent: the request is run again, apart."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Tell the server to do so."""
        raise MoveApart


def must_move() -> bool:
    """Whether this request should be answered by `Moved` before its heavy work; a foreign server does not know how."""
    return request.environ.get(APART) is False


def has_moved() -> bool:
    """Whether it runs apart already."""
    return request.environ.get(APART) is True
