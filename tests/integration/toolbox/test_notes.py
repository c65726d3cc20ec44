"""An agent keeps notes between runs, and people can see and correct them."""

from __future__ import annotations

from uuid import UUID

from scheduler.storage.notes import MOST_CHARACTERS
from tests.support.api import Api
from tests.support.tools import Toolbox


def test_notes_are_kept_added_to_replaced_and_bounded(api: Api) -> None:
    agent_id = api.agent("ada")["id"]
    tools, path = Toolbox(api.db, UUID(agent_id)), f"/agents/{agent_id}/notes"
    assert tools("read_notes") == {"notes": "", "characters": 0, "most": MOST_CHARACTERS, "updated_at": None}
    tools("write_notes", text="The customer is Grace.")
    assert (
        tools("write_notes", text="She likes tea.", append=True)["notes"]
        == "The customer is Grace.\nShe likes tea."
    )
    shown = api.get(path)
    assert (shown["text"], shown["updated_by"]) == ("The customer is Grace.\nShe likes tea.", f"agent:{agent_id}")
    corrected = api.ok(api.call("PUT", path, {"text": "She likes coffee."}), 200)
    assert corrected["updated_by"] == "key:operator"
    assert tools("read_notes")["notes"] == "She likes coffee."
    assert "10,000 are kept" in tools.refused("write_notes", text="x" * MOST_CHARACTERS, append=True)
    api.refused(422, "PUT", path, {"text": "x" * (MOST_CHARACTERS + 1)})
    assert tools("write_notes", text="")["characters"] == 0


def test_notes_are_an_agents_own(api: Api) -> None:
    agent_id, other_id = api.agent("ada")["id"], api.agent("bob")["id"]
    own = api.with_key(f"agent:{agent_id}")
    own.ok(own.call("PUT", f"/agents/{agent_id}/notes", {"text": "mine"}), 200)
    own.refused(404, "GET", f"/agents/{other_id}/notes")
    assert api.get(f"/agents/{other_id}/notes")["text"] == ""
    read = api.with_key("read")
    assert read.get(f"/agents/{agent_id}/notes")["text"] == "mine"
    read.refused(403, "PUT", f"/agents/{agent_id}/notes", {"text": "x"})
