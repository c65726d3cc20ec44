"""The console client against a real web process on a real database: what its commands do and show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from scheduler.commands.exits import ExitCode
from scheduler.domain.run import Replied
from tests.support.database import rows
from tests.support.invocations import AgentWithTrigger, close, finish, fire, make_agent_with_trigger, start
from tests.support.shell import Service, Shell


@pytest.fixture
def woken(service: Service, name: str) -> AgentWithTrigger:
    return make_agent_with_trigger(service.db, name)


def test_an_agent_is_created_shown_paused_resumed_and_deleted(shell: Shell, name: str) -> None:
    out = shell("agents", "create", name, "--command", "echo", "--timezone", "Europe/Berlin", "--window", "1.5m")
    assert "Europe/Berlin" in out
    made = shell.json("agents", "show", name)
    assert made["runtime"] == {"kind": "command", "name": "echo"}
    assert made["dedup_delay_seconds"] == 90
    assert shell.json("agents", "show", made["id"]) == made
    row = next(line for line in shell("agents", "list").splitlines() if name in line)
    assert row.split() == [made["id"], name, "command", "Europe/Berlin", "no"]
    assert shell("agents", "pause", name, "--note", "on holiday") == f"Paused agent {name}.\n"
    assert "on holiday" in shell("agents", "show", name)
    assert shell("agents", "resume", name) == f"Resumed agent {name}.\n"
    assert shell.json("agents", "show", name)["is_paused"] is False
    assert shell("agents", "delete", name, "--yes") == f"Deleted agent {name}.\n"
    shell("agents", "show", name, code=ExitCode.NOT_FOUND)


def test_the_secret_of_an_http_agent_is_shown_once(shell: Shell, name: str) -> None:
    out = shell("agents", "create", name, "--agent-url", "https://agent.example.org/wake")
    assert "whsec_" in out
    assert "not shown again" in out
    assert "whsec_" not in shell("agents", "show", name)


def test_a_trigger_is_added_shown_paused_resumed_fired_and_removed(shell: Shell, agent: str) -> None:
    assert "Its cooldown is 10 s" in shell("triggers", "add", agent, "--every", "10s")
    refused = ("triggers", "rm", f"{agent}/interval 10s")
    shell(*refused, code=ExitCode.USAGE)
    assert "--yes" in shell.err
    assert f"{agent}/interval 10s" in shell("triggers", "list", agent)
    made = shell.json("triggers", "add", agent, "--every", "20s", "--reason", "Look around.", "--max-fires", "3")
    assert (made["type"], made["config"], made["name"]) == ("interval", {"seconds": 20}, "interval 20s")
    assert (made["reason"], made["max_fires"]) == ("Look around.", 3)
    named = f"{agent}/interval 20s"
    assert shell.json("triggers", "show", named) == shell.json("triggers", "show", made["id"])
    assert made["id"] in shell("triggers", "list", agent)
    assert made["id"] in shell("triggers", "list", "--agent", agent)
    assert made["id"] in shell("triggers", "list")
    assert shell("triggers", "pause", named, "--note", "later") == "Paused trigger interval 20s.\n"
    assert "later" in shell("triggers", "show", named)
    shell("triggers", "fire", named, code=ExitCode.FAILED)
    assert "next at" in shell("triggers", "resume", named)
    fired = shell.json("triggers", "fire", named)
    assert {"firing_id", "invocation_id"} <= set(fired)
    assert fired["firing_id"] in shell("firings", "--trigger", named)
    assert fired["invocation_id"] in shell("invocations", "list", "--agent", agent, "--state", "collecting")
    assert shell("triggers", "rm", named, "--yes") == f"Deleted trigger {named}.\n"
    shell("triggers", "show", made["id"], code=ExitCode.NOT_FOUND)


@pytest.mark.parametrize(
    ("options", "kind", "config"),
    [
        (["--expr", "0 9 * * mon-fri"], "cron", {"expr": "0 9 * * mon-fri"}),
        (
            ["--type", "cron", "--expr", "*/10 * * * * *", "--seconds-first", "--timezone", "Asia/Tokyo"],
            "cron",
            {"expr": "*/10 * * * * *", "seconds": "first", "timezone": "Asia/Tokyo"},
        ),
        (["--at", "2099-01-31T09:00:00+01:00"], "once", {"at": "2099-01-31T09:00:00+01:00"}),
        (["--at", "2001-01-01", "--allow-past"], "once", {"at": "2001-01-01", "allow_past": True}),
        (["--every", "1.5h"], "interval", {"seconds": 5400}),
        (
            ["--poll-url", "https://example.org/job", "--json-path", "$.state", "--every", "10m"],
            "poll",
            {"url": "https://example.org/job", "json_path": "$.state", "interval_min": 10},
        ),
        (["--type", "interval", "--config", '{"minutes": 7}'], "interval", {"minutes": 7}),
        (["--scheme", "github", "--secret", "hush"], "webhook", {"signature": {"scheme": "github"}}),
        (["--type", "webhook"], "webhook", {}),
    ],
)
def test_friendly_options_make_the_config(
    shell: Shell, agent: str, options: list[str], kind: str, config: dict[str, Any]
) -> None:
    made = shell.json("triggers", "add", agent, *options)
    assert made["type"] == kind
    assert _without_defaults(made["config"]) == config
    assert (made["hook_url"] is not None) == (kind == "webhook")


def test_a_webhook_s_address_is_shown_once_and_its_secret_may_come_from_a_file(
    shell: Shell, service: Service, agent: str, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("hush\n", encoding="utf-8")
    out = shell(
        "triggers", "add", agent, "--name", "push", "--scheme", "github", "--secret", f"@{tmp_path}/secret"
    )
    assert f"{service.url}/hooks/" in out
    assert "hush" not in out
    assert "/hooks/" not in shell("triggers", "show", f"{agent}/push")


def test_all_settings_of_a_trigger_can_be_given(shell: Shell, agent: str) -> None:
    made = shell.json(
        "triggers", "add", agent, "--every", "1h", "--name", "all", "--focus-ref", "ticket 7", "--urgent",
        "--cooldown", "2m", "--expires-at", "2099-01-01T00:00:00Z", "--misfire", "skip", "--grace", "30s",
    )  # fmt: skip
    wanted = {
        "name": "all",
        "focus_ref": "ticket 7",
        "urgent": True,
        "cooldown_seconds": 120,
        "expires_at": "2099-01-01T00:00:00Z",
        "misfire_policy": "skip",
        "grace_seconds": 30,
    }
    assert made.items() >= wanted.items()


def test_a_preview_shows_local_times_and_explains_clock_changes(shell: Shell, agent: str) -> None:
    options = [
        "--expr",
        "30 2 * * *",
        "--timezone",
        "Europe/Berlin",
        "--after",
        "2026-03-28T12:00:00Z",
        "--count",
        "2",
    ]
    lines = shell("triggers", "preview", *options).splitlines()
    assert lines[:3] == ["FIRES AT", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
    assert lines[3].startswith("2026-03-29T03:00:00+02:00 (moved): ")
    shell("triggers", "add", agent, "--every", "10m", "--name", "tick")
    assert len(shell.json("triggers", "preview", f"{agent}/tick", "--count", "4")["fire_times"]) == 4
    shell("triggers", "add", agent, "--type", "webhook", "--name", "hook")
    assert shell("triggers", "preview", f"{agent}/hook") == ""
    assert "does not fire by itself" in shell.err


def test_an_invocation_is_shown_with_its_context_and_reply_and_replayed(
    shell: Shell, service: Service, woken: AgentWithTrigger
) -> None:
    fire(service.db, woken, 2)
    close(service.db)  # and windows of earlier tests, if the machine is slow
    query = "SELECT id FROM invocations WHERE agent_id = :agent_id"
    [(invocation_id,)] = rows(service.db, query, agent_id=woken.agent_id)
    claimed = start(service.db, invocation_id)
    with service.db.begin() as conn:
        conn.execute(
            text("UPDATE invocations SET context = :context WHERE id = :id"),
            {"context": "You were woken twice.\n\x1b[31mred", "id": invocation_id},
        )
        assert finish(conn, invocation_id, claimed.attempt, Replied("Good morning."))
    out = shell("invocations", "show", str(invocation_id))
    assert "state             succeeded" in out
    assert "\nContext\nYou were woken twice.\n\\x1b[31mred\n" in out
    assert out.endswith("\nReply\nGood morning.\n")
    assert shell.json("invocations", "show", str(invocation_id))["context"].endswith("\x1b[31mred")
    into = shell.json("invocations", "replay", str(invocation_id))["invocation_id"]
    assert into in shell("invocations", "show", str(invocation_id))
    assert "is cancelled" in shell("invocations", "cancel", into)
    shell("invocations", "cancel", str(invocation_id), code=ExitCode.FAILED)


def test_the_list_says_why_a_window_is_held(shell: Shell, service: Service, woken: AgentWithTrigger) -> None:
    shell("agents", "pause", str(woken.agent_id))
    fire(service.db, woken, 1)
    assert close(service.db).held == 1
    heading, row = shell("invocations", "list", "--agent", str(woken.agent_id)).splitlines()
    assert row[heading.index("HELD") :].split()[0] == "paused"


def test_lists_page_by_cursor(shell: Shell, service: Service, woken: AgentWithTrigger) -> None:
    fire(service.db, woken, 3)
    first = shell.json("firings", "--agent", str(woken.agent_id), "--limit", "2")
    assert len(first["items"]) == 2
    shell("firings", "--agent", str(woken.agent_id), "--limit", "2")
    assert shell.err == f"More: --after {first['next']}\n"
    rest = shell.json("firings", "--agent", str(woken.agent_id), "--after", first["next"])
    assert (len(rest["items"]), rest["next"]) == (1, None)
    shell("firings", "--agent", str(woken.agent_id), "--state", "dead")
    assert shell.err == "There are no firings.\n"


def test_a_name_is_found_beyond_the_first_page(shell: Shell, service: Service, name: str) -> None:
    with service.db.begin() as conn:
        conn.execute(
            text("""
                INSERT INTO agents (id, tenant_id, name, runtime_kind, runtime)
                SELECT gen_random_uuid(), (SELECT id FROM tenants WHERE name = 'default'), :name || n, 'command',
                    '{"name": "echo"}' FROM generate_series(1, 250) AS n
            """),
            {"name": name},
        )
    assert shell.json("agents", "show", f"{name}1")["name"] == f"{name}1"
    assert shell.json("agents", "show", f"{name}250")["name"] == f"{name}250"


def test_a_key_is_created_used_listed_and_revoked(shell: Shell) -> None:
    made = shell.json("keys", "create", "for reading", "--scope", "read")
    shell("agents", "list", "--key", made["key"])
    assert made["id"] in shell("keys", "list")
    assert made["key"] not in shell("keys", "list")
    assert "not shown again" in shell("keys", "create", "another", "--scope", "write", "--operator")
    shell("agents", "create", "x", "--command", "echo", "--key", made["key"], code=ExitCode.KEY_REFUSED)
    assert "scope" in shell.err
    assert shell("keys", "revoke", made["id"], "--yes") == f"Revoked key {made['id']}.\n"
    shell("agents", "list", "--key", made["key"], code=ExitCode.KEY_REFUSED)
    assert "revoked" in shell.err


def test_an_operator_acts_on_the_tenant_that_is_named(shell: Shell, service: Service, agent: str) -> None:
    headers = {"Authorization": f"Bearer {service.key}"}
    made = httpx.post(f"{service.url}/api/v1/tenants", json={"name": agent}, headers=headers, trust_env=False)
    shell("agents", "show", agent, "--tenant", made.json()["id"], code=ExitCode.NOT_FOUND)


def _without_defaults(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if value not in (None, False)}


def test_insights_show_figures_over_time_and_the_extremes(
    shell: Shell, service: Service, woken: AgentWithTrigger, name: str
) -> None:
    fire(service.db, woken)
    close(service.db)
    out = shell("insights", "--agent", name, "--by", "day")
    assert out.startswith("START")
    assert any(line.split()[:3] == ["total", "1", "1"] for line in out.splitlines())
    assert "Triggers that fire most" in out
    assert shell.json("insights", "--agent", name)["totals"]["firings"] == 1
    shell("insights", "--from", "soon", code=ExitCode.USAGE)
