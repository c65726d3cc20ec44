"""HTTP agents on loopback: their answers as bytes, and the resulting outcomes."""

from __future__ import annotations

import asyncio

from scheduler.domain.run import Outcome, RuntimeSpec
from scheduler.net.policy import AllowedPrivate
from scheduler.runtimes.registry import make_runtime
from tests.integration.net.net_servers import Handler, serve
from tests.support.runs import LOOPBACK, SECRET, make_parts, make_request


def answered(status: str, body: bytes = b"", *headers: str) -> bytes:
    """Builds an answer as bytes."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def post(url: str, *, timeout: float = 10.0, allow: AllowedPrivate = LOOPBACK) -> Outcome:
    """Makes one attempt at an http agent at this address."""
    async with make_parts(allow_private=allow) as parts:
        return await make_runtime(RuntimeSpec("http", {"url": url}, SECRET, timeout), parts).run(make_request())


def outcome_of(answer: bytes | Handler, *, timeout: float = 10.0) -> Outcome:
    async def run() -> Outcome:
        async with serve(answer) as server:
            return await post(server.url, timeout=timeout)

    return asyncio.run(run())
