"""`python -m tests.bench.poll_server`: a server for polls. Prints its port, ends with its stdin.

`/hang…` never answers; `/feed…` answers with a feed of 20 entries, rebuilt each time; any other path answers at
once with a small JSON document, always the same.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from contextlib import suppress

BODY = b'{"job": {"state": "done", "count": 7}, "items": [' + b", ".join([b'{"id": 1234}'] * 40) + b"]}"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


ENTRY = """<item><guid isPermaLink="false">tag:example.org,2026:{n}</guid><title>Entry number {n} of the news</title>
<link>https://example.org/news/{n}</link><pubDate>Tue, 01 Dec 2026 0{d}:00:00 GMT</pubDate><author>ada</author>
<description><![CDATA[<p>{words}</p><p><a href="https://example.org/{n}">More</a></p>]]></description></item>"""
ENTRIES = "".join(
    ENTRY.format(n=n, d=n % 10, words="What happened in the town <b>today</b>. " * 20) for n in range(20)
)
FEED = (
    '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel><title>News</title>'
    "<link>https://example.org/</link><lastBuildDate>{built}</lastBuildDate>" + ENTRIES + "</channel></rss>"
)
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/rss+xml\r\nContent-Length: {}\r\n\r\n"
built = itertools.count()


def feed() -> bytes:
    """Returns the same entries with a new build time."""
    body = FEED.replace("{built}", str(next(built)))
    return (HEAD.format(len(body)) + body).encode()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers one request, then closes the connection."""
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        head = await reader.readuntil(b"\r\n\r\n")
        if b" /hang" in head:
            await reader.read()  # until the client gives up
        elif b" /feed" in head:
            writer.write(feed())
            await writer.drain()
        else:
            writer.write(ANSWER)
            await writer.drain()
    writer.close()


async def serve() -> None:
    """Serves until stdin ends."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
