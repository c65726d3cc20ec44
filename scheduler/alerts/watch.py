"""The watch: opens an alert for each trouble that a rule finds, closes it when that is over, and tells people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from loguru import logger
from sqlalchemy import Connection, text

from scheduler.alerts.findings import Finding, Rule
from scheduler.alerts.notices import tell_of_alerts
from scheduler.alerts.rules import RULES
from scheduler.domain.ids import new_id
from scheduler.storage.advisory_locks import AdvisoryLock, try_lock
from scheduler.storage.audit import Event, record_events
from scheduler.storage.engine import Database
from scheduler.storage.faults import first_line
from scheduler.storage.rows import as_json, rows_as
from scheduler.storage.tables.alerts import Alert

# What is open already stays open, but nothing opens before the service had time to catch up: after an outage for the
# rule's patience, and after a pause, such as the sleep of a machine, until the next check.
FOUND = text("""
    INSERT INTO alerts (id, tenant_id, agent_id, rule, subject_kind, subject_id, subject_name, reason, advice)
    SELECT id, tenant_id, agent_id, rule, subject_kind, subject_id, subject_name, reason, advice
    FROM json_populate_recordset(CAST(NULL AS alerts), CAST(:rows AS json)) v
    WHERE (
        SELECT since <= clock_timestamp() - make_interval(secs => :patience) AND (:patience = 0 OR NOT is_returning)
        FROM watch
    ) OR EXISTS (
        SELECT FROM alerts o WHERE o.rule = v.rule AND o.subject_id = v.subject_id AND o.closed_at IS NULL)
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
        since = CASE WHEN looked_at > clock_timestamp() - make_interval(secs => :gap) THEN since
            ELSE clock_timestamp() END,
        is_returning = NOT is_returning
            AND coalesce(looked_at <= clock_timestamp() - make_interval(secs => :pause), false),
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
EVERY_SECONDS = 15.0
LEASE_SECONDS = 12.0
"""How long after one process's check the others skip theirs: less than the interval."""
OUTAGE_SECONDS = 16.0
"""How long nobody checked when all processes, or the database, were down: a little more than the interval."""
PAUSE_SECONDS = OUTAGE_SECONDS
"""How late a check is after a pause of all processes. Workers report again before the next check."""
LONGEST_GAP_SECONDS = 60.0
"""Between two checks of one process that never stopped, but was slow. Beyond that the machine slept."""


class Watch:
    """Checks for problems. Any number of processes have one; the alerts of a rule that fails stay as they are."""

    def __init__(self, db: Database, rules: Iterable[Rule] = RULES, *, every: float = 0.0) -> None:
        """Skips a check when any process has checked in the last `every` seconds."""
        self._db = db
        self._rules = tuple(rules)
        self._every = every
        self._returns = True

    def look(self) -> None:
        """Opens, updates and closes alerts, and notifies people. A duty.

        It is one transaction: an alert that is open has been or will be notified.
        """
        returns, self._returns = self._returns, True
        self._look(OUTAGE_SECONDS if returns else LONGEST_GAP_SECONDS)
        self._returns = False

    def _look(self, gap: float) -> None:
        """Checks. If nobody did for `gap` seconds, the service was down: each rule's patience begins anew."""
        with self._db.begin() as conn:
            if not try_lock(conn, AdvisoryLock.WATCH):
                return
            looked = conn.execute(LOOK, {"every": self._every, "gap": gap, "pause": PAUSE_SECONDS}).one_or_none()
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
            tell_of_alerts(conn)


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
    seen = rows_as(Alert, conn.execute(FOUND, {"rows": as_json(rows), "patience": rule.patience})) if rows else []
    closed = rows_as(Alert, conn.execute(CLOSE, {"rule": rule.name, "found": [each.id for each in seen]}))
    record_events(conn, [_event("opened", each) for each in seen if each.looks == 1])
    record_events(conn, [_event("closed", each) for each in closed])


def _event(verb: str, alert: Alert) -> Event:
    detail = {
        "rule": alert.rule,
        "subject_kind": alert.subject_kind,
        "subject_id": str(alert.subject_id),
        "subject_name": alert.subject_name,
        "reason": alert.reason,
    }
    return Event(f"alert.{verb}", alert.tenant_id, alert.id, alert.agent_id, detail=detail)
