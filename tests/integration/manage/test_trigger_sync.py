"""The life of a trigger: its row and its job change together, and bad input is refused by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from scheduler.domain.errors import Conflict, InvalidField, NotFound
from scheduler.domain.ids import new_id
from scheduler.manage.triggers.jobs import delete_agent_triggers, rezone_agent, rezone_tenant
from scheduler.manage.triggers.service import Triggers
from scheduler.manage.triggers.spec import TriggerSpec
from scheduler.storage.engine import Database
from tests.support.database import rows
from tests.support.factories import BOX, DEFAULT_TENANT, make_agent, make_tenant, make_trigger
from tests.support.invocations import audited

SOME_TIME = "2030-01-31T09:00:00+01:00"


def jobs_of(db: Database, trigger_id: UUID) -> dict[str, datetime | None]:
    found = rows(db, "SELECT kind, next_run_time FROM jobs WHERE trigger_id = :id", id=trigger_id)
    return {row.kind: row.next_run_time for row in found}


def test_a_time_trigger_owns_one_job_from_the_moment_it_is_made(db: Database) -> None:
    trigger = make_trigger(db, make_agent(db), config={"seconds": 90})
    assert jobs_of(db, trigger.id) == {"fire": trigger.next_fire_at}
    assert trigger.next_fire_at == trigger.created_at + timedelta(seconds=90)
    assert audited(db, trigger.id) == ["trigger.created"]


def test_a_webhook_owns_no_job_but_a_token_and_expiry_is_a_job_of_its_own(
    db: Database, triggers: Triggers
) -> None:
    expires = datetime(2040, 1, 1, tzinfo=UTC)
    spec = TriggerSpec("hook", "webhook", {}, expires_at=expires)
    made = triggers.create(DEFAULT_TENANT, make_agent(db), spec, actor="test")
    assert made.hook_token is not None
    assert len(made.hook_token) >= 22
    assert jobs_of(db, made.trigger.id) == {"expiry": expires}


def test_a_name_is_taken_once_for_an_agent_and_free_again_after_deletion(db: Database, triggers: Triggers) -> None:
    agent = make_agent(db)
    first = make_trigger(db, agent, name="daily")
    with pytest.raises(Conflict, match="daily"):
        make_trigger(db, agent, name="daily")
    triggers.delete(DEFAULT_TENANT, first.id, actor="test")
    assert make_trigger(db, agent, name="daily").id != first.id


def test_one_trigger_too_many_is_refused_and_a_paused_one_leaves_room(db: Database, triggers: Triggers) -> None:
    agent = make_agent(db, max_triggers=2)
    first, _ = make_trigger(db, agent), make_trigger(db, agent)
    with pytest.raises(Conflict, match="max_triggers"):
        make_trigger(db, agent)
    triggers.pause(DEFAULT_TENANT, first.id, actor="test")
    make_trigger(db, agent)
    with pytest.raises(Conflict, match="max_triggers"):
        triggers.resume(DEFAULT_TENANT, first.id, actor="test")
    hits = rows(db, "SELECT agent_id, subject_id FROM audit_events WHERE action = 'trigger.limit' ORDER BY id")
    assert [tuple(row) for row in hits] == [(agent, None), (None, first.id)]


def test_the_zone_is_the_triggers_else_the_agents_else_the_tenants(db: Database) -> None:
    tenant = make_tenant(db, "kyoto", timezone="Asia/Tokyo")
    create = Triggers(db, BOX).create

    def zone(agent_id: UUID, **config: str) -> str:
        spec = TriggerSpec(new_id().hex, "cron", {"expr": "0 9 * * *"} | config)
        return create(tenant, agent_id, spec, actor="test").trigger.timezone

    plain, berliner = make_agent(db, "a", tenant), make_agent(db, "b", tenant, timezone="Europe/Berlin")
    assert [zone(plain), zone(berliner), zone(berliner, timezone="America/Lima")] == [
        "Asia/Tokyo",
        "Europe/Berlin",
        "America/Lima",
    ]


def test_a_changed_zone_moves_the_jobs_that_depend_on_it(db: Database, triggers: Triggers) -> None:
    agent = make_agent(db)
    follows = make_trigger(db, agent, "cron", config={"expr": "0 9 * * *"})
    own = make_trigger(db, agent, "cron", config={"expr": "0 9 * * *", "timezone": "Asia/Tokyo"})
    with db.begin() as conn:
        conn.execute(text("UPDATE tenants SET timezone = 'Asia/Kathmandu'"))
        assert rezone_tenant(conn, DEFAULT_TENANT) == 1
        conn.execute(text("UPDATE agents SET timezone = 'Asia/Kolkata'"))
        assert rezone_agent(conn, agent) == 1
    moved = triggers.get(DEFAULT_TENANT, follows.id)
    assert moved.timezone == "Asia/Kolkata"
    assert moved.next_fire_at is not None
    assert (moved.next_fire_at.hour, moved.next_fire_at.minute) == (3, 30)
    assert triggers.get(DEFAULT_TENANT, own.id).next_fire_at == own.next_fire_at


def test_pause_stops_the_job_and_resume_starts_it_from_now(db: Database, triggers: Triggers) -> None:
    trigger = make_trigger(db, make_agent(db))
    paused = triggers.pause(DEFAULT_TENANT, trigger.id, actor="key:me", note="quiet hours")
    assert (paused.is_enabled, paused.paused_note, paused.next_fire_at) == (False, "quiet hours", None)
    assert triggers.pause(DEFAULT_TENANT, trigger.id, actor="key:me").paused_note == "quiet hours"
    resumed = triggers.resume(DEFAULT_TENANT, trigger.id, actor="key:me")
    assert (resumed.is_enabled, resumed.paused_note) == (True, None)
    assert resumed.next_fire_at == trigger.next_fire_at
    assert audited(db, trigger.id) == ["trigger.created", "trigger.paused", "trigger.resumed"]


def test_resuming_counts_fires_from_zero(db: Database, triggers: Triggers) -> None:
    trigger = make_trigger(db, make_agent(db), max_fires=1)
    triggers.fire(DEFAULT_TENANT, trigger.id, actor="test")
    spent = triggers.get(DEFAULT_TENANT, trigger.id)
    assert (spent.is_enabled, spent.paused_note, spent.next_fire_at, spent.fire_count) == (
        False,
        "max_fires",
        None,
        1,
    )
    with pytest.raises(Conflict, match="max_fires"):
        triggers.fire(DEFAULT_TENANT, trigger.id, actor="test")
    assert triggers.resume(DEFAULT_TENANT, trigger.id, actor="test").fire_count == 0


def test_a_once_that_passed_while_paused_fires_on_resume(db: Database, triggers: Triggers) -> None:
    trigger = make_trigger(db, make_agent(db), "once", config={"at": "2001-01-01", "allow_past": True})
    triggers.pause(DEFAULT_TENANT, trigger.id, actor="test")
    resumed = triggers.resume(DEFAULT_TENANT, trigger.id, actor="test")
    assert resumed.next_fire_at == datetime(2001, 1, 1, tzinfo=UTC)


def test_a_once_that_has_fired_needs_a_new_moment(db: Database, triggers: Triggers) -> None:
    trigger = make_trigger(db, make_agent(db), "once", config={"at": "2001-01-01", "allow_past": True})
    triggers.fire(DEFAULT_TENANT, trigger.id, actor="test")
    triggers.pause(DEFAULT_TENANT, trigger.id, actor="test")
    with pytest.raises(Conflict, match=r"config\.at"):
        triggers.resume(DEFAULT_TENANT, trigger.id, actor="test")
    triggers.update(DEFAULT_TENANT, trigger.id, {"config": {"at": SOME_TIME}}, actor="test")
    assert triggers.resume(DEFAULT_TENANT, trigger.id, actor="test").next_fire_at is not None


def test_an_expired_trigger_does_not_resume(db: Database, triggers: Triggers) -> None:
    trigger = make_trigger(db, make_agent(db), expires_at=datetime(2040, 1, 1, tzinfo=UTC))
    triggers.pause(DEFAULT_TENANT, trigger.id, actor="test")
    with db.begin() as conn:
        conn.execute(text("UPDATE triggers SET expires_at = clock_timestamp() - interval '1 day'"))
    with pytest.raises(Conflict, match="expired"):
        triggers.resume(DEFAULT_TENANT, trigger.id, actor="test")


def test_a_patch_merges_config_reschedules_and_keeps_the_secret(db: Database, triggers: Triggers) -> None:
    agent = make_agent(db)
    signature = {"scheme": "github", "secret": "It's a Secret to Everybody"}
    spec = TriggerSpec("hook", "webhook", {"signature": signature})
    hook = triggers.create(DEFAULT_TENANT, agent, spec, actor="test").trigger
    assert hook.config == {"signature": {"scheme": "github"}}
    assert triggers.update(DEFAULT_TENANT, hook.id, {"config": {}}, actor="test").config == hook.config
    with db.begin() as conn:
        assert conn.scalar(text("SELECT secret IS NOT NULL AND token_hash IS NOT NULL FROM triggers"))

    timer = make_trigger(db, agent, config={"seconds": 60})
    changed = triggers.update(
        DEFAULT_TENANT, timer.id, {"config": {"seconds": 7200}, "reason": "less"}, actor="test"
    )
    assert changed.config == {"seconds": 7200}
    assert changed.reason == "less"
    assert changed.next_fire_at is not None
    assert changed.next_fire_at - changed.updated_at == timedelta(hours=2)
    with pytest.raises(InvalidField):
        triggers.update(DEFAULT_TENANT, timer.id, {"config": {"minutes": 5}}, actor="test")
    assert triggers.get(DEFAULT_TENANT, timer.id).config == {"seconds": 7200}


def test_a_patch_of_a_paused_trigger_leaves_it_paused(db: Database, triggers: Triggers) -> None:
    trigger = make_trigger(db, make_agent(db))
    triggers.pause(DEFAULT_TENANT, trigger.id, actor="test")
    changed = triggers.update(DEFAULT_TENANT, trigger.id, {"config": {"seconds": 10}}, actor="test")
    assert (changed.is_enabled, changed.next_fire_at) == (False, None)


@pytest.mark.parametrize("patch", [{"type": "cron"}, {"fire_count": 0}, {"colour": "red"}])
def test_a_field_that_cannot_change_is_refused(db: Database, triggers: Triggers, patch: dict[str, Any]) -> None:
    trigger = make_trigger(db, make_agent(db))
    with pytest.raises(InvalidField):
        triggers.update(DEFAULT_TENANT, trigger.id, patch, actor="test")


def test_deleting_takes_the_job_and_keeps_the_row(db: Database, triggers: Triggers) -> None:
    trigger = make_trigger(db, make_agent(db))
    triggers.delete(DEFAULT_TENANT, trigger.id, actor="test")
    assert jobs_of(db, trigger.id) == {}
    with pytest.raises(NotFound):
        triggers.get(DEFAULT_TENANT, trigger.id)
    with db.begin() as conn:
        assert conn.scalar(text("SELECT deleted_at IS NOT NULL FROM triggers"))


def test_deleting_an_agents_triggers_leaves_other_agents_alone(db: Database) -> None:
    ada, bob = make_agent(db, "ada"), make_agent(db, "bob")
    mine, _, theirs = make_trigger(db, ada), make_trigger(db, ada, "webhook"), make_trigger(db, bob)
    with db.begin() as conn:
        assert delete_agent_triggers(conn, [ada], actor="test") == 2
    assert jobs_of(db, mine.id) == {}
    assert jobs_of(db, theirs.id) != {}


def test_another_tenants_trigger_does_not_exist(db: Database, triggers: Triggers) -> None:
    stranger = make_tenant(db, "stranger")
    trigger = make_trigger(db, make_agent(db))
    for call in (
        triggers.get,
        lambda t, i: triggers.pause(t, i, actor="x"),
        lambda t, i: triggers.fire(t, i, actor="x"),
    ):
        with pytest.raises(NotFound):
            call(stranger, trigger.id)


def test_firing_by_hand_is_recorded_at_once_and_rides_in_the_agents_window(
    db: Database, triggers: Triggers
) -> None:
    agent = make_agent(db)
    one, two = make_trigger(db, agent), make_trigger(db, agent, "webhook")
    first = triggers.fire(DEFAULT_TENANT, one.id, actor="key:me")
    second = triggers.fire(DEFAULT_TENANT, two.id, actor="key:me")
    assert first.invocation_id == second.invocation_id
    assert first.firing_id != second.firing_id
    assert triggers.get(DEFAULT_TENANT, one.id).fire_count == 1


def test_rotating_the_token_of_a_webhook_forgets_the_old_one(db: Database, triggers: Triggers) -> None:
    agent = make_agent(db)
    made = triggers.create(DEFAULT_TENANT, agent, TriggerSpec("hook", "webhook"), actor="test")
    rotated = triggers.rotate_token(DEFAULT_TENANT, made.trigger.id, actor="test")
    assert rotated.hook_token not in {None, made.hook_token}
    with pytest.raises(Conflict):
        triggers.rotate_token(DEFAULT_TENANT, make_trigger(db, agent).id, actor="test")


def test_a_preview_is_in_the_triggers_zone(db: Database, triggers: Triggers) -> None:
    config = {"expr": "0 9 * * *", "timezone": "Asia/Kathmandu"}
    trigger = make_trigger(db, make_agent(db), "cron", config=config)
    times = triggers.preview(DEFAULT_TENANT, trigger.id, 3).fire_times
    assert len(times) == 3
    assert all(each.endswith("T09:00:00+05:45") for each in times)
