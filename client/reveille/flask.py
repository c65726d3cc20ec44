"""A Flask view that answers wakes: `app.post("/wake")(wake(secret)(function))`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from flask import Response, jsonify, request

from reveille.wakes import Call, Wakes


def wake(
    secret: str | Sequence[str], *, is_long: bool = False
) -> Callable[[Callable[[Call], Any]], Callable[[], tuple[Response, int]]]:
    """Turns a function, which takes a call and returns a reply, into a view. `is_long` sends 202 first."""

    def decorate(function: Callable[[Call], Any]) -> Callable[[], tuple[Response, int]]:
        wakes = Wakes(function, secret, is_long=is_long)

        @functools.wraps(function)
        def view() -> tuple[Response, int]:
            status, body = wakes.answer(dict(request.headers), request.get_data())
            return jsonify(body), status

        return view

    return decorate
