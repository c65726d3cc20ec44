"""Notes of agents, which people can read and correct."""

from __future__ import annotations

from dataclasses import asdict

from flask import Response

from api.auth import Level, caller, needs
from api.resources.base import CHANGES, answer, blueprint
from api.schemas.agents import AgentPath, NotesIn, NotesOut
from api.services import services
from scheduler.storage.notes import MOST_CHARACTERS, Notes

notes = blueprint("notes", "What agents remember between runs.")


@notes.get("/agents/<agent_id>/notes", responses={200: NotesOut})
@needs(Level.READ, own=True)
def show_notes(path: AgentPath) -> Response:
    """Show an agent's notes and who last wrote them."""
    who = caller()
    who.must_reach(path.agent_id, "agent", path.agent_id)
    return _answer(services().agents.read_notes(who.tenant_id, path.agent_id))


@notes.put("/agents/<agent_id>/notes", responses={200: NotesOut, **CHANGES})
@needs(Level.WRITE, own=True)
def put_notes(path: AgentPath, body: NotesIn) -> Response:
    """Replace an agent's notes; empty text deletes them."""
    who = caller()
    who.must_reach(path.agent_id, "agent", path.agent_id)
    return _answer(services().agents.write_notes(who.tenant_id, path.agent_id, body.text, actor=who.actor))


def _answer(found: Notes) -> Response:
    return answer(NotesOut(**asdict(found), most=MOST_CHARACTERS))
