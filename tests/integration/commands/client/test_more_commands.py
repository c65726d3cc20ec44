"""More commands of the console client: what is changed, woken, received, written and looked up from a shell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scheduler.commands import refs, tail
from scheduler.commands.client import Client
from scheduler.commands.exits import ExitCode, Unreachable, UsageFault
from tests.support.invocations import fire, make_agent_with_trigger
from tests.support.shell import Service, Shell


def test_an_agent_is_changed_woken_and_noted(shell: Shell, agent: str, tmp_path: Path) -> None:
    (tmp_path / "role").write_text("Guard the 夜.", encoding="utf-8")
    changed = shell.json(
        "agents", "edit", agent, "--set", f"role_description=@{tmp_path}/role", "--set", "max_batch=7",
        "--clear", "max_tokens_per_day", "--json-body", '{"language": "zh"}',
    )  # fmt: skip
    wanted = {"role_description": "Guard the 夜.", "max_batch": 7, "max_tokens_per_day": None, "language": "zh"}
    assert changed.items() >= wanted.items()
    shell("agents", "edit", agent, code=ExitCode.USAGE)
    shell("agents", "edit", agent, "--set", "max_batch=x", code=ExitCode.USAGE)
    assert "max_batch" in shell.err

    woken = shell.json("agents", "wake", agent, "A ship.", "--now", "--idempotency-key", "one")
    assert shell.json("agents", "wake", agent, "A ship.", "--now", "--idempotency-key", "one")["duplicate"]
    shown = shell("firings", "show", woken["firing_id"])
    assert "A ship." in shown
    assert "240" in shell("agents", "heartbeat", agent, "--every", "4h")
    assert shell.json("agents", "heartbeat", agent, "--off")["is_enabled"] is False
    shell("agents", "notes", agent, "--set", "Remember.")
    assert "Remember." in shell("agents", "notes", agent)
    shell("triggers", "add", agent, "--every", "1h", "--focus-ref", "a/b?", "--name", "hourly")
    assert "a/b?" in shell("agents", "focus", agent)
    assert shell("agents", "focus", agent, "--resolve", "a/b?", "--yes") == "Ended 1 trigger.\n"
    assert shell.json("agents", "usage", agent)["triggers"] == []
    assert woken["firing_id"] in shell("search", woken["firing_id"])
    assert "agent.created" in shell("audit", "--agent", agent, "--action", "agent")


def test_many_are_made_at_once(shell: Shell, name: str) -> None:
    runtime = {"kind": "http", "url": "https://agent.example.org/wake"}
    items = {"items": [{"name": f"{name}-{number}", "runtime": runtime} for number in (1, 2)]}
    out = shell("agents", "create-all", json.dumps(items))
    assert out.startswith("Created 2 agents.")
    assert out.count("whsec_") == 2
    first = shell.json("agents", "show", f"{name}-1")["id"]
    rows = {"items": [{"agent_id": first, "name": "hook", "type": "webhook"}]}
    assert "/hooks/" in shell("triggers", "add-all", json.dumps(rows))


def test_a_delivery_is_shown_with_what_it_carried_and_replayed(shell: Shell, agent: str) -> None:
    shell("triggers", "add", agent, "--type", "webhook", "--name", "hook")
    hook = f"{agent}/hook"
    shell("triggers", "rotate", hook, code=ExitCode.USAGE)
    address = shell("triggers", "rotate", hook, "--yes").splitlines()[0]
    httpx.post(address, content=b'{"ship": 1}', trust_env=False).raise_for_status()
    (row,) = shell.json("deliveries", "list", hook)["items"]
    short = row["id"][:18]
    assert '{"ship": 1}' in shell("deliveries", "show", hook, short)
    assert "Fired: " in shell("deliveries", "replay", hook, short)
    span = ["--from", "2020-01-01", "--to", "2099-01-01"]
    shell("deliveries", "replay", hook, *span, code=ExitCode.USAGE)
    assert row["id"] in shell("deliveries", "replay", hook, *span, "--yes")
    shell("deliveries", "show", hook, "ffff", code=ExitCode.NOT_FOUND)
    assert shell("firings", "payload", row["firing_id"]) == '{"ship": 1}'


def test_people_write_to_agents(shell: Shell, agent: str, name: str) -> None:
    shell("users", "create", f"grace-{name}", "--on", "slack=U1" + name)
    shell("users", "create", "x", "--on", "slack", code=ExitCode.USAGE)
    sent = shell.json("messages", "send", agent, "Good morning.", "--from-user", f"grace-{name}")
    assert f"grace-{name}" in shell("sessions", "--agent", agent)
    assert "Good morning." in shell("sessions", "show", sent["session_id"])
    assert "Good morning." in shell("messages", "show", sent["id"])


def test_models_tenants_channels_mutes_and_keys(shell: Shell, agent: str, name: str) -> None:
    shell("models", "create", name, "--provider", "openai", "--model", "m-1", "--model-key", "sk-1")
    assert shell.json("models", "edit", name, "--set", "is_enabled=false")["is_enabled"] is False
    assert name in shell("models", "list")
    assert shell("models", "delete", name, "--yes") == f"Deleted model {name}.\n"
    shell("tenants", "create", name, "--timezone", "Asia/Tokyo")
    assert shell.json("agents", "list", "--tenant", name)["items"] == []
    assert shell("tenants", "pause", name, "--note", "closed") == f"Paused tenant {name}.\n"
    assert "closed" in shell("paused", "--tenant", name)
    shell("tenants", "resume", name)
    shell("tenants", "edit", name, "--set", "default_max_triggers=3")
    shell("tenants", "delete", name, "--yes")
    key = "00" * 32
    shell("channels", "create", agent, name, "--kind", "discord", "--secret", f"public_key={key}")
    for shown in (shell("channels", "list"), shell("channels", "show", name)):
        assert agent in shown
        assert shell.json("agents", "show", agent)["id"] not in shown
    assert shell.json("channels", "edit", name, "--set", "is_enabled=false")["is_enabled"] is False
    shell("channels", "delete", name, "--yes")
    said = shell("alerts", "mute", "--agent", agent, "--rule", "agent_asleep")
    assert said.startswith(f"Muted agent_asleep of {agent}; ")
    (mute,) = [each["id"] for each in shell.json("alerts", "mutes")["items"] if each["subject_name"] == agent]
    assert mute in said
    assert agent in shell("alerts", "mutes")
    shell("alerts", "unmute", mute)
    made = shell.json("keys", "create", name, "--scope", f"agent:{agent}", "--expires-at", "2099-01-01")
    assert made["scopes"] == [f"agent:{shell.json('agents', 'show', agent)['id']}"]
    assert shell.json("keys", "show", name)["expires_at"] == "2099-01-01T00:00:00Z"
    shell("keys", "revoke", name, "--yes")


def test_short_ids_are_taken_wherever_ids_are(shell: Shell, service: Service, name: str) -> None:
    woken = make_agent_with_trigger(service.db, name)
    (firing,) = map(str, fire(service.db, woken))
    invocation = shell.json("firings", "show", firing)["invocation_id"]
    for begin in (firing[:23], firing[:23].replace("-", "").upper(), firing[-8:]):
        assert shell.json("firings", "show", begin)["id"] == firing
    assert shell.json("invocations", "show", invocation[:23])["id"] == invocation
    page = shell.json("firings", "list", "--after", firing[:23], "--limit", "1")
    assert all(item["id"] < firing for item in page["items"])
    for number in range(2):
        shell("targets", "add", name, f"t{number}", "--kind", "slack", "--target-url", "https://nowhere.invalid/")
    target = shell.json("targets", "show", f"{name}/t0")["id"]
    assert shell.json("targets", "show", target[:23])["id"] == target
    shell("users", "create", name)
    sent = shell.json("messages", "send", name, "A ship.", "--from-user", name)["id"]
    assert shell.json("messages", "show", sent[:23])["text"] == "A ship."
    events = shell.json("audit", "--subject", target[:23])["items"]
    assert {each["subject_id"] for each in events} == {target}
    shell("targets", "show", target[:4], code=ExitCode.USAGE)
    assert "several ids" in shell.err


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.url, service.key) as connected:
        yield connected


def test_tail_shows_firings_and_wakes(shell: Shell, agent: str) -> None:
    fired = shell.json("agents", "wake", agent, "A ship.")
    assert fired["firing_id"] in shell("tail", "--agent", agent)
    (line,) = shell("tail", "--agent", agent, "--json").splitlines()
    assert json.loads(line).items() >= {"kind": "firing", "id": fired["firing_id"]}.items()


def test_a_deleted_agent_is_called_that_in_lists(shell: Shell, agent: str) -> None:
    id_ = shell.json("agents", "show", agent)["id"]
    shell("agents", "wake", agent, "A ship.")
    shell("agents", "delete", agent, "--yes")
    for command in (
        ("firings", "--agent", id_),
        ("invocations", "list", "--agent", id_),
        ("tail", "--agent", id_),
    ):
        assert f"(deleted {id_[:8]})" in shell(*command)


def test_the_stream_tells_of_a_change_and_tail_then_finds_it(
    shell: Shell, client: Client, agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tail.Log(client, {"agent_id": shell.json("agents", "show", agent)["id"]})
    assert log.news() == []
    waited = log.wait()
    fired = shell.json("agents", "wake", agent, "A ship.")
    while not waited:
        waited = log.wait()
    assert [row["id"] for row in waited] == [fired["firing_id"]]

    stream = client.changes

    def breaks_once() -> Iterator[str]:
        monkeypatch.setattr(client, "changes", stream)
        raise Unreachable("It does not answer.")

    monkeypatch.setattr(tail, "AWAY_SECONDS", 0.0)
    monkeypatch.setattr(client, "changes", breaks_once)
    log._lines = None
    again = shell.json("agents", "wake", agent, "Another.")
    assert [row["id"] for row in log.wait()] == [again["firing_id"]]


def test_dotted_fields_are_set_in_their_objects() -> None:
    body = refs.put_fields({}, ["a.b=1", "a.c=x=y", 'd="1"', "e="], ["f"])
    assert body == {"a": {"b": 1, "c": "x=y"}, "d": "1", "e": "", "f": None}
    for wrong in (["a"], ["=1"], ["a=1", "a.b=2"]):
        with pytest.raises(UsageFault):
            refs.put_fields({}, wrong)
