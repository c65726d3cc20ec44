"""Runs the pages on messages, heartbeats and follow-ups as a reader would, over real HTTP."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

from scheduler.triggers.on_message import OnMessageConfig
from tests.support.api import Api, served

DOCS = Path(__file__).parents[3] / "docs"


def blocks(page: str, language: str) -> list[str]:
    """Returns the code blocks in `language` of a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def helpers() -> str:
    """Returns the functions that the API's tour defines."""
    return "\n".join(line for line in blocks("api.md", "sh")[0].splitlines() if "() {" in line)


def follow(api: Api, agent_id: str, *snippets: str) -> str:
    """Runs snippets in one shell, each line of which must succeed; returns the output."""
    with served(api) as address:
        settings = (
            f"set -euo pipefail\nexport REVEILLE_URL={address} REVEILLE_API_KEY={api.key} AGENT={agent_id}\n"
        )
        command = ["bash", "-c", "\n".join([settings, helpers(), *snippets])]
        done = run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def only_firing(api: Api, **wanted: str) -> Any:
    """Returns the only firing of this type."""
    (firing,) = (each for each in api.get("/firings")["items"] if each["trigger_type"] == wanted["type"])
    return api.get(f"/firings/{firing['id']}")


pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="the examples are made of curl calls")


def test_the_examples_of_on_message_wake_as_they_say(api: Api) -> None:
    """The message fires, the call fires, and a firing's data has the fields shown."""
    ada = api.agent()
    follow(api, ada["id"], *blocks("triggers/on_message.md", "sh"))
    message, call = only_firing(api, type="on_message"), only_firing(api, type="wake")
    shown = json.loads(blocks("triggers/on_message.md", "json")[0])
    (told,), (example,) = message["data"]["messages"], shown["messages"]
    assert told.keys() == example.keys()
    assert (told["text"], told["length"]) == (example["text"], example["length"])
    assert call["data"]["messages"][0]["text"] == "The build is red."
    assert api.get(f"/invocations/{call['invocation_id']}")["firing_count"] == 2


def test_every_field_of_the_config_is_explained() -> None:
    """Those that exist, and no others."""
    page = (DOCS / "triggers/on_message.md").read_text(encoding="utf-8")
    table = page.partition("## Config")[2].partition("##")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(OnMessageConfig.model_fields)


def test_the_example_of_a_heartbeat_makes_one(api: Api) -> None:
    """With the settings shown."""
    ada = api.agent()
    made = json.loads(follow(api, ada["id"], *blocks("triggers/heartbeat.md", "sh")))
    assert (made["name"], made["config"], made["reason"]) == (
        "heartbeat",
        {"minutes": 240.0, "only_between": "09:00-18:00"},
        "Look through the open tasks.",
    )


def test_the_example_of_follow_ups_is_ended_by_its_focus(api: Api) -> None:
    """Both triggers at once."""
    ada = api.agent()
    api.post("/users", {"name": "grace"})
    resolve = f'post "/agents/{ada["id"]}/focus/offer:42/resolve" "{{}}" > /dev/null'
    follow(api, ada["id"], *blocks("follow-ups.md", "sh"), resolve)
    ended = api.get(f"/agents/{ada['id']}/triggers", focus_ref="offer:42")["items"]
    assert [(each["name"], each["paused_note"]) for each in ended] == [
        ("they write", "resolved"),
        ("remind", "resolved"),
    ]
