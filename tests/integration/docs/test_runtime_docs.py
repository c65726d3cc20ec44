"""What docs/runtimes.md and docs/state-machine.md show is so."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from pathlib import Path

from werkzeug.serving import make_server

from scheduler.domain.model import MOVES
from scheduler.domain.run import Outcome, Replied, RuntimeSpec
from scheduler.runtimes.command import PERMANENT_STATUSES
from scheduler.runtimes.registry import make_runtime
from tests.support.runs import make_parts, make_request

ROOT = Path(__file__).parents[3]
RUNTIMES = (ROOT / "docs/runtimes.md").read_text(encoding="utf-8")
STATES = (ROOT / "docs/state-machine.md").read_text(encoding="utf-8")


def block(language: str, containing: str) -> str:
    [found] = [
        each for each in re.findall(rf"^```{language}\n(.*?)^```", RUNTIMES, re.M | re.S) if containing in each
    ]
    return str(found)


def test_the_request_that_is_shown_has_the_fields_of_the_one_that_is_sent() -> None:
    shown = json.loads(block("json", "invocation_id"))
    sent = json.loads(make_request().to_json())
    assert list(shown) == list(sent)
    assert list(shown["firings"][0]) == list(sent["firings"][0])
    assert list(shown["firings"][0]["trigger"]) == list(sent["firings"][0]["trigger"])


def test_the_example_server_accepts_our_calls_and_refuses_others() -> None:
    code = block("python", "standardwebhooks")
    secret = re.findall(r'Webhook\("(.*?)"\)', code)[0]
    names: dict[str, object] = {"__name__": "example"}
    exec(compile(code, "docs/runtimes.md", "exec"), names)  # noqa: S102  # it is our own example
    server = make_server("127.0.0.1", 0, names["app"])  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    async def call(with_secret: str) -> Outcome:
        async with make_parts() as parts:
            url = f"http://127.0.0.1:{server.server_port}/wake"
            return await make_runtime(RuntimeSpec("http", {"url": url}, with_secret, 10.0), parts).run(
                make_request()
            )

    try:
        assert asyncio.run(call(secret)) == Replied("ada saw 1 firings")
        refused = asyncio.run(call("whsec_c29tZSBvdGhlciBzZWNyZXQ="))
        assert "HTTP 401: not by Reveille" in str(refused)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_statuses_that_are_said_to_be_permanent_are() -> None:
    [row] = [line for line in RUNTIMES.splitlines() if "EX_USAGE" in line]
    assert {int(each) for each in re.findall(r"\b\d{2,3}\b", row)} == set(PERMANENT_STATUSES)


def test_every_move_that_is_drawn_is_explained_is_legal_and_has_a_test_of_that_name() -> None:
    drawn = set(re.findall(r"^    (\w+) --> (\w+):", STATES, re.M))
    rows = re.findall(r"^\| (?:(\w+) → (\w+))? ?\|.*`(test_\w+)` \|$", STATES, re.M)
    assert {(source, target) for source, target, _ in rows if source} == drawn
    unused = {("ready", each) for each in ("retrying", "dead", "skipped")} | {
        ("retrying", each) for each in ("dead", "skipped")
    }
    legal = {(source.value, target.value) for source, targets in MOVES.items() for target in targets}
    assert drawn | unused == legal
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for name in set(re.findall(r"`(test_\w+)`", STATES)):
        assert f"def {name}(" in tests, name
