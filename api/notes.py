"""Notes of agents, for people to read and to correct."""

from __future__ import annotations

from dataclasses import asdict
from uuid import UUID

from flask import Response

from api.auth import Level, caller, needs
from api.resource import CHANGES, answer, blueprint
from api.schemas.agents import AgentPath
from api.schemas.notes import NotesIn, NotesOut
from api.services import services
from scheduler.storage.agents import get_agent
from scheduler.storage.notes import MOST_CHARACTERS, Notes, read_notes, write_notes

notes = blueprint("notes", "What agents keep from run to run.")


@notes.get("/agents/<agent_id>/notes", responses={200: NotesOut})
@needs(Level.READ, own=True)
def show_notes(path: AgentPath) -> Response:
    """Show an agent's notes, and who wrote them last."""
    _reached(path.agent_id)
    with services().db.begin() as conn:
        return _answer(read_notes(conn, path.agent_id))


@notes.put("/agents/<agent_id>/notes", responses={200: NotesOut, **CHANGES})
@needs(Level.WRITE, own=True)
def put_notes(path: AgentPath, body: NotesIn) -> Response:
    """Put a text in the place of an agent's notes; an empty one forgets them."""
    _reached(path.agent_id)
    who = caller()
    with services().db.begin() as conn:
        return _answer(write_notes(conn, who.tenant_id, path.agent_id, body.text, actor=who.actor))


def _reached(agent_id: UUID) -> None:
    who = caller()
    who.must_reach(agent_id, "agent", agent_id)
    with services().db.begin() as conn:
        get_agent(conn, who.tenant_id, agent_id)


def _answer(found: Notes) -> Response:
    return answer(NotesOut(**asdict(found), most=MOST_CHARACTERS))
