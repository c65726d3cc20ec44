"""Each preset with a loopback server that answers in the product's published format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from scheduler.domain.errors import ConfigurationError, InvalidField
from scheduler.domain.llm import ResponseUsage
from scheduler.domain.run import Failed, Outcome, Replied, RunRequest
from scheduler.net.policy import AllowedPrivate
from scheduler.runtimes import http_follow
from scheduler.runtimes.base import Operator
from scheduler.runtimes.http import HttpRuntime
from scheduler.runtimes.http_presets import FOLDER, merged, presets, read_preset
from scheduler.runtimes.registry import RUNTIME
from scheduler.storage.secrets import SecretBox
from tests.support.http_shapes import Script, Seen, replied, run_shaped
from tests.support.runs import LOOPBACK, make_request

DOCS = Path(__file__).parents[3] / "docs" / "presets"


def langgraph(seen: Seen) -> bytes:
    run = {"run_id": "r1", "thread_id": "t1", "status": "pending"}
    if seen.method == "POST":
        return replied(run, "200 OK", "Content-Location: /threads/t1/runs/r1")
    if seen.target.endswith("/join"):
        last = {
            "type": "ai",
            "content": "the answer",
            "usage_metadata": {"input_tokens": 5, "output_tokens": 2},
        }
        return replied({"messages": [{"type": "human", "content": "hi"}, last]})
    return replied(run | {"status": "success"})


def letta(_: Seen) -> bytes:
    messages = [
        {"message_type": "reasoning_message", "reasoning": "hm"},
        {"message_type": "assistant_message", "content": "the answer"},
    ]
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7, "step_count": 1}
    return replied({"messages": messages, "usage": usage, "stop_reason": {"stop_reason": "end_turn"}})


def dify(_: Seen) -> bytes:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_price": "0.0012890", "currency": "USD"}
    return replied({"event": "message", "answer": "the answer", "metadata": {"usage": usage}})


def responses(_: Seen) -> bytes:
    content = [{"type": "output_text", "text": "the answer", "annotations": []}]
    output = [{"type": "reasoning", "summary": []}, {"type": "message", "content": content}]
    usage = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    return replied({"status": "completed", "error": None, "output": output, "usage": usage})


@dataclass(frozen=True)
class Product:
    answer: Callable[[Seen], bytes]
    target: str
    body: Callable[[RunRequest], Any]
    outcome: Outcome
    settings: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


SPENT = ResponseUsage(5, 2, Decimal(0))
PRODUCTS = {
    "dify": Product(
        dify,
        "/v1/chat-messages",
        lambda it: {
            "query": it.context,
            "inputs": {},
            "response_mode": "blocking",
            "user": f"reveille-{it.agent.id}",
        },
        Replied("the answer", spent=ResponseUsage(5, 2, Decimal("0.001289"))),
        {"token": "app-1"},
        {"authorization": "Bearer app-1"},
    ),
    "flowise": Product(
        lambda _: replied({"text": "the answer", "question": "hi", "chatId": "c"}),
        "/api/v1/prediction/f1",
        lambda it: {
            "question": it.context,
            "chatId": str(it.agent.id),
            "overrideConfig": {"sessionId": str(it.agent.id)},
        },
        Replied("the answer"),
        {"parameters": {"chatflow_id": "f1"}},
    ),
    "langgraph": Product(
        langgraph,
        "/threads/{agent_id}/runs",
        lambda it: {
            "assistant_id": "agent",
            "if_not_exists": "create",
            "multitask_strategy": "enqueue",
            "input": {"messages": [{"role": "user", "content": it.context}]},
            "metadata": {"invocation_id": str(it.invocation_id)},
        },
        Replied("the answer", spent=SPENT),
        {"token": "lsv2"},
        {"x-api-key": "lsv2"},
    ),
    "letta": Product(
        letta,
        "/v1/agents/agent-1/messages",
        lambda it: {"messages": [{"role": "user", "content": it.context}]},
        Replied("the answer", spent=SPENT),
        {"parameters": {"agent_id": "agent-1"}, "token": "k"},
        {"authorization": "Bearer k"},
    ),
    "n8n": Product(
        lambda _: replied({"reply": "the answer"}),
        "/",
        lambda it: it.model_dump(mode="json"),
        Replied("the answer"),
    ),
    "openai-responses": Product(
        responses,
        "/v1/responses",
        lambda it: {"model": "m", "input": it.context, "metadata": {"invocation_id": str(it.invocation_id)}},
        Replied("the answer", spent=SPENT),
        {"parameters": {"model": "m"}, "token": "sk"},
        {"authorization": "Bearer sk"},
    ),
    "openclaw": Product(
        lambda _: replied({"ok": True, "runId": "r", "completion": {"status": "ok", "delivered": False}}),
        "/hooks/agent",
        lambda it: {
            "message": it.context,
            "name": "Reveille: ada",
            "agentId": "main",
            "waitForCompletion": True,
        },
        Replied("ok"),
        {"token": "hook"},
        {"authorization": "Bearer hook"},
    ),
}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_follow, "FIRST_LOOK", 0.01)


def test_each_preset_is_tried_here_and_has_its_page() -> None:
    assert set(presets()) == set(PRODUCTS) == {each.stem for each in FOLDER.iterdir()}
    for name, preset in presets().items():
        page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
        assert preset.docs == f"docs/presets/{name}.md"
        assert f'"preset": "{name}"' in page
        assert all(f"`{each}`" in page for each in preset.parameters), name


@pytest.mark.parametrize("name", sorted(PRODUCTS))
def test_a_preset_speaks_the_products_api(name: str) -> None:
    product, request, script = PRODUCTS[name], make_request(), Script(PRODUCTS[name].answer)
    assert run_shaped(script, {"preset": name, **product.settings}, request=request) == product.outcome
    seen = script.seen[0]
    assert (seen.method, seen.target) == ("POST", product.target.format(agent_id=request.agent.id))
    assert seen.json == product.body(request)
    assert product.headers.items() <= seen.headers.items()
    assert "webhook-signature" not in seen.headers


def test_the_agents_own_settings_come_first() -> None:
    script = Script(lambda _: replied({"data": {"outputs": {"text": "of a workflow"}}}))
    settings = {
        "preset": "dify",
        "token": "k",
        "path": "/v1/workflows/run",
        "body": {"inputs": {"text": "{{context}}"}, "response_mode": "blocking", "user": "me"},
        "reply_path": "$.data.outputs.text",
        "headers": {"authorization": "Basic {{token}}"},
        "sign": True,
    }
    assert run_shaped(script, settings) == Replied("of a workflow")
    [seen] = script.seen
    assert (seen.target, seen.headers["authorization"]) == ("/v1/workflows/run", "Basic k")
    assert "webhook-signature" in seen.headers


@pytest.mark.parametrize(
    ("name", "answer", "error"),
    [
        ("openclaw", {"ok": True, "completion": {"status": "error"}}, "The agent answered that it failed: error"),
        ("openai-responses", {"error": {"message": "no"}}, "The agent answered that it failed: no"),
    ],
)
def test_a_200_that_reports_an_error_is_a_failure(name: str, answer: object, error: str) -> None:
    outcome = run_shaped(Script(lambda _: replied(answer)), {"preset": name, **PRODUCTS[name].settings})
    assert outcome == Failed(error)


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"preset": "langgraf"}, "runtime.preset", "There is no preset 'langgraf'; the nearest is langgraph."),
        ({"preset": "zzz"}, "runtime.preset", "There is no preset 'zzz'; the presets are dify, flowise"),
        ({"preset": "letta"}, "runtime.parameters", "needs the parameter agent_id: the agent's id at Letta"),
        ({"preset": "dify"}, "runtime.token", "The preset dify needs a token."),
        (
            {"preset": "langgraph", "parameters": {"asistant_id": "a"}},
            "runtime.parameters.asistant_id",
            "has no parameter 'asistant_id'; it has: assistant_id",
        ),
        ({"preset": "n8n", "parameters": {"a": "1"}}, "runtime.parameters.a", "it has: none"),
        ({"preset": "n8n", "body": "{{nme}}"}, "runtime.body", "there is no value 'nme'"),
        ({"parameters": {"context": "x"}}, "runtime.parameters.context", "cannot be the name of a parameter"),
        ({"headers": {"X": "{{context}}"}}, "runtime.headers", "there is no value 'context'"),
        ({"body": {"t": "{{token}}"}, "token": "t"}, "runtime.body", "there is no value 'token'"),
        ({"preset": "langgraph", "url": "http://10.0.0.1"}, "runtime.url", "10.0.0.1"),
    ],
)
def test_settings_that_do_not_fit_are_refused_when_they_are_saved(
    given: dict[str, Any], field: str, said: str
) -> None:
    operator = Operator(SecretBox("0" * 32), AllowedPrivate.parse("127.0.0.1"), (), ())
    settings = HttpRuntime.model_validate({"kind": "http", "url": "http://127.0.0.1:8000", **given})
    with pytest.raises(InvalidField) as refused:
        settings.completed().check(operator)
    assert refused.value.field == field
    assert said in refused.value.message


@pytest.mark.parametrize("given", [{"preset": "Langgraf"}, {"preset": "langgraf", "parameters": 1}])
def test_an_unknown_preset_is_named_instead_of_what_is_missing_without_it(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        RUNTIME.validate_python({"kind": "http", **given})
    (said,) = refused.value.errors(include_url=False)
    assert (said["loc"], said["msg"].partition("; ")[2]) == (("http", "preset"), "the nearest is langgraph.")


def test_a_missing_address_is_named_with_a_known_preset_and_without_one() -> None:
    for given in ({"preset": "langgraph"}, {}, {"preset": 5}):
        with pytest.raises(ValidationError) as refused:
            RUNTIME.validate_python({"kind": "http", **given})
        assert ("http", "url") in [each["loc"] for each in refused.value.errors(include_url=False)]


HEAD = 'label = "X"\nsummary = "x"\ndocs = "d"\nurl = "http://127.0.0.1"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            f"{HEAD}[settings]\nbdoy = 1\n",
            "The preset x is wrong at settings.bdoy: There is no such field; the nearest is body.",
        ),
        (f'{HEAD}[settings]\nmethod = "FETCH"\n', "settings.method: It must be 'GET', 'POST'"),
        (f'{HEAD}[settings]\nreply_path = "a"\n', "settings.reply_path: Not a JSON path"),
        (f"{HEAD}[settings.async]\ndone = 1\n", "settings.async.done: There is no such field"),
        (f"{HEAD}pth = 1\n[settings]\n", "The preset x is wrong at pth"),
        (f"{HEAD}", "The preset x is wrong at settings: It is missing."),
        ("label = ", "The preset x is not TOML"),
    ],
)
def test_a_preset_with_a_wrong_field_says_which(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_preset("x", text)
    assert said in refused.value.message


def test_the_templates_of_all_presets_can_be_filled() -> None:
    operator = Operator(SecretBox("0" * 32), LOOPBACK, (), ())
    for name, preset in presets().items():
        given: dict[str, Any] = {"kind": "http", "preset": name, "url": "http://127.0.0.1:8000", "token": "t"}
        given |= {"parameters": dict.fromkeys(preset.parameters, "x")}
        settings = HttpRuntime.model_validate(given).completed()
        settings.check(operator)
        assert (settings.secret, merged(settings).sign) == (None, False)


@pytest.mark.parametrize(
    "page", [*sorted(DOCS.glob("*.md")), DOCS.parent / "runtimes.md"], ids=lambda each: each.stem
)
def test_the_settings_that_pages_show_are_taken(page: Path) -> None:
    operator = Operator(SecretBox("0" * 32), LOOPBACK, (), ())
    blocks = re.findall(r"```json\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    shown = [each for each in map(json.loads, blocks) if each.get("kind") == "http"]
    assert shown
    for settings in shown:
        filled = {name: value.replace("…", "x") for name, value in settings.items() if isinstance(value, str)}
        filled.pop("secret", None)
        HttpRuntime.model_validate({**settings, "secret": None, **filled}).completed().check(operator)
