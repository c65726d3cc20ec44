"""Invocations: details, cancellation, replay and completion."""

from __future__ import annotations

from uuid import UUID

from flask import Response
from sqlalchemy import Connection

from api.auth import Level, bearer, caller, is_key, needs
from api.resources.base import CHANGES, answer, blueprint, one_more, page
from api.schemas.history import (
    CompletedOut,
    CompleteIn,
    InvocationOut,
    InvocationPage,
    InvocationPath,
    InvocationQuery,
    InvocationWhole,
    ReplayedOut,
)
from api.services import services
from scheduler.invocations.lifecycle import complete
from scheduler.storage.read_models.history import (
    LedgerFilter,
    find_invocation,
    firings_of,
    get_invocation,
    list_invocations,
)
from scheduler.storage.sessions import read_transcript
from scheduler.storage.tables.core import Invocation
from scheduler.storage.transcripts import transcript_of

AGENT = "agent"
"""The actor of a report authorized by the invocation's own token."""

invocations = blueprint("invocations", "One wake of one agent, for all firings of its window.")


@invocations.get("/invocations", responses={200: InvocationPage})
@needs(Level.READ, own=True)
def show_invocations(query: InvocationQuery) -> Response:
    """List invocations, newest first."""
    who = caller()
    wanted = LedgerFilter(who.narrow(query.agent_id), query.trigger_id, query.state, query.span, query.error)
    with services().db.begin() as conn:
        return page(InvocationPage, list_invocations(conn, who.tenant_id, wanted, **one_more(query)), query)


@invocations.get("/invocations/<invocation_id>", responses={200: InvocationWhole})
@needs(Level.READ, own=True)
def show_invocation(path: InvocationPath) -> Response:
    """Show an invocation with its firings, attempts, context, transcript and reply."""
    with services().db.begin() as conn:
        row = _reached(conn, path.invocation_id)
        session = transcript_of(conn, row.id)
        told = {
            "firings": firings_of(conn, row),
            "session_id": session.id if session else None,
            "transcript": read_transcript(conn, session.id) if session else (),
        }
        shown = {**row.columns(), **told}
    return answer(InvocationWhole.model_validate(shown, from_attributes=True))


@invocations.post("/invocations/<invocation_id>/cancel", responses={200: InvocationOut, **CHANGES})
@needs(Level.WRITE)
def cancel_invocation(path: InvocationPath) -> Response:
    """Cancel an invocation. A running one is cancelled when it ends; an ended one answers 409."""
    who = caller()
    ended = services().invocations.cancel(who.tenant_id, path.invocation_id, actor=who.actor)
    return answer(InvocationOut.model_validate(ended))


@invocations.post("/invocations/<invocation_id>/replay", responses={202: ReplayedOut, **CHANGES})
@needs(Level.WRITE)
def replay_invocation(path: InvocationPath) -> Response:
    """Deliver an ended invocation's firings again, in the agent's next window, which closes now."""
    who = caller()
    into = services().invocations.replay(who.tenant_id, path.invocation_id, actor=who.actor)
    return answer(ReplayedOut(invocation_id=into), 202)


@invocations.post("/invocations/<invocation_id>/complete", responses={200: CompletedOut, **CHANGES})
@needs(Level.WRITE, token=True)
def complete_invocation(path: InvocationPath, body: CompleteIn) -> Response:
    """End an invocation whose agent answered 202. Requires its complete_token or a write key; 409 when stale."""
    who = caller() if is_key() else None
    with services().db.begin() as conn:
        acked = complete(
            conn,
            path.invocation_id,
            body.attempt,
            reply=body.reply,
            error=body.error,
            token=bearer(),
            acks=body.acks,
            usage=body.usage,
            tenant_id=who.tenant_id if who else None,
            actor=who.actor if who else AGENT,
        )
        ended = InvocationOut.model_validate(find_invocation(conn, path.invocation_id))
    return answer(CompletedOut.model_validate(dict(ended) | {"acks": acked}))


def _reached(conn: Connection, invocation_id: UUID) -> Invocation:
    who = caller()
    row = get_invocation(conn, who.tenant_id, invocation_id)
    who.must_reach(row.agent_id, "invocation", invocation_id)
    return row
