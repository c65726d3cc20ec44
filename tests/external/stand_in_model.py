"""A model that speaks OpenAI's streaming chat API and always gives the same answer, for products that use one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

SAID = "The stand-in says hello."
FAIL = "please fail"
"""A request for this gets a 400."""


class _Chat(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["content-length"]))
        if FAIL.encode() in asked:
            self.send_error(400)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
        self._say(choices=[{"index": 0, "delta": {"role": "assistant", "content": SAID}, "finish_reason": None}])
        self._say(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
        self._say(choices=[], usage=usage)
        self.wfile.write(b"data: [DONE]\n\n")

    def _say(self, **chunk: Any) -> None:
        whole = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "one", **chunk}
        self.wfile.write(b"data: " + json.dumps(whole).encode() + b"\n\n")

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


@contextmanager
def stand_in_model() -> Iterator[str]:
    """Serves it on loopback. Yields the base address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Chat)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
