"""An agent creates, lists, changes and cancels its own triggers, within its limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.domain.ids import new_id
from scheduler.storage.engine import Database
from tests.support.database import rows
from tests.support.factories import make_agent, make_trigger
from tests.support.tools import Toolbox

DAILY = {"type": "cron", "config": {"expr": "0 9 * * *"}, "reason": "Look at the mail."}


def test_a_trigger_is_made_shown_changed_previewed_and_cancelled(db: Database) -> None:
    ada = make_agent(db, timezone="Europe/Berlin")
    tools = Toolbox(db, ada)
    made = tools("set_trigger", name="mail", **DAILY)
    assert made["is_enabled"] and made["timezone"] == "Europe/Berlin" and made["next_fire_at"].endswith("Z")
    assert [each["name"] for each in tools("list_triggers")["triggers"]] == ["mail"]
    assert len(tools("preview_trigger", trigger="mail", count=3)["fire_times"]) == 3
    changed = tools("update_trigger", trigger=made["id"], config={"expr": "0 10 * * *"}, reason="Later.")
    assert (changed["config"], changed["reason"]) == ({"expr": "0 10 * * *"}, "Later.")
    assert tools("update_trigger", trigger="mail", is_enabled=False)["is_enabled"] is False
    assert tools("list_triggers", only_enabled=True)["triggers"] == []
    assert tools("update_trigger", trigger="mail", is_enabled=True)["is_enabled"] is True
    assert tools("cancel_trigger", trigger="mail") == {"cancelled": made["id"], "name": "mail"}
    assert tools("list_triggers")["triggers"] == []
    events = rows(db, "SELECT action, actor FROM audit_events WHERE subject_id = :id ORDER BY id", id=made["id"])
    verbs = ["created", "updated", "paused", "resumed", "deleted"]
    assert events[0].action == "trigger.created"
    assert [f"trigger.{verb}" in {event.action for event in events} for verb in verbs] == [True] * 5
    assert {event.actor for event in events} == {f"agent:{ada}"}
    assert rows(db, "SELECT created_by FROM triggers") == [(f"agent:{ada}",)]


def test_an_agent_says_what_heads_its_reply_and_takes_it_back(db: Database) -> None:
    tools = Toolbox(db, make_agent(db))
    made = tools("set_trigger", name="mail", notification_summary="Your morning mail", **DAILY)
    assert made["notification_summary"] == "Your morning mail"
    (shown,) = tools("list_triggers")["triggers"]
    assert shown["notification_summary"] == "Your morning mail"
    kept = tools("update_trigger", trigger="mail", reason="Later.", notification_summary="Mail")
    assert kept["notification_summary"] == "Mail"
    assert tools("update_trigger", trigger="mail", notification_summary=None)["notification_summary"] is None
    assert "at most 200" in tools.refused("set_trigger", name="x", notification_summary="x" * 201, **DAILY)


def test_what_an_agent_makes_ends_by_itself(db: Database) -> None:
    """By default after 7 days and 100 fires; a later start extends this to a day after its first slot."""
    tools, now = Toolbox(db, make_agent(db)), datetime.now(UTC)  # noqa: TID251
    made = tools("set_trigger", name="mail", **DAILY)
    assert made["max_fires"] == 100
    assert abs(datetime.fromisoformat(made["expires_at"]) - now - timedelta(days=7)) < timedelta(minutes=1)
    at = (now + timedelta(days=30)).replace(microsecond=0)
    later = tools("set_trigger", name="later", type="once", config={"at": at.isoformat()}, reason="Ask again.")
    assert datetime.fromisoformat(later["expires_at"]) == at + timedelta(days=1)
    asked = tools(
        "set_trigger",
        name="short",
        max_fires=2,
        expires_at="2030-01-01",
        **DAILY | {"type": "once", "config": {"at": "2029-12-31T12:00:00Z"}},
    )
    assert (asked["max_fires"], asked["expires_at"]) == (2, "2030-01-01T00:00:00Z")
    assert "at most 100 times" in tools.refused("set_trigger", name="often", max_fires=101, **DAILY)
    assert "at most 90 days" in tools.refused("set_trigger", name="long", expires_at="2099-01-01", **DAILY)
    assert "at most 100 times" in tools.refused("update_trigger", trigger="short", max_fires=1000)
    assert "at most 90 days" in tools.refused("update_trigger", trigger="mail", expires_at="2099-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("type_", "config", "expected"),
    [
        ("interval", {"seconds": 5}, "at most once in 60 s"),
        ("cron", {"expr": "*/10 * * * * *", "seconds": "first"}, "at most once in 60 s"),
        ("cron", {"expr": "0 0 31 2 *"}, "never fire"),
        ("poll", {"url": "https://example.org", "interval_min": 1}, "interval_min"),
        ("poll", {"url": "http://169.254.169.254/"}, "not a public address"),
        ("cron", {"cron": "0 9 * * *"}, "can have: expr, "),
        ("interval", {"minute": 5}, "can have: "),
        ("poll", {"url": "https://example.org", "json_path": "state"}, "must begin with $, as in $.state"),
        ("wake", {}, "use cron, once"),
        ("a clock", {}, "use one of cron, once"),
    ],
)
def test_an_invalid_trigger_is_refused_with_what_is_valid(
    db: Database, type_: str, config: dict[str, object], expected: str
) -> None:
    tools = Toolbox(db, make_agent(db))
    said = tools.refused("set_trigger", name="x", type=type_, config=config, reason="Try.")
    assert expected in said
    assert rows(db, "SELECT id FROM triggers") == []


def test_wrong_arguments_are_named_with_those_there_are(db: Database) -> None:
    tools = Toolbox(db, make_agent(db))
    said = tools.refused("set_trigger", name="x", when="tomorrow")
    assert "type: It is missing" in said and "when: There is no such field" in said
    assert "Its arguments are: name, type, config, reason" in said
    said = tools.refused("set_trigger", name="x", expires_at="next week", **DAILY)
    assert "expires_at: not a time; write it as 2030-01-31T09:00:00+01:00." in said
    assert "at least one field" in tools.refused("update_trigger", trigger="x")
    assert "Give either trigger" in tools.refused("preview_trigger")


def test_a_name_must_be_readable_and_an_older_one_is_kept(db: Database) -> None:
    tools = Toolbox(db, make_agent(db))
    assert "name must be printable" in tools.refused("set_trigger", name="a\u202eb", **DAILY)
    made = tools("set_trigger", name="plain", **DAILY)
    assert "must be printable" in tools.refused("update_trigger", trigger="plain", focus_ref="a\nb")
    rows(db, "UPDATE triggers SET name = E'a\\u202Eb' RETURNING id")
    assert tools("update_trigger", trigger=made["id"], reason="Other.")["reason"] == "Other."


def test_a_config_that_is_written_as_json_text_is_accepted(db: Database) -> None:
    """As some models write it; it is stored as if it had been sent as an object."""
    tools = Toolbox(db, make_agent(db))
    made = tools("set_trigger", name="x", type="interval", config='{"minutes": 30}', reason="Try.")
    assert made["config"] == {"minutes": 30}
    assert tools("update_trigger", trigger="x", config='{"minutes": 40}')["config"] == {"minutes": 40}
    for text in ("soon", "[1]", "[" * 50 + "]" * 50):
        assert "config: It must be" in tools.refused("update_trigger", trigger="x", config=text)
    watched = '{"url": "https://example.org", "fire_on": "match", "match_value": "\\ud800"}'
    poll = tools("set_trigger", name="p", type="poll", config=watched, reason="Try.")
    assert poll["config"]["match_value"] == "?"


def test_the_limit_of_triggers_holds_and_says_what_to_do(db: Database) -> None:
    tools = Toolbox(db, make_agent(db, max_triggers=1))
    tools("set_trigger", name="one", **DAILY)
    assert "cancel_trigger" in tools.refused("set_trigger", name="two", **DAILY)
    tools("cancel_trigger", trigger="one")
    tools("set_trigger", name="two", **DAILY)
    said = tools.refused("update_trigger", trigger="one", reason="x")
    assert said == "You have no trigger 'one'. Yours, newest first: 'two'."


def test_a_taken_name_says_what_to_do(db: Database) -> None:
    tools = Toolbox(db, make_agent(db))
    tools("set_trigger", name="one", **DAILY)
    assert "update_trigger" in tools.refused("set_trigger", name="one", **DAILY)


def test_other_agents_and_the_systems_triggers_are_not_there(db: Database) -> None:
    ada, bob = make_agent(db, "ada"), make_agent(db, "bob")
    others = make_trigger(db, bob, name="others")
    tools = Toolbox(db, ada)
    Toolbox(db, bob)("wake_agent", agent="ada", message="hello")
    (wake,) = rows(db, "SELECT id FROM triggers WHERE type = 'wake'")
    for reference in (str(others.id), "others", str(wake.id), "wake", str(new_id())):
        for tool, more in (
            ("update_trigger", {"reason": "mine"}),
            ("update_trigger", {"is_enabled": False}),
            ("cancel_trigger", {}),
            ("preview_trigger", {}),
        ):
            assert "You have no trigger" in tools.refused(tool, trigger=reference, **more)
    assert tools("list_triggers")["triggers"] == []


def test_a_webhook_comes_with_its_address(db: Database) -> None:
    made = Toolbox(db, make_agent(db))("set_trigger", name="hook", type="webhook", reason="Read it.")
    assert made["hook_url"].startswith("http://reveille.example/hooks/")
