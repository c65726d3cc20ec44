"""`python -m tests.bench.poll_server`: a server for polls to look at. Prints its port, ends with its stdin.

`/hang…` never answers; any other path answers at once with a small JSON document, always the same.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

BODY = b'{"job": {"state": "done", "count": 7}, "items": [' + b", ".join([b'{"id": 1234}'] * 40) + b"]}"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request, then the connection is closed."""
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        head = await reader.readuntil(b"\r\n\r\n")
        if b" /hang" in head:
            await reader.read()  # until the client gives up
        else:
            writer.write(ANSWER)
            await writer.drain()
    writer.close()


async def serve() -> None:
    """Until stdin ends."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
