"""A model for coding agents: it speaks Anthropic's, OpenAI's and Google's API, streamed, and counts the turns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

FAIL = "please fail"
"""Asked for this, it answers 400."""
READ, SAID = 11, 7
"""The tokens of each call."""


def anthropic(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The events of the Messages API."""
    usage = {"input_tokens": READ, "output_tokens": 1}
    message = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": [],
        "usage": usage,
    }
    block = {"type": "text", "text": ""}
    return [
        {"type": "message_start", "message": message | {"usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": turn(asked["messages"])},
        },
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": SAID}},
        {"type": "message_stop"},
    ]


def openai(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The events of the Responses API."""
    content = [{"type": "output_text", "text": turn(asked["input"]), "annotations": []}]
    item = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content}
    usage = {"input_tokens": READ, "output_tokens": SAID, "total_tokens": READ + SAID}
    response = {"id": "r", "object": "response", "created_at": 1, "model": asked["model"]}
    begun, ended = (
        {"status": "in_progress", "output": []},
        {"status": "completed", "output": [item], "usage": usage},
    )
    return [
        {"type": "response.created", "response": response | begun},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response | ended},
    ]


def google(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The only event of streamGenerateContent."""
    content = {"role": "model", "parts": [{"text": turn(asked["contents"])}]}
    usage = {"promptTokenCount": READ, "candidatesTokenCount": SAID, "totalTokenCount": READ + SAID}
    return [{"candidates": [{"content": content, "finishReason": "STOP", "index": 0}], "usageMetadata": usage}]


SPEAKS = {"messages": anthropic, "responses": openai, "GenerateContent": google}


def turn(entries: list[dict[str, Any]]) -> str:
    """Says how many turns of the model this conversation has with this one."""
    return f"turn {1 + sum(each.get('role') in ('assistant', 'model') for each in entries)}"


def event(data: Mapping[str, Any]) -> str:
    """Writes one event of a stream. Google's have no names."""
    name = f"event: {data['type']}\n" if "type" in data else ""
    return f"{name}data: {json.dumps(data)}\n\n"


class _Model(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        api = next((speak for part, speak in SPEAKS.items() if part in self.path), None)
        asked = json.loads(body)
        if api is None or FAIL in json.dumps(asked.get("messages") or asked.get("input") or asked.get("contents")):
            self._say(400, "application/json", b'{"error": {"code": 400, "message": "it was asked to fail"}}')
            return
        said = "".join(map(event, api(asked))).encode()
        self._say(200, "text/event-stream", said)

    def _say(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def coder_model() -> Iterator[str]:
    """Serves it on loopback. Yields the base address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Model)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
