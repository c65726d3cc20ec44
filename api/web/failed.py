"""The page of failed invocations, which people can replay."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from flask import Response, request
from sqlalchemy import Connection

from api.auth import Level, caller, needs
from api.services import services
from api.web.base import PAGE_SIZE, done, page_blueprint, render, wants_json
from api.web.confirmations import ask
from api.web.list_filters import (
    AGENT,
    ERROR,
    FROM,
    TO,
    TRIGGER,
    RequestFilters,
    choice,
    ledger_filter,
    read_filters,
)
from api.web.progress import STEP, Step, cursor, take, tell
from scheduler.domain.errors import InvalidField
from scheduler.domain.ids import parse_id
from scheduler.domain.model import InvocationState
from scheduler.domain.text import counted
from scheduler.storage.read_models.failures import list_error_kinds
from scheduler.storage.read_models.overviews import MOST_COUNTED, agent_names, count_dead, list_dead, woken_by

dead = page_blueprint("dead")


STATES = {InvocationState.DEAD.value: "failed", InvocationState.SKIPPED.value: "skipped"}
FILTERS = (AGENT, TRIGGER, choice("state", "State", STATES), FROM, TO, ERROR)


@dead.get("/dead")
@needs(Level.READ)
def show_dead() -> Response:
    """Lists invocations that ended dead or skipped and were not replayed, matching the filters, newest first."""
    who = caller()
    with services().db.begin() as conn:
        asked = read_filters(conn, who.tenant_id, FILTERS)
        wanted = ledger_filter(asked)
        page = asked.page(lambda **span: list_dead(conn, who.tenant_id, wanted, **span))
        kinds = [] if asked.errors else list_error_kinds(conn, who.tenant_id, wanted)
        named = {row.agent_id for row in page}.union(*(each.agent_ids for each in kinds))
        names = agent_names(conn, who.tenant_id, named)
        wakers = woken_by(conn, [row.id for row in page])
        count = count_dead(conn, who.tenant_id, wanted)
    return render(
        "failed.html",
        asked.status,
        page=page,
        names=names,
        wakers=wakers,
        kinds=kinds,
        count=count,
        most=MOST_COUNTED,
        asked=asked,
    )


@dead.get("/dead/replay")
@needs(Level.WRITE)
def ask_to_replay() -> Response:
    """Asks for confirmation before everything that matches the filters is replayed."""
    with services().db.begin() as conn:
        asked = _asked(conn)
        count = count_dead(conn, caller().tenant_id, ledger_filter(asked))
    many = f"{count} or more invocations" if count >= MOST_COUNTED else counted(count, "invocation")
    hidden = {"all": "1", **asked.given}
    if request.args.get("cursor"):
        hidden["cursor"] = request.args["cursor"]
    says = "Their agents are woken at once."
    return ask(
        f"Replay {many}?", "Replay all", f"/dead{asked.query}", says, is_danger=False, hidden=hidden, is_long=True
    )


@dead.post("/dead/replay")
@needs(Level.WRITE)
def replay_some() -> Response:
    """Replays the selected ones, or all that match the filters, some at each step, newest first."""
    with services().db.begin() as conn:
        asked = _asked(conn)
        wanted = ledger_filter(asked)
        rows = list_dead(conn, caller().tenant_id, wanted, limit=STEP + 1, after=cursor())
    back = f"/dead{asked.query}"
    if request.form.get("all"):
        return tell(_replay_step([row.id for row in rows], STEP), back)
    after = cursor()
    if not request.form.getlist("id"):
        return done(back, "Nothing selected. Select at least one invocation.")
    chosen = [parse_id(each, "invocation") for each in request.form.getlist("id")]
    left = [each for each in sorted(chosen, reverse=True) if after is None or each < after]
    # Without a script, selected invocations are one step, as the selection is lost with the page.
    return tell(_replay_step(left, STEP if wants_json() else PAGE_SIZE), back)


def _asked(conn: Connection) -> RequestFilters:
    """Returns the filters in the form.

    Raises InvalidField for an invalid one, as more would be replayed than intended.
    """
    asked = read_filters(conn, caller().tenant_id, FILTERS)
    for name, message in asked.errors.items():
        raise InvalidField(message, field=name)
    return asked


def _replay_step(ids: Sequence[UUID], size: int) -> Step:
    now = ids[:size]
    return take(now, _replay, str(now[-1]) if len(ids) > size else None)


def _replay(invocation_id: UUID) -> None:
    who = caller()
    services().invocations.replay(who.tenant_id, invocation_id, actor=who.actor)
