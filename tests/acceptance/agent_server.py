"""Agents under test: one HTTP server that accepts invocations and records when each ran, and with what."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from threading import Lock, Thread
from typing import Any


@dataclass
class Run:
    """A call of the runtime, as its agent saw it."""

    agent_id: str
    invocation_id: str
    attempt: int
    firing_ids: list[str]
    body: dict[str, Any]
    headers: dict[str, str]
    started: float
    ended: float = 0.0


@dataclass
class AgentServer:
    """Records the calls of the agents."""

    takes_seconds: float = 0.0
    url: str = ""
    runs: list[Run] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def receive(self, headers: dict[str, str], body: dict[str, Any]) -> None:
        """Runs an agent, which takes some time."""
        firing_ids = [firing["id"] for firing in body["firings"]]
        run = Run(body["agent"]["id"], body["invocation_id"], body["attempt"], firing_ids, body, headers, _now())
        with self._lock:
            self.runs.append(run)
        time.sleep(self.takes_seconds)
        run.ended = _now()

    def overlaps(self) -> list[tuple[Run, Run]]:
        """Returns pairs of runs of one agent that overlapped."""
        by_agent: dict[str, list[Run]] = defaultdict(list)
        for run in sorted(self.runs, key=lambda each: each.started):
            by_agent[run.agent_id].append(run)
        return [(one, two) for runs in by_agent.values() for one, two in pairwise(runs) if two.started < one.ended]


def _now() -> float:
    return time.time()  # wall time: compared with the database's


@contextmanager
def agent_server(takes_seconds: float = 0.0) -> Iterator[AgentServer]:
    """Runs a server for agents' `http` runtimes, on loopback."""
    agents = AgentServer(takes_seconds)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with suppress(ConnectionError):  # the calling worker may have been killed
                super().handle()

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            agents.receive(dict(self.headers), json.loads(self.rfile.read(length)))
            answer = json.dumps({"reply": "done"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    agents.url = f"http://127.0.0.1:{server.server_port}/run"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield agents
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
