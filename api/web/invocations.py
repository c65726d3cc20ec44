"""The pages of invocations, with cancel and replay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy import Connection

from api.auth import Level, caller, needs
from api.services import services
from api.web.base import done, page_blueprint, render, uuid_arg
from api.web.contents import show_firings
from api.web.list_filters import AGENT, ERROR, FROM, TO, TRIGGER, choice, ledger_filter, read_filters
from scheduler.domain.ids import parse_id
from scheduler.domain.model import FINAL_STATES, InvocationState
from scheduler.storage.read_models.history import firings_of, get_invocation, list_invocations
from scheduler.storage.read_models.history_rows import FiringRow
from scheduler.storage.read_models.overviews import agent_names, triggers_with_pages, woken_by
from scheduler.storage.read_models.wake_tree import read_family
from scheduler.storage.sessions import MessageRow, list_messages
from scheduler.storage.transcripts import SYSTEM, transcript_of

WORDS = {InvocationState.DEAD.value: "failed"}
"""States that are displayed under another name."""
STATES = {state.value: WORDS.get(state.value, state.value) for state in InvocationState}
FILTERS = (AGENT, TRIGGER, choice("state", "State", STATES), FROM, TO, ERROR)
FIRINGS_SHOWN = 20
"""The firings of an invocation on one page, each with the beginning of its payload."""
ENTRIES_SHOWN = 100
"""The transcript entries on an invocation's page; its session has them all."""

invocations = page_blueprint("invocations")


@invocations.get("/invocations")
@needs(Level.READ)
def show_invocations() -> Response:
    """Lists invocations matching the filters, newest first."""
    who = caller()
    with services().db.begin() as conn:
        asked = read_filters(conn, who.tenant_id, FILTERS)
        wanted = ledger_filter(asked)
        page = asked.page(lambda **span: list_invocations(conn, who.tenant_id, wanted, **span))
        names = agent_names(conn, who.tenant_id, {row.agent_id for row in page})
        wakers = woken_by(conn, [row.id for row in page])
    return render("invocations.html", asked.status, page=page, names=names, wakers=wakers, asked=asked)


@invocations.get("/invocations/<invocation_id>")
@needs(Level.READ)
def show_invocation(invocation_id: str) -> Response:
    """Shows an invocation: what woke the agent, its context, actions and reply, and each attempt."""
    who = caller()
    with services().db.begin() as conn:
        row = get_invocation(conn, who.tenant_id, parse_id(invocation_id, "invocation"))
        carried = firings_of(conn, row)
        shown, following = _some(carried)
        return render(
            "invocation.html",
            invocation=row,
            agent_name=agent_names(conn, who.tenant_id, [row.agent_id]).get(row.agent_id, ""),
            firings=show_firings(conn, shown),
            linked=triggers_with_pages(conn, who.tenant_id, {each.trigger_id for each in shown}),
            following=following,
            family=read_family(conn, who.tenant_id, carried),
            transcript=_transcript(conn, row.id),
            tries=[{**each, **_moments(each)} for each in row.tries],
            has_ended=row.state in FINAL_STATES,
        )


@invocations.post("/invocations/<invocation_id>/cancel")
@needs(Level.WRITE)
def cancel(invocation_id: str) -> Response:
    """Cancels an invocation; a running one is cancelled when it ends."""
    who, id_ = caller(), parse_id(invocation_id, "invocation")
    services().invocations.cancel(who.tenant_id, id_, actor=who.actor)
    return done(f"/invocations/{id_}", "Cancelled. A running invocation finishes first.")


@invocations.post("/invocations/<invocation_id>/replay")
@needs(Level.WRITE)
def replay(invocation_id: str) -> Response:
    """Delivers the firings of an ended invocation again."""
    who, id_ = caller(), parse_id(invocation_id, "invocation")
    into = services().invocations.replay(who.tenant_id, id_, actor=who.actor)
    return done(f"/invocations/{into}", "Replayed: this invocation carries the firings again.")


def _moments(ended: dict[str, Any]) -> dict[str, datetime]:
    """Parses when an attempt started and ended, which are stored as text."""
    return {name: datetime.fromisoformat(ended[name]) for name in ("started_at", "ended_at") if ended.get(name)}


def _some(carried: Sequence[FiringRow]) -> tuple[Sequence[FiringRow], UUID | None]:
    """Returns the firings after the one in the address, and the last of them when there are more."""
    after = uuid_arg("after")
    rest = [row for row in carried if after is None or row.id > after]
    shown = rest[:FIRINGS_SHOWN]
    return shown, shown[-1].id if len(rest) > len(shown) else None


def _transcript(conn: Connection, invocation_id: UUID) -> dict[str, Any] | None:
    """Returns the transcript of a run, oldest first, without the context, which the page shows separately."""
    session = transcript_of(conn, invocation_id)
    if session is None:
        return None
    newest = list_messages(conn, session.id, limit=ENTRIES_SHOWN + 1)
    entries = [entry for entry in reversed(newest[:ENTRIES_SHOWN]) if not _is_context(entry)]
    return {"session": session, "entries": entries, "is_cut": len(newest) > ENTRIES_SHOWN}


def _is_context(entry: MessageRow) -> bool:
    return entry.from_type == SYSTEM and entry.to_agent_id is not None
