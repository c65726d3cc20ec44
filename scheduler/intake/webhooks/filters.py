"""Filters of webhooks at work.

A JSON path is run by Python, so it takes the processor from every other thread of the process. What it may cost is
bounded for a delivery, for an agent and for a tenant.
"""

from __future__ import annotations

from scheduler.intake.processor_time import AGENT_SECONDS, TENANT_SECONDS, ProcessorTime, Spent
from scheduler.intake.webhooks.delivery import Delivery, FilterFirst, FilterResult


class Filters:
    """Asks filters of deliveries for all threads of a process."""

    def __init__(self, agent_seconds: float = AGENT_SECONDS, tenant_seconds: float = TENANT_SECONDS) -> None:
        self._time = ProcessorTime(agent_seconds, tenant_seconds)

    def ask(self, asked: FilterFirst, delivery: Delivery) -> FilterResult:
        """What the filter says of the delivery. Waits for its turn; takes some tens of milliseconds at most."""
        try:
            mismatch, was_stopped = self._time.use(
                asked.tenant_id, asked.agent_id, lambda: asked.filter.look(delivery.headers, delivery.body)
            )
        except Spent as spent:
            rule = f"the webhook filters of this {spent.whose} have used up their processor time of a minute"
            return FilterResult(asked.filter, refusal=rule, retry_after=spent.wait)
        return FilterResult(asked.filter, mismatch, was_stopped)
