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
        (trigger_commands.shown_fields(), triggers.TriggerWhole),
    ],
    ids=[str(number) for number in range(12)],
)
def test_each_column_is_a_field_of_the_api(columns: Columns, shape: Any) -> None:
    fields = set(shape.__annotations__) | ADDED
    assert {path.split(".")[0] for _, path in columns} <= fields
