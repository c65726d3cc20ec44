"""The watch: opens an alert for each trouble that a rule finds, closes it when that is over, and tells people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from loguru import logger
from sqlalchemy import Connection, text

from scheduler.alerts.notices import CLOSED, OPENED, REMINDER, Notice, tell
from scheduler.alerts.rules import RULES, Rule, Trouble
from scheduler.domain.ids import new_id
from scheduler.storage.advisory_locks import AdvisoryLock, try_lock
from scheduler.storage.alert_tables import Alert
from scheduler.storage.audit import Event, record_events
from scheduler.storage.engine import Database
from scheduler.storage.faults import first_line
from scheduler.storage.rows import as_json, rows_as
from scheduler.triggers.active_hours import Hours

FOUND = text("""
    INSERT INTO alerts (id, tenant_id, agent_id, rule, subject_kind, subject_id, subject_name, reason, advice)
    SELECT id, tenant_id, agent_id, rule, subject_kind, subject_id, subject_name, reason, advice
    FROM json_populate_recordset(CAST(NULL AS alerts), CAST(:rows AS json))
    ON CONFLICT (rule, subject_id) WHERE closed_at IS NULL DO UPDATE SET
        looks = alerts.looks + 1, seen_at = clock_timestamp(), reason = excluded.reason,
        subject_name = excluded.subject_name
    RETURNING *
""")
CLOSE = text("""
    UPDATE alerts SET closed_at = clock_timestamp()
    WHERE closed_at IS NULL AND rule = :rule AND NOT id = ANY(CAST(:found AS uuid[])) RETURNING *
""")
UNTOLD = text("""
    SELECT a.*, n.timezone, n.alert_quiet_hours AS quiet_hours, a.told_at IS NOT NULL AS is_reminder,
        clock_timestamp() AS now
    FROM alerts a LEFT JOIN tenants n ON n.id = a.tenant_id
    WHERE a.closed_at IS NULL AND (a.told_at IS NULL
        OR a.told_at < clock_timestamp() - make_interval(mins => n.alert_remind_minutes))
    AND NOT EXISTS (
        SELECT FROM alert_mutes m WHERE m.tenant_id = a.tenant_id AND (m.until IS NULL OR m.until > clock_timestamp())
            AND (m.rule IS NULL OR m.rule = a.rule)
            AND (m.subject_id IS NULL OR m.subject_id IN (a.subject_id, a.agent_id)))
    ORDER BY a.id LIMIT :limit
""")
MARK_TOLD = text("UPDATE alerts SET told_at = clock_timestamp() WHERE id = ANY(CAST(:ids AS uuid[]))")
TOLD_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Untold:
    """An open alert of which the notification targets are to be told, and when its people want no news."""

    id: UUID
    tenant_id: UUID | None
    agent_id: UUID | None
    rule: str
    subject_kind: str
    subject_name: str
    reason: str
    advice: str
    opened_at: datetime
    timezone: str | None
    quiet_hours: str | None
    is_reminder: bool
    now: datetime

    @property
    def is_quiet(self) -> bool:
        """Whether now is within the quiet hours, in the tenant's zone."""
        if self.quiet_hours is None:
            return False
        return Hours.parse(self.quiet_hours).allow(self.now.astimezone(ZoneInfo(self.timezone or "UTC")))


class Watch:
    """Looks for trouble. One process at a time does; what a rule cannot find out stays as it is."""

    def __init__(self, db: Database, rules: Iterable[Rule] = RULES) -> None:
        self._db = db
        self._rules = tuple(rules)

    def look(self) -> None:
        """Opens, updates and closes alerts, and tells people. A duty."""
        with self._db.begin() as conn:
            if not try_lock(conn, AdvisoryLock.WATCH):
                return
            for rule in self._rules:
                try:
                    with conn.begin_nested():
                        found = rule.find(conn)
                except Exception as error:  # noqa: BLE001  # one rule that fails leaves the others
                    logger.warning("Rule {} could not be looked at: {}", rule.name, first_line(error))
                    continue
                _update(conn, rule, found)
            _tell_of_open(conn)


def _update(conn: Connection, rule: Rule, found: Sequence[Trouble]) -> None:
    rows = [
        {
            "id": new_id(),
            "tenant_id": each.tenant_id,
            "agent_id": each.agent_id,
            "rule": rule.name,
            "subject_kind": rule.subject_kind,
            "subject_id": each.subject_id,
            "subject_name": each.subject_name,
            "reason": rule.reason(each)[:1000],
            "advice": rule.advice,
        }
        for each in found
    ]
    seen = rows_as(Alert, conn.execute(FOUND, {"rows": as_json(rows)})) if rows else []
    closed = rows_as(Alert, conn.execute(CLOSE, {"rule": rule.name, "found": [each.id for each in seen]}))
    record_events(conn, [_event("opened", each) for each in seen if each.looks == 1])
    record_events(conn, [_event("closed", each) for each in closed])
    tell(
        conn,
        [
            Notice(each.id, each.tenant_id, each.agent_id, CLOSED, f"Over: {each.subject_name}. {each.reason}")
            for each in closed
            if each.told_at is not None
        ],
    )


def _tell_of_open(conn: Connection) -> None:
    found = rows_as(Untold, conn.execute(UNTOLD, {"limit": TOLD_AT_ONCE}))
    loud = [each for each in found if not each.is_quiet]
    if not loud:
        return
    conn.execute(MARK_TOLD, {"ids": [each.id for each in loud]})
    tell(
        conn,
        [
            Notice(
                each.id,
                each.tenant_id,
                each.agent_id,
                REMINDER if each.is_reminder else OPENED,
                f"{_article(each)}: {each.subject_name}. {each.reason} {each.advice}",
            )
            for each in loud
        ],
    )


def _article(each: Untold) -> str:
    return f"Still open since {each.opened_at:%Y-%m-%d %H:%M} UTC" if each.is_reminder else "Alert"


def _event(verb: str, alert: Alert) -> Event:
    detail = {
        "rule": alert.rule,
        "subject_kind": alert.subject_kind,
        "subject_id": str(alert.subject_id),
        "subject_name": alert.subject_name,
        "reason": alert.reason,
    }
    return Event(f"alert.{verb}", alert.tenant_id, alert.id, alert.agent_id, detail=detail)
