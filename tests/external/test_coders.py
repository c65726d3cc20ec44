"""`examples/coding-agents` with Claude Code, Codex and Gemini CLI themselves, which think with a stand-in."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from scheduler.domain.ids import new_id
from scheduler.domain.llm import ResponseUsage
from scheduler.domain.run import Failed, Outcome, Replied, RunAgent, RuntimeSpec
from scheduler.runtimes.registry import make_runtime
from tests.external.products import installed, with_node
from tests.external.stand_in_coder_model import FAIL, READ, SAID, coder_model
from tests.support.runs import make_parts, make_request

BIN = installed("coders/node_modules/.bin")
WRAPPER = Path(__file__).parents[2] / "examples/coding-agents/wake_coder.py"
OPTIONS = {
    "claude": (),
    "codex": ("--skip-git-repo-check",),
    "gemini": ("--skip-trust", "--model", "gemini-2.5-pro"),
}
TOOLS = tuple(OPTIONS)
Wake = Callable[..., Outcome]


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    with coder_model() as url:
        yield url


@pytest.fixture
def wake(model: str, tmp_path: Path, request: pytest.FixtureRequest) -> Wake:
    """Wakes the tool, which has a home of its own and no key of anybody."""
    tool = str(request.param)
    codex = {"name": "stand-in", "base_url": f"{model}/v1", "wire_api": "responses", "env_key": "CODEX_API_KEY"}
    lines = [f'{name} = "{value}"' for name, value in codex.items()]
    top = 'model = "one"\nmodel_provider = "stand-in"\n[model_providers.stand-in]\n'
    for name, content in (
        (".codex/config.toml", top + "\n".join(lines)),
        (".gemini/settings.json", json.dumps({"security": {"auth": {"selectedType": "gemini-api-key"}}})),
    ):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(content)
    keys = dict.fromkeys(("ANTHROPIC_API_KEY", "CODEX_API_KEY", "GEMINI_API_KEY"), "none")
    urls = {"ANTHROPIC_BASE_URL": model, "GOOGLE_GEMINI_BASE_URL": model}
    env = with_node() | keys | urls | {"HOME": str(tmp_path)}
    given = ["env", "-i", *(f"{name}={value}" for name, value in env.items()), sys.executable, str(WRAPPER), tool]
    paths = ["--program", str(BIN / tool), "--directory", str(tmp_path), "--state", str(tmp_path / "state")]
    command = ["/usr/bin/" + given[0], *given[1:], *paths, "--", *OPTIONS[tool]]
    ada = RunAgent(id=new_id(), name="ada")

    def run(context: str) -> Outcome:
        async def call() -> Outcome:
            async with make_parts({"coder": command}) as parts:
                spec = RuntimeSpec("command", {"name": "coder"}, None, 120)
                return await make_runtime(spec, parts).run(make_request(context=context, agent=ada))

        return asyncio.run(call())

    return run


def spent_of(outcome: Outcome) -> ResponseUsage:
    assert isinstance(outcome, Replied), outcome
    assert outcome.spent is not None
    return outcome.spent


@pytest.mark.parametrize(("wake", "tool"), [(each, each) for each in TOOLS], ids=TOOLS, indirect=["wake"])
def test_an_agent_keeps_its_conversation_and_each_wake_counts_what_it_took(wake: Wake, tool: str) -> None:
    outcomes = [wake("Say hello."), wake("And again."), wake("Once more.")]
    assert [isinstance(each, Replied) and each.text for each in outcomes] == ["turn 1", "turn 2", "turn 3"]
    first, *later = map(spent_of, outcomes)
    assert first.tokens_in % READ == 0 < first.tokens_in, "the first one may make up a title too"
    assert [(each.tokens_in, each.tokens_out) for each in later] == [(READ, SAID)] * 2
    assert all((each.cost > Decimal(0)) is (tool == "claude") for each in later)


@pytest.mark.parametrize("wake", TOOLS, indirect=True)
def test_a_model_that_refuses_is_a_failed_attempt_that_says_why(wake: Wake) -> None:
    outcome = wake(FAIL)
    assert isinstance(outcome, Failed)
    assert not outcome.permanent
    assert "it was asked to fail" in outcome.error


@pytest.mark.parametrize("wake", TOOLS, indirect=True)
def test_a_conversation_that_is_lost_is_started_again(wake: Wake, tmp_path: Path) -> None:
    wake("Say hello.")
    [kept] = (tmp_path / "state").glob("*.json")
    memory = json.loads(kept.read_text())
    kept.write_text(json.dumps(memory | {"session": "00000000-0000-4000-8000-000000000000"}))
    outcome = wake("Are you there?")
    assert isinstance(outcome, Replied)
    assert outcome.text == "turn 1"
