"""Budgets: an agent's usage of its own and its tenant's."""

from __future__ import annotations

from pydantic import Field

from api.schemas.agents import AgentOut
from api.schemas.base import Answer, Time
from scheduler.domain.budgets import Budget, Owner, Spending
from scheduler.invocations.budgets import BudgetState


class SpendingOut(Answer):
    """The usage of one budget; `limit` null: unlimited."""

    used: int
    limit: int | None


class BudgetOut(Answer):
    """An agent's budgets. A day is a calendar day in the owner's zone; an hour is the last 60 minutes."""

    tokens_per_day: SpendingOut
    invocations_per_hour: SpendingOut
    tenant_tokens_per_day: SpendingOut | None = Field(
        description="The limit for all the tenant's agents; null: no limit."
    )
    tenant_invocations_per_hour: SpendingOut | None = Field(
        description="The limit for all the tenant's agents; null: no limit."
    )
    held_until: Time | None = Field(description="Until when the agent's window is held for a spent budget.")
    note: str | None = Field(description="The spent budget.")


class AgentWhole(AgentOut):
    """An agent with its usage."""

    budget: BudgetOut


def budget_of(state: BudgetState) -> BudgetOut:
    """Formats a budget state for the API."""
    found = {(each.owner, each.budget): each for each in state.spendings}
    return BudgetOut(
        tokens_per_day=SpendingOut.model_validate(found[Owner.AGENT, Budget.TOKENS]),
        invocations_per_hour=SpendingOut.model_validate(found[Owner.AGENT, Budget.INVOCATIONS]),
        tenant_tokens_per_day=_limited(found.get((Owner.TENANT, Budget.TOKENS))),
        tenant_invocations_per_hour=_limited(found.get((Owner.TENANT, Budget.INVOCATIONS))),
        held_until=state.held_until,
        note=state.note,
    )


def _limited(spending: Spending | None) -> SpendingOut | None:
    return None if spending is None or spending.limit is None else SpendingOut.model_validate(spending)
