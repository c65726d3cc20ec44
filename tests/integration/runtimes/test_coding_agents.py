"""The wrapper of examples/coding-agents as a `command` agent, with a stand-in that imitates each tool's JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from scheduler.domain.ids import new_id
from scheduler.domain.llm import ResponseUsage
from scheduler.domain.run import Failed, Outcome, Replied, RunAgent, RunRequest, RuntimeSpec
from scheduler.runtimes.registry import make_runtime
from tests.support.runs import make_parts, make_request

ROOT = Path(__file__).parents[3]
WRAPPER = ROOT / "examples/coding-agents/wake_coder.py"
STAND_IN = ROOT / "tests/support/stand_in_coder.py"
TOOLS = ("claude", "codex", "gemini")
ADA = RunAgent(id=new_id(), name="ada")


class Coder:
    """One tool, in its own folder."""

    def __init__(self, tool: str, folder: Path) -> None:
        self.folder = folder
        self.program = folder / tool
        self.program.write_text(f'#!/bin/sh\nexec {sys.executable} {STAND_IN} {folder} {tool} "$@"\n')
        self.program.chmod(0o755)
        paths = ("--program", self.program, "--state", folder / "state", "--directory", folder)
        self.command = [str(each) for each in (sys.executable, WRAPPER, tool, *paths, "--", "--sandbox", "safe")]

    def wake(self, context: str, **values: object) -> Outcome:
        return self.wake_with(make_request(**{"context": context, "agent": ADA} | values))

    def wake_with(self, request: RunRequest) -> Outcome:
        async def run() -> Outcome:
            async with make_parts({"coder": self.command}) as parts:
                spec = RuntimeSpec("command", {"name": "coder"}, None, 60)
                return await make_runtime(spec, parts).run(request)

        return asyncio.run(run())

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(each) for each in (self.folder / "calls").read_text().splitlines()]


def spent_by(tool: str) -> ResponseUsage:
    return ResponseUsage(104, 7, Decimal("0.25") if tool == "claude" else Decimal(0))


@pytest.mark.parametrize("tool", TOOLS)
def test_an_agent_keeps_its_conversation(tool: str, tmp_path: Path) -> None:
    coder = Coder(tool, tmp_path)
    prompt = '--help "quoted" $HOME\nläuft'
    assert coder.wake(prompt) == Replied(f"turn 1: {prompt}", spent=spent_by(tool))
    assert coder.wake("and then") == Replied("turn 2: and then", spent=spent_by(tool))
    assert coder.wake("hi", agent=RunAgent(id=new_id(), name="eve")) == Replied("turn 1: hi", spent=spent_by(tool))
    first, second, _ = coder.calls
    assert f"{tool}-1" in second
    assert f"{tool}-1" not in first
    assert all("--sandbox" in each for each in coder.calls)
    log = (tmp_path / "state" / f"{ADA.id}.log").read_text()
    assert log.count('"invocation_id"') == 2
    assert f"{tool}-1" in log


@pytest.mark.parametrize("tool", TOOLS)
def test_an_invocation_that_comes_again_is_answered_from_what_is_kept(tool: str, tmp_path: Path) -> None:
    coder, request = Coder(tool, tmp_path), make_request(context="once", agent=ADA)
    assert coder.wake_with(request) == coder.wake_with(request.model_copy(update={"attempt": 2}))
    assert len(coder.calls) == 1


@pytest.mark.parametrize("tool", TOOLS)
def test_a_conversation_that_is_forgotten_is_started_again(tool: str, tmp_path: Path) -> None:
    coder = Coder(tool, tmp_path)
    coder.wake("hi")
    (tmp_path / "conversations").write_text('{"of another machine": 1}')
    assert coder.wake("again") == Replied("turn 1: again", spent=spent_by(tool))
    assert [f"{tool}-1" in each for each in coder.calls] == [False, True, False]
    coder.wake("on")
    assert f"{tool}-2" in coder.calls[-1]


@pytest.mark.parametrize(
    ("tool", "error"),
    [("claude", "error_max_turns"), ("codex", "stream disconnected"), ("gemini", "quota")],
)
def test_a_failure_is_retried_in_the_same_conversation_and_counts(tool: str, error: str, tmp_path: Path) -> None:
    coder = Coder(tool, tmp_path)
    outcome = coder.wake("please fail")
    assert isinstance(outcome, Failed)
    assert not outcome.permanent
    assert outcome.error == f"coder ended with status 1: {error}"
    assert outcome.spent == (None if tool == "codex" else spent_by(tool))
    # Codex tells what the whole conversation took: so what the failed turn took is counted by the next.
    spent = ResponseUsage(208, 14, Decimal(0)) if tool == "codex" else spent_by(tool)
    assert coder.wake("on") == Replied("turn 2: on", spent=spent)


def test_the_one_object_of_the_format_json_is_read_too(tmp_path: Path) -> None:
    result = {"type": "result", "subtype": "success", "is_error": False, "result": "hi", "session_id": "s"}
    stats = {"models": {"a": {"tokens": {"prompt": 3, "candidates": 2}}, "b": {"tokens": {"prompt": 1}}}}
    for tool, said, spent in (
        ("claude", result | {"total_cost_usd": 1, "usage": {"input_tokens": 5}}, ResponseUsage(5, 0, Decimal(1))),
        ("gemini", {"session_id": "s", "response": "hi", "stats": stats}, ResponseUsage(4, 2, Decimal(0))),
    ):
        coder = Coder(tool, tmp_path)
        (tmp_path / "said").write_text(json.dumps(said, indent=2))
        coder.program.write_text(f"#!/bin/sh\ncat >/dev/null; echo Loaded.; cat {tmp_path}/said\n")
        outcome = coder.wake("x")
        assert outcome == Replied("hi", spent=spent), tool


def test_what_cannot_work_is_a_permanent_failure(tmp_path: Path) -> None:
    coder = Coder("claude", tmp_path)
    coder.program.unlink()
    outcome = coder.wake("x")
    assert isinstance(outcome, Failed)
    assert outcome == replace(outcome, permanent=True)
    assert "there is no" in outcome.error
