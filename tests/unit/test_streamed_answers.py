"""Long answers are made while they are sent, a piece at a time, and no further when the client has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from api.server.connection import TAKE
from api.server.wsgi import STREAMS, WsgiBridge

SCOPE: dict[str, Any] = {
    "type": "http",
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "raw_path": b"/csv/audit",
    "query_string": b"",
    "headers": [],
    "server": ("127.0.0.1", 80),
    "client": ("127.0.0.1", 1),
    "extensions": {TAKE: {"take": None}},
}


def answered(*, leaves_after: int) -> tuple[list[Any], int, bool]:
    """What was sent of an answer of 100 pieces, how many were made, and whether the application was told the end."""
    made, is_closed = 0, False

    def pieces() -> Iterator[bytes]:
        nonlocal made, is_closed
        try:
            for _ in range(100):
                made += 1
                yield b"x"
        finally:
            is_closed = True

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        environ[STREAMS] = True
        start_response("200 OK", [("Content-Type", "text/csv")])
        return pieces()

    async def run() -> list[Any]:
        sent: list[Any] = []
        gone = asyncio.Event()
        messages = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> Any:
            message = next(messages, None)
            if message is None:
                await gone.wait()
                return {"type": "http.disconnect"}
            return message

        async def send(message: Any) -> None:
            sent.append(message)
            assert made <= len(sent), "a piece was made before the one before it was sent"
            if len(sent) > leaves_after:
                gone.set()
                await asyncio.sleep(0)

        await WsgiBridge(app, lambda: None)(SCOPE, receive, send)
        return sent

    return asyncio.run(run()), made, is_closed


def test_all_of_an_answer_is_sent_piece_by_piece() -> None:
    sent, made, is_closed = answered(leaves_after=1000)
    assert (made, is_closed) == (100, True)
    assert b"".join(each.get("body", b"") for each in sent) == b"x" * 100
    assert [each.get("more_body", False) for each in sent[-2:]] == [True, False]


def test_nothing_more_is_made_when_the_client_has_gone() -> None:
    _, made, is_closed = answered(leaves_after=5)
    assert made < 10
    assert is_closed
