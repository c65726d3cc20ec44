"""Sample data for screenshots: four agents, what woke them, what failed, and what waits for a person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from scheduler.alerts.watch import Watch
from scheduler.domain.model import Trust
from scheduler.domain.run import Failed, Replied
from tests.support.alerts import up_for_an_hour
from tests.support.api import Api
from tests.support.database import change
from tests.support.invocations import AgentWithTrigger, close, end, fire, start

AGENTS = ("night-watch", "support", "release-notes", "billing")
REPLIES = {
    "night-watch": "All is quiet. The disk of db-2 is at 81 %; I will look again in an hour.",
    "support": "Answered ticket 4711 and asked for the log file.",
    "release-notes": "Drafted the notes of 2.4.0 from 14 merged changes.",
    "billing": "Two invoices are overdue; reminders were sent.",
}
BROKEN = Failed("the tracker answered 403 Forbidden", permanent=True)
PAYLOAD = b'{"ref": "refs/heads/main", "pusher": {"name": "grace"}, "commits": 3}'
STEP = timedelta(seconds=95)


def triggers_of(agent: str, now: datetime) -> list[dict[str, Any]]:
    """Returns the triggers of one of the agents."""
    launch = (now + timedelta(minutes=4)).isoformat()
    return [
        {
            "name": "deploys",
            "type": "webhook",
            "config": {},
            "reason": "Say what went out.",
            "focus_ref": "releases",
        },
        {
            "name": "evening round",
            "type": "cron",
            "config": {"expr": "*/10 17-23 * * *"},
            "reason": "Begin the round.",
        },
        {"name": "pulse", "type": "interval", "config": {"minutes": 3}, "reason": "Look around."},
        {
            "name": "status page",
            "type": "poll",
            "config": {"url": f"https://status.example.org/{agent}.json", "json_path": "$.status"},
            "reason": "Tell when it changes.",
        },
        {
            "name": "launch",
            "type": "once",
            "config": {"at": launch},
            "reason": "The embargo ends.",
            "focus_ref": "2.4.0",
        },
    ]


def play(api: Api) -> None:
    """Creates all of it."""
    now = datetime.now(UTC)  # noqa: TID251
    for number, name in enumerate(AGENTS):
        agent = api.agent(name, dedup_delay_seconds=0, role_description=f"Looks after {name}.")
        made = [
            api.post(f"/agents/{agent['id']}/triggers", {"cooldown_seconds": 0, **fields})
            for fields in triggers_of(name, now)
        ]
        for turn in range(8):
            _wake(api, name, UUID(agent["id"]), [UUID(each["id"]) for each in made], number, turn, now)
        if name == "billing":
            api.post(f"/agents/{agent['id']}/pause", {"note": "until the new month"}, status=200)
        else:
            api.patch(f"/agents/{agent['id']}", {"dedup_delay_seconds": 120})
            api.post(f"/triggers/{made[0]['id']}/fire", status=202)
    _conversation(api)
    _signs_of_life(api)
    _trouble(api)


def _trouble(api: Api) -> None:
    """Lets a webhook be silent for longer than it is expected to be; then alerts are open."""
    [deploys] = [each for each in api.get("/triggers", limit=100)["items"] if each["name"] == "deploys"][:1]
    api.patch(f"/triggers/{deploys['id']}", {"expect_within": "30m"})
    change(
        api.db, "UPDATE triggers SET expected_since = now() - interval '2 hours' WHERE expect_within IS NOT NULL"
    )
    change(
        api.db, "UPDATE triggers SET last_fired_at = now() - interval '95 minutes' WHERE expect_within IS NOT NULL"
    )
    up_for_an_hour(api.db)
    Watch(api.db).look()


def _conversation(api: Api) -> None:
    """Creates messages between a person and one of the agents."""
    api.post("/users", {"name": "grace"})
    support = next(each for each in api.get("/agents")["items"] if each["name"] == "support")
    sender = {"type": "user", "name": "grace"}
    for text in ("Is ticket 4711 answered?", "And ask for the log file, please."):
        api.post("/messages", {"from": sender, "to_agent_id": support["id"], "text": text})


def _wake(
    api: Api, name: str, agent_id: UUID, triggers: list[UUID], number: int, turn: int, now: datetime
) -> None:
    """Creates one wake by one to three firings, within the past quarter of an hour."""
    values: dict[str, Any] = {"payload": PAYLOAD, "content_type": "application/json", "trust": Trust.VERIFIED}
    causes = [triggers[(turn + extra * 2) % len(triggers)] for extra in range(1 + (turn + number) % 3)]
    firing_ids = [
        fire(api.db, AgentWithTrigger(agent_id, each), **(values if each == triggers[0] else {}))[0]
        for each in causes
    ]
    [invocation_id] = close(api.db).ready
    is_bad = (number, turn) in ((1, 5), (2, 2))
    end(api.db, start(api.db, invocation_id), BROKEN if is_bad else Replied(REPLIES[name]))
    opened = now - timedelta(minutes=14) + STEP * turn + timedelta(seconds=17 * number)
    ready = opened + timedelta(seconds=30)
    times = {
        "id": invocation_id,
        "opened": opened,
        "ready": ready,
        "finished": ready + timedelta(seconds=3 + 11 * ((turn * 3 + number) % 4)),
    }
    change(
        api.db,
        """UPDATE invocations SET opened_at = :opened, ready_at = :ready, started_at = :ready, finished_at = :finished
        WHERE id = :id""",
        **times,
    )
    for place, firing_id in enumerate(firing_ids):
        fired = opened + timedelta(seconds=9 * place)
        change(
            api.db,
            "UPDATE firings SET fired_at = :at, scheduled_for = :at - interval '40 ms' WHERE id = :id",
            id=firing_id,
            at=fired,
        )


def _signs_of_life(api: Api) -> None:
    change(api.db, "INSERT INTO scheduler_processes (id, name) VALUES (gen_random_uuid(), 'worker.1')")
    change(api.db, "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now())")
