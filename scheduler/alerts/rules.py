"""All rules that find problems. Each is one query over the tables, a sentence, and advice."""

from __future__ import annotations

from scheduler.alerts.agent_rules import AGENT_RULES
from scheduler.alerts.findings import Rule
from scheduler.alerts.service_rules import NOTHING_KNOWN, DatabaseSpace, service_rules
from scheduler.alerts.trigger_rules import TRIGGER_RULES


def rules_with(room: DatabaseSpace) -> tuple[Rule, ...]:
    """Returns all rules for a database that has `room`."""
    return (*TRIGGER_RULES, *AGENT_RULES, *service_rules(room))


RULES = rules_with(NOTHING_KNOWN)
"""The rules when nothing is known about the database's disk."""
