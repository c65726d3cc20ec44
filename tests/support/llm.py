"""A model provider on loopback: it sends scripted answers, or replays recorded ones."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from scheduler.domain.clock import SystemClock
from scheduler.domain.ids import new_id
from scheduler.domain.run import Runtime, RuntimeSpec
from scheduler.domain.tools import Tool
from scheduler.net.client import GuardedClient
from scheduler.runtimes.base import RuntimeParts
from scheduler.runtimes.llm import LlmRun
from scheduler.runtimes.transcripts import TranscriptWriter
from scheduler.storage.engine import Database
from scheduler.storage.models import create_model
from tests.integration.net.net_servers import LOOPBACK, Exchange, serve
from tests.support.database import rows
from tests.support.dispatching import make_dispatcher
from tests.support.factories import BOX, DEFAULT_TENANT
from tests.support.invocations import AgentWithTrigger, make_agent_with_trigger

Saying = bytes | Callable[[Exchange], Awaitable[None]]
"""An answer as bytes, or a function that handles a request."""

NOTHING_SET: Mapping[str, Any] = {}


def http(status: int, body: str | bytes, **headers: str) -> bytes:
    """Builds an HTTP answer. `retry_after="2"` is the header `retry-after`."""
    data = body.encode() if isinstance(body, str) else body
    fields = {"content-length": str(len(data)), **{name.replace("_", "-"): each for name, each in headers.items()}}
    head = "".join(f"{name}: {each}\r\n" for name, each in fields.items())
    return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + data


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"


def _chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    event = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m-1", "choices": [choice]}
    return f"data: {json.dumps(event)}\n\n".encode()


def _usage(tokens_in: int, tokens_out: int) -> bytes:
    usage = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}
    event = {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m-1",
        "choices": [],
        "usage": usage,
    }
    return f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n".encode()


def chunks(text: str, *, finish: str = "stop") -> list[bytes]:
    """Returns the events of a text, one word each."""
    words = [f"{word} " for word in text.split(" ")]
    words[-1] = words[-1].removesuffix(" ")
    return [
        *(_chunk({"role": "assistant", "content": word}) for word in words),
        _chunk({}, finish),
        _usage(100, 20),
    ]


def text(said: str, *, finish: str = "stop") -> bytes:
    """Streams a text; it uses 100 input tokens and 20 output tokens."""
    return STREAM_HEAD + b"".join(chunks(said, finish=finish))


def calls(*asked: tuple[str, Any], said: str = "", finish: str = "tool_calls") -> bytes:
    """Streams tool calls of `(name, arguments)`; text arguments are sent as they are. 50 input and 10 output
    tokens.
    """
    parts = [_chunk({"role": "assistant", "content": said})] if said else []
    for index, (name, arguments) in enumerate(asked):
        written = arguments if isinstance(arguments, str) else json.dumps(arguments)
        call = {
            "index": index,
            "id": f"call_{index}",
            "type": "function",
            "function": {"name": name, "arguments": ""},
        }
        parts += [_chunk({"role": "assistant", "tool_calls": [call]})]
        half = len(written) // 2
        parts += [
            _chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
            for piece in (written[:half], written[half:])
        ]
    return STREAM_HEAD + b"".join([*parts, _chunk({}, finish), _usage(50, 10)])


def replayed(recorded: Mapping[str, Any]) -> Saying:
    """Replays a recorded response; an aborted one lacks the end of its body."""
    body = recorded["body"].encode()
    headers = {name: each for name, each in recorded["headers"] if name.lower() != "content-length"}
    if recorded.get("close") == "abort":
        return http(recorded["status"], body + b" " * 10, **headers)[:-10]
    return http(recorded["status"], body, **headers)


@dataclass
class Provider:
    """A running provider. It sends its answers in order, and repeats the last one."""

    url: str = ""
    sayings: list[Saying] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    async def answer(self, exchange: Exchange) -> None:
        self.requests.append(json.loads(exchange.body))
        self.keys.append(exchange.headers.get("authorization", ""))
        saying = self.sayings.pop(0) if len(self.sayings) > 1 else self.sayings[0]
        await (exchange.send(saying) if isinstance(saying, bytes) else saying(exchange))

    def told(self, number: int = -1) -> list[dict[str, Any]]:
        """Returns the messages of a request."""
        messages: list[dict[str, Any]] = self.requests[number]["messages"]
        return messages


@contextlib.asynccontextmanager
async def providing(*sayings: Saying) -> AsyncIterator[Provider]:
    """Runs a provider on a free port."""
    provider = Provider(sayings=list(sayings))
    async with serve(provider.answer) as server:
        provider.url = f"{server.url}v1"
        yield provider


def make_model(db: Database, url: str, **values: Any) -> UUID:
    """Creates a model of the default tenant that costs 2 and 8 per million tokens, unless told otherwise."""
    fields = {
        "name": f"m{new_id().hex[-8:]}",
        "provider": "openai-compatible",
        "model": "m-1",
        "base_url": url,
        "key": BOX.encrypt("sk-test"),
        "input_price": 2,
        "output_price": 8,
    }
    with db.begin() as conn:
        return UUID(str(create_model(conn, DEFAULT_TENANT, fields | values).id))


def make_thinker(
    db: Database, model_id: UUID, settings: Mapping[str, Any] = NOTHING_SET, **agent: Any
) -> AgentWithTrigger:
    """Creates an `llm` agent with a webhook trigger; `settings` are further settings of its runtime."""
    runtime = {"model_id": str(model_id), **settings}
    return make_agent_with_trigger(db, agent.pop("name", "thinker"), runtime_kind="llm", runtime=runtime, **agent)


class Thinkers:
    """The part of a worker that runs `llm` agents."""

    def __init__(self, db: Database, client: GuardedClient, tools: Sequence[Tool], stall_seconds: float) -> None:
        self._db = db
        self._transcripts = TranscriptWriter(db)
        self._stall_seconds = stall_seconds
        self._parts = RuntimeParts(
            client, SystemClock(), {}, tools, transcripts=self._transcripts, read_variable=VARIABLES.get
        )
        self.dispatcher = make_dispatcher(db, self._runtime)

    async def run(self, invocation_id: UUID, attempt: int = 1) -> None:
        """Makes one attempt, to its end."""
        await self.dispatcher.run([(invocation_id, attempt)])

    def close(self) -> None:
        self.dispatcher.close()
        self._transcripts.close()

    def _runtime(self, spec: RuntimeSpec) -> Runtime:
        return LlmRun(spec, self._parts, stall_seconds=self._stall_seconds)


VARIABLES = {"A_MODELS_KEY": "sk-from-the-environment"}


@contextlib.asynccontextmanager
async def thinking(
    db: Database, *, tools: Sequence[Tool] = (), stall_seconds: float = 20.0
) -> AsyncIterator[Thinkers]:
    """Runs `llm` agents whose models may be on loopback."""
    async with GuardedClient(allow_private=LOOPBACK) as client:
        thinkers = Thinkers(db, client, tools, stall_seconds)
        try:
            yield thinkers
        finally:
            thinkers.close()


def notes(db: Database) -> list[str]:
    """Returns the notes for people in the transcripts: what the model did not say or do."""
    query = "SELECT text FROM messages WHERE from_type = 'system' AND to_agent_id IS NULL ORDER BY id"
    return [row.text for row in rows(db, query)]


async def until(seen: Callable[[], bool]) -> None:
    """Waits for something that another task will do."""
    async with asyncio.timeout(20):
        while not seen():
            await asyncio.sleep(0.01)
