"""The tools that read and write an agent's notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from scheduler.domain.tools import Tool, ToolCaller
from scheduler.storage.notes import MOST_CHARACTERS, Notes, read_notes, write_notes
from scheduler.toolbox.base import (
    CHANGES,
    Arguments,
    Nothing,
    Services,
    actor_of,
    make_tool,
    own_agent,
    shown_time,
)


class WriteNotes(Arguments):
    """The notes to store."""

    text: str = Field(
        max_length=MOST_CHARACTERS,
        description="What you want to know next time; empty text deletes the notes.",
    )
    append: bool = Field(False, description="true appends it; false replaces the notes.")


def note_tools(services: Services) -> Sequence[Tool]:
    """Returns the tools for the calling agent's own notes."""

    def read(caller: ToolCaller, _: Nothing) -> dict[str, Any]:
        with services.db.begin() as conn:
            own_agent(conn, caller)
            return _shown(read_notes(conn, caller.agent_id))

    def write(caller: ToolCaller, asked: WriteNotes) -> dict[str, Any]:
        with services.db.begin() as conn:
            own_agent(conn, caller)
            actor = actor_of(caller)
            notes = write_notes(
                conn, caller.tenant_id, caller.agent_id, asked.text, actor=actor, append=asked.append
            )
            return _shown(notes)

    return (
        make_tool(
            "read_notes",
            "Read your notes: what you, or a person for you, wrote down in earlier runs.",
            Nothing,
            read,
        ),
        make_tool(
            "write_notes",
            f"Write down what you want to know in later runs, up to {MOST_CHARACTERS:,} characters: nothing else "
            "of a run is kept for you. People read it, too.",
            WriteNotes,
            write,
            hints=CHANGES,
        ),
    )


def _shown(notes: Notes) -> dict[str, Any]:
    return {
        "notes": notes.text,
        "characters": len(notes.text),
        "most": MOST_CHARACTERS,
        "updated_at": shown_time(notes.updated_at),
    }
