"""The watch: opens an alert for each trouble that a rule finds, closes it when that is over, and tells people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from loguru import logger
from sqlalchemy import Connection, text

from scheduler.alerts.findings import Finding, Rule
from scheduler.alerts.notices import CLOSED, OPENED, REMINDER, Notice, queue_notices
from scheduler.alerts.rules import RULES
from scheduler.domain.ids import new_id
from scheduler.storage.advisory_locks import AdvisoryLock, try_lock
from scheduler.storage.alert_tables import Alert
from scheduler.storage.audit import Event, record_events
from scheduler.storage.engine import Database
from scheduler.storage.faults import first_line
from scheduler.storage.rows import as_json, rows_as
from scheduler.storage.tenants import DEFAULT_TENANT
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
LOOK = text("""
    UPDATE watch w SET looked_at = clock_timestamp(),
        since = CASE WHEN looked_at > clock_timestamp() - interval '1 minute' THEN since ELSE clock_timestamp() END,
        drift_looked_at = CASE WHEN seldom.is_due THEN clock_timestamp() ELSE drift_looked_at END,
        last_pass_at = greatest(last_pass_at, (SELECT max(p.last_pass_at) FROM scheduler_processes p)),
        last_heartbeat_at = greatest(last_heartbeat_at, (SELECT max(last_heartbeat) FROM procrastinate_workers))
    FROM (
        SELECT coalesce(drift_looked_at <= clock_timestamp() - make_interval(secs => 4 * :every), true) AS is_due
        FROM watch
    ) seldom
    WHERE coalesce(looked_at <= clock_timestamp() - make_interval(secs => :every), true)
    RETURNING seldom.is_due
""")
# The service's alerts are told, put off and muted as those of the default tenant, which is its operator's.
_NEWS = f"""
    SELECT a.*, n.timezone, n.alert_quiet_hours AS quiet_hours, clock_timestamp() AS now, EXISTS (
        SELECT FROM alert_mutes m WHERE m.tenant_id = n.id AND (m.until IS NULL OR m.until > clock_timestamp())
            AND (m.rule IS NULL OR m.rule = a.rule)
            AND (m.subject_id IS NULL OR m.subject_id IN (a.subject_id, a.agent_id))) AS is_muted
    FROM alerts a JOIN tenants n ON n.id = coalesce(a.tenant_id, '{DEFAULT_TENANT}')
"""  # noqa: S608  # expressions of ours
UNTOLD = text(f"""
    SELECT * FROM ({_NEWS}
        WHERE a.closed_at IS NULL AND (a.told_at IS NULL
            OR a.told_at < clock_timestamp() - make_interval(mins => n.alert_remind_minutes))
    ) news WHERE NOT is_muted ORDER BY id LIMIT :limit
""")  # noqa: S608  # expressions of ours
ENDED_UNTOLD = text(f"""
    {_NEWS} WHERE a.closed_at IS NOT NULL AND a.told_at IS NOT NULL AND a.end_told_at IS NULL
    ORDER BY a.id LIMIT :limit
""")
MARK_TOLD = text("UPDATE alerts SET told_at = clock_timestamp() WHERE id = ANY(CAST(:ids AS uuid[]))")
MARK_END_TOLD = text("UPDATE alerts SET end_told_at = clock_timestamp() WHERE id = ANY(CAST(:ids AS uuid[]))")
TOLD_AT_ONCE = 200
EVERY_SECONDS = 15.0
LEASE_SECONDS = 12.0
"""How long after one process's check the others skip theirs: less than the interval."""


@dataclass(frozen=True, slots=True)
class PendingNotice:
    """An alert that notification targets should hear about, and the quiet hours of its tenant."""

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
    told_at: datetime | None
    is_muted: bool
    now: datetime

    @property
    def is_quiet(self) -> bool:
        """Whether now is within the quiet hours, in the tenant's zone."""
        if self.quiet_hours is None:
            return False
        try:
            return Hours.parse(self.quiet_hours).allow(self.now.astimezone(ZoneInfo(self.timezone or "UTC")))
        except (ValueError, ZoneInfoNotFoundError):  # stored by another version: it must not silence all
            return False


class Watch:
    """Checks for problems. Any number of processes have one; the alerts of a rule that fails stay as they are."""

    def __init__(self, db: Database, rules: Iterable[Rule] = RULES, *, every: float = 0.0) -> None:
        """Skips a check when any process has checked in the last `every` seconds."""
        self._db = db
        self._rules = tuple(rules)
        self._every = every

    def look(self) -> None:
        """Opens, updates and closes alerts, and notifies people. A duty.

        It is one transaction: an alert that is open has been or will be notified.
        """
        with self._db.begin() as conn:
            if not try_lock(conn, AdvisoryLock.WATCH):
                return
            looked = conn.execute(LOOK, {"every": self._every}).one_or_none()
            if looked is None:
                return
            for rule in self._rules:
                if rule.is_seldom and not looked.is_due:
                    continue
                try:
                    with conn.begin_nested():
                        found = rule.find(conn)
                except Exception as error:  # noqa: BLE001  # one rule that fails leaves the others
                    logger.warning("Rule {} could not be checked: {}", rule.name, first_line(error))
                    continue
                _update(conn, rule, found)
            _tell_of_ended(conn)
            _tell_of_open(conn)


def _update(conn: Connection, rule: Rule, found: Sequence[Finding]) -> None:
    rows = [
        {
            "id": new_id(),
            "tenant_id": each.tenant_id,
            "agent_id": each.agent_id,
            "rule": rule.name,
            "subject_kind": each.subject_kind or rule.subject_kind,
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


def _tell_of_ended(conn: Connection) -> None:
    """Notifies those who were told of an alert that it is over, once; not if it has been muted since."""
    found = rows_as(PendingNotice, conn.execute(ENDED_UNTOLD, {"limit": TOLD_AT_ONCE}))
    settled = [each for each in found if each.is_muted or not each.is_quiet]
    if not settled:
        return
    conn.execute(MARK_END_TOLD, {"ids": [each.id for each in settled]})
    queue_notices(
        conn,
        [
            Notice(each.id, each.tenant_id, each.agent_id, CLOSED, f"Over: {each.subject_name}. {each.reason}")
            for each in settled
            if not each.is_muted
        ],
    )


def _tell_of_open(conn: Connection) -> None:
    found = rows_as(PendingNotice, conn.execute(UNTOLD, {"limit": TOLD_AT_ONCE}))
    loud = [each for each in found if not each.is_quiet]
    if not loud:
        return
    conn.execute(MARK_TOLD, {"ids": [each.id for each in loud]})
    queue_notices(
        conn,
        [
            Notice(
                each.id,
                each.tenant_id,
                each.agent_id,
                OPENED if each.told_at is None else REMINDER,
                f"{_article(each)}: {each.subject_name}. {each.reason} {each.advice}",
            )
            for each in loud
        ],
    )


def _article(each: PendingNotice) -> str:
    return "Alert" if each.told_at is None else f"Still open since {each.opened_at:%Y-%m-%d %H:%M} UTC"


def _event(verb: str, alert: Alert) -> Event:
    detail = {
        "rule": alert.rule,
        "subject_kind": alert.subject_kind,
        "subject_id": str(alert.subject_id),
        "subject_name": alert.subject_name,
        "reason": alert.reason,
    }
    return Event(f"alert.{verb}", alert.tenant_id, alert.id, alert.agent_id, detail=detail)
