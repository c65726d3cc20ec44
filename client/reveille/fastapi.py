"""A FastAPI (or Starlette) endpoint that answers wakes: `app.post("/wake")(wake(secret)(function))`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from reveille.wakes import AsyncWakes, Call


def wake(
    secret: str | Sequence[str], *, is_long: bool = False
) -> Callable[[Callable[[Call], Awaitable[Any]]], Callable[[Request], Awaitable[JSONResponse]]]:
    """Turns a coroutine function, which takes a call and returns a reply, into an endpoint.

    `is_long` sends 202 first.
    """

    def decorate(function: Callable[[Call], Awaitable[Any]]) -> Callable[[Request], Awaitable[JSONResponse]]:
        wakes = AsyncWakes(function, secret, is_long=is_long)

        async def endpoint(request: Request) -> JSONResponse:
            status, body = await wakes.answer(request.headers, await request.body())
            return JSONResponse(body, status)

        # FastAPI resolves annotations in the function's module, and would not find this one in `function`'s.
        endpoint.__annotations__ = {"request": Request, "return": JSONResponse}
        endpoint.__name__, endpoint.__doc__ = function.__name__, function.__doc__
        return endpoint

    return decorate
