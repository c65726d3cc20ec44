"""The command shows the same fields as the API, compared using the Python client's types."""

from __future__ import annotations

from typing import Any

import pytest
from reveille.shapes import agents, api_keys, firings, invocations, notification_targets, tenants, triggers

from scheduler.commands import agents as agent_commands
from scheduler.commands import budgets as budget_commands
from scheduler.commands import history, keys, targets
from scheduler.commands import tenants as tenant_commands
from scheduler.commands import triggers as trigger_commands
from scheduler.commands.output import Columns

ADDED = {"agent_name", "reference"}
"""Additions by the command: the name for an id, and the short form of one."""


SKIPS = {"type": "cron", "misfire_policy": "skip", "expect_within": 60.0}


@pytest.mark.parametrize(
    ("columns", "shape"),
    [
        (agent_commands.COLUMNS, agents.AgentOut),
        (agent_commands.FIELDS, agents.AgentOut),
        (budget_commands.AGENT_FIELDS, agents.AgentWhole),
        (tenant_commands.COLUMNS, tenants.TenantOut),
        (history.COLUMNS, invocations.InvocationOut),
        (history.FIELDS, invocations.InvocationWhole),
        (history.ATTEMPT_COLUMNS, invocations.TryOut),
        (history.FIRING_COLUMNS, firings.FiringOut),
        (keys.COLUMNS, api_keys.KeyOut),
        (targets.COLUMNS, notification_targets.TargetOut),
        (trigger_commands.COLUMNS, triggers.TriggerOut),
        (trigger_commands.shown_fields(SKIPS), triggers.TriggerWhole),
    ],
    ids=[str(number) for number in range(12)],
)
def test_each_column_is_a_field_of_the_api(columns: Columns, shape: Any) -> None:
    fields = set(shape.__annotations__) | ADDED
    assert {path.split(".")[0] for _, path in columns} <= fields


@pytest.mark.parametrize(
    ("trigger", "left_out"),
    [
        (SKIPS, set()),
        (SKIPS | {"misfire_policy": "latest"}, {"grace_seconds"}),
        (SKIPS | {"expect_within": None}, {"expect"}),
        (SKIPS | {"type": "webhook"}, {"misfire_policy", "grace_seconds"}),
    ],
)
def test_fields_that_do_not_matter_to_a_trigger_are_left_out(trigger: dict[str, Any], left_out: set[str]) -> None:
    def shown(of: dict[str, Any]) -> set[str]:
        return {name for _, name in trigger_commands.shown_fields(of)}

    assert shown(SKIPS) - shown(trigger) == left_out
