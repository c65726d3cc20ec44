"""Budgets and acknowledgements from a shell."""

from __future__ import annotations

from scheduler.commands.exits import ExitCode
from scheduler.domain.run import Replied
from tests.support.invocations import fire, make_agent_with_trigger, run_once
from tests.support.shell import Service, Shell


def test_an_agents_budget_is_set_shown_and_taken_away(shell: Shell, agent: str) -> None:
    out = shell("agents", "budget", agent, "--tokens-per-day", "200000", "--invocations-per-hour", "30")
    assert "maximum tokens per day" in out
    shown = shell.json("agents", "show", agent)
    assert (shown["max_tokens_per_day"], shown["max_invocations_per_hour"]) == (200_000, 30)
    shell("agents", "budget", agent, "--tokens-per-day", "none")
    assert shell.json("agents", "budget", agent)["budget"]["tokens_per_day"] == {"used": 0, "limit": None}
    assert shell.json("agents", "show", agent)["max_invocations_per_hour"] == 30
    shell("agents", "budget", agent, "--tokens-per-day", "many", code=ExitCode.USAGE)
    shell("agents", "budget", agent, "--tokens-per-day", "0", code=ExitCode.USAGE)


def test_a_tenants_budget_is_set_and_shown(shell: Shell, agent: str) -> None:
    assert "300" in shell("tenants", "budget", "default", "--invocations-per-hour", "300")
    assert "300" in shell("tenants", "list")
    assert "the tenant's maximum invocations per hour" in shell("agents", "budget", agent)
    assert (
        shell.json("tenants", "budget", "default", "--invocations-per-hour", "none")["max_tokens_per_day"] is None
    )
    shell("tenants", "budget", "nobody", code=ExitCode.NOT_FOUND)


def test_the_tenant_is_paused_and_resumed(shell: Shell) -> None:
    assert shell("pause", "--note", "the model is down").strip() == "Paused the tenant."
    assert shell.json("pause", "--everything")["tenant"]["paused_note"] == "the model is down"
    assert shell("resume", "--everything").strip() == "Resumed everything. The tenant is still paused."
    assert shell("resume").strip() == "Resumed the tenant."


def test_a_firing_is_acknowledged(shell: Shell, service: Service, name: str) -> None:
    woken = make_agent_with_trigger(service.db, name)
    [firing] = fire(service.db, woken)
    shell("ack", str(firing), "handled", code=ExitCode.FAILED)
    run_once(service.db, Replied("done"))
    assert "handled" in shell("ack", str(firing), "handled")
    assert shell.json("ack", str(firing), "deferred", "--until", "2001-01-01")["ack"] == "deferred"
    shell("ack", str(firing), "deferred", code=ExitCode.USAGE)
    shell("ack", "nothing", "handled", code=ExitCode.NOT_FOUND)
