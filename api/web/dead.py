"""Dead: what ended without success and waits for a person, who replays one or all of it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from flask import Response, request

from api.auth import Level, caller, needs
from api.services import services
from api.web.base import PAGE_SIZE, done, page_blueprint, paged, render, wants_json
from api.web.progress import STEP, Step, cursor, take, tell
from scheduler.domain.ids import parse_id
from scheduler.storage.overviews import MOST_COUNTED, agent_names, count_dead, list_dead, woken_by

dead = page_blueprint("dead")


@dead.get("/dead")
@needs(Level.READ)
def show_dead() -> Response:
    """List what ended dead or skipped and was not replayed, newest first."""
    who = caller()
    with services().db.begin() as conn:
        page = paged(lambda **span: list_dead(conn, who.tenant_id, **span))
        names = agent_names(conn, who.tenant_id, {row.agent_id for row in page})
        wakers = woken_by(conn, [row.id for row in page])
        count = count_dead(conn, who.tenant_id)
    return render("dead.html", page=page, names=names, wakers=wakers, count=count, most=MOST_COUNTED)


@dead.post("/dead/replay")
@needs(Level.WRITE)
def replay_some() -> Response:
    """Replay what is chosen, or all that there is, some at each step, newest first."""
    if request.form.get("all"):
        with services().db.begin() as conn:
            rows = list_dead(conn, caller().tenant_id, limit=STEP + 1, after=cursor())
        return tell(_replay_step([row.id for row in rows], STEP), "/dead")
    after = cursor()
    if not request.form.getlist("id"):
        return done("/dead", "Nothing selected. Select at least one invocation.")
    chosen = [parse_id(each, "invocation") for each in request.form.getlist("id")]
    left = [each for each in sorted(chosen, reverse=True) if after is None or each < after]
    # What was chosen is forgotten with the page, so that without a script all of it is one step.
    return tell(_replay_step(left, STEP if wants_json() else PAGE_SIZE), "/dead")


def _replay_step(ids: Sequence[UUID], size: int) -> Step:
    now = ids[:size]
    return take(now, _replay, str(now[-1]) if len(ids) > size else None)


def _replay(invocation_id: UUID) -> None:
    who = caller()
    services().invocations.replay(who.tenant_id, invocation_id, actor=who.actor)
