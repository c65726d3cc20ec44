"""Tells the notification targets of an alert: once when it opens, once when it closes, and again if asked to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, text

from scheduler.domain.ids import new_id
from scheduler.notifications.deliveries import LEASE
from scheduler.queue.tasks import defer_deliveries
from scheduler.storage.rows import as_json, insert_rows, rows_as
from scheduler.storage.tenants import DEFAULT_TENANT
from scheduler.triggers.active_hours import Hours

OPENED, REMINDER, CLOSED = "opened", "open", "closed"
TOLD_AT_ONCE = 200

QUIET_HOURS = text("""
    SELECT id, timezone, alert_quiet_hours AS hours, clock_timestamp() AS now FROM tenants
    WHERE alert_quiet_hours IS NOT NULL
""")
# The service's alerts are told, put off and muted as those of the default tenant, which is its operator's.
_NEWS = f"""
    SELECT a.id, n.id AS tenant_id, a.agent_id, a.subject_name, a.reason, a.advice, a.opened_at, a.told_at, a.told_to,
        n.id = ANY(CAST(:quiet AS uuid[])) AS is_quiet, EXISTS (
            SELECT FROM alert_mutes m WHERE m.tenant_id = n.id AND (m.until IS NULL OR m.until > clock_timestamp())
                AND (m.rule IS NULL OR m.rule = a.rule)
                AND (m.subject_id IS NULL OR m.subject_id IN (a.subject_id, a.agent_id))) AS is_muted
    FROM alerts a JOIN tenants n ON n.id = coalesce(a.tenant_id, '{DEFAULT_TENANT}')
"""  # noqa: S608  # expressions of ours
# While a tenant has no target, nobody can be told: the first target that it gets is told of what is still open.
UNTOLD = text(f"""
    SELECT * FROM ({_NEWS}
        WHERE a.closed_at IS NULL AND EXISTS (SELECT FROM notification_targets t WHERE t.tenant_id = n.id)
            AND (a.told_at IS NULL OR a.told_at < clock_timestamp() - make_interval(mins => n.alert_remind_minutes))
    ) news WHERE NOT (is_muted OR is_quiet) ORDER BY id LIMIT :limit
""")  # noqa: S608  # expressions of ours
ENDED_UNTOLD = text(f"""
    SELECT * FROM ({_NEWS} WHERE a.closed_at IS NOT NULL AND a.told_at IS NOT NULL AND a.end_told_at IS NULL) news
    WHERE is_muted OR NOT is_quiet ORDER BY id LIMIT :limit
""")  # noqa: S608  # expressions of ours
MARK_TOLD = text("""
    UPDATE alerts a SET told_at = clock_timestamp(), told_to = v.told_to
    FROM json_populate_recordset(CAST(NULL AS alerts), CAST(:rows AS json)) v WHERE a.id = v.id
""")
MARK_END_TOLD = text("UPDATE alerts SET end_told_at = clock_timestamp() WHERE id = ANY(CAST(:ids AS uuid[]))")
TARGETS_OF = text("""
    SELECT id, tenant_id, agent_id FROM notification_targets WHERE tenant_id = ANY(CAST(:tenants AS uuid[]))
""")
ADD = text("""
    INSERT INTO notification_deliveries (id, notification_id, target_id, due_at)
    SELECT id, notification_id, target_id, clock_timestamp() + :lease
    FROM unnest(CAST(:ids AS uuid[]), CAST(:notices AS uuid[]), CAST(:targets AS uuid[]))
        AS v(id, notification_id, target_id)
""")


@dataclass(frozen=True, slots=True)
class News:
    """An alert that notification targets should hear about."""

    id: UUID
    tenant_id: UUID
    agent_id: UUID | None
    subject_name: str
    reason: str
    advice: str
    opened_at: datetime
    told_at: datetime | None
    told_to: list[UUID]
    is_quiet: bool
    is_muted: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told of one alert, and to which targets."""

    alert_id: UUID
    event: str
    text: str
    targets: Sequence[UUID]
    id: UUID = field(default_factory=new_id)


class Targets:
    """The notification targets of some tenants."""

    def __init__(self, conn: Connection, tenants: set[UUID]) -> None:
        self._of_agents: dict[UUID, list[UUID]] = defaultdict(list)
        self._of_tenants: dict[UUID, list[UUID]] = defaultdict(list)
        for row in conn.execute(TARGETS_OF, {"tenants": list(tenants)}):
            self._of_agents[row.agent_id].append(row.id)
            self._of_tenants[row.tenant_id].append(row.id)

    def concerned(self, each: News) -> list[UUID]:
        """Returns those of its agent; of an agent without one, a tenant and the service, all of the tenant."""
        return (each.agent_id and self._of_agents.get(each.agent_id)) or self._of_tenants[each.tenant_id]

    def told(self, each: News) -> list[UUID]:
        """Returns those that have heard of it and are still there."""
        return [target for target in self._of_tenants[each.tenant_id] if target in each.told_to]


def tell_of_alerts(conn: Connection) -> None:
    """Queues what is to be told of open and ended alerts, in the caller's transaction."""
    asked = {"quiet": _quiet_tenants(conn), "limit": TOLD_AT_ONCE}
    _tell_of_ended(conn, rows_as(News, conn.execute(ENDED_UNTOLD, asked)))
    _tell_of_open(conn, rows_as(News, conn.execute(UNTOLD, asked)))


def _quiet_tenants(conn: Connection) -> list[UUID]:
    return [row.id for row in conn.execute(QUIET_HOURS) if is_quiet(row.now, row.hours, row.timezone)]


def is_quiet(now: datetime, hours: str, timezone: str | None) -> bool:
    """Whether now is within quiet hours, such as `22:00-07:00`, in a zone (UTC unless given)."""
    try:
        return Hours.parse(hours).allow(now.astimezone(ZoneInfo(timezone or "UTC")))
    except (ValueError, ZoneInfoNotFoundError):  # stored by another version: it must not silence all
        return False


def _tell_of_ended(conn: Connection, ended: Sequence[News]) -> None:
    """Tells those who were told of an alert that it is over, once; not if it has been muted since."""
    if not ended:
        return
    conn.execute(MARK_END_TOLD, {"ids": [each.id for each in ended]})
    loud = [each for each in ended if not each.is_muted]
    targets = Targets(conn, {each.tenant_id for each in loud})
    _queue(
        conn,
        [
            Notice(each.id, CLOSED, f"Over: {each.subject_name}. {each.reason}", targets.told(each))
            for each in loud
        ],
    )


def _tell_of_open(conn: Connection, untold: Sequence[News]) -> None:
    if not untold:
        return
    targets = Targets(conn, {each.tenant_id for each in untold})
    notices = [
        Notice(
            each.id,
            OPENED if each.told_at is None else REMINDER,
            f"{_article(each)}: {each.subject_name}. {each.reason} {each.advice}",
            targets.concerned(each),
        )
        for each in untold
    ]
    _queue(conn, notices)
    told = [
        {"id": each.id, "told_to": sorted({*each.told_to, *notice.targets})}
        for each, notice in zip(untold, notices, strict=True)
    ]
    conn.execute(MARK_TOLD, {"rows": as_json(told)})


def _article(each: News) -> str:
    return "Alert" if each.told_at is None else f"Still open since {each.opened_at:%Y-%m-%d %H:%M} UTC"


def _queue(conn: Connection, notices: Sequence[Notice]) -> None:
    deliveries = [(new_id(), notice.id, target) for notice in notices for target in notice.targets]
    if not deliveries:
        return
    insert_rows(
        conn,
        "alert_notices",
        [{"id": each.id, "alert_id": each.alert_id, "event": each.event, "text": each.text} for each in notices],
    )
    ids, of_notices, targets = (list(column) for column in zip(*deliveries, strict=True))
    conn.execute(ADD, {"ids": ids, "notices": of_notices, "targets": targets, "lease": LEASE})
    defer_deliveries(conn, [(each, 1) for each in ids])
