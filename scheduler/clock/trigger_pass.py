"""One pass over the due trigger jobs, in one transaction: claims, decides, records and advances them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.clock.heartbeat import Heartbeat
from scheduler.clock.jobs import Advance, LedgerJob, build_job, job_id
from scheduler.clock.ledger_pass import LedgerPass
from scheduler.domain.errors import stops_process
from scheduler.domain.model import JobKind, TriggerKind
from scheduler.domain.schedule import Slots
from scheduler.firings.new_firing import LockedTrigger, NewFiring, gate
from scheduler.firings.record import Batch, record_firings
from scheduler.firings.slots import Definition, decide_due, skipped_event, slots_before
from scheduler.intake.checks import run_checks
from scheduler.metrics import FIRINGS, later, tally_by
from scheduler.storage.arrays import BinaryArray, text_array, time_array, uuid_array
from scheduler.storage.audit import Event, record_events
from scheduler.storage.fair_shares import ask_waiting, due_of, due_of_tenants, share_parameters, shares_of
from scheduler.storage.faults import quarantine_note
from scheduler.storage.pipelines import send_along
from scheduler.storage.rows import Result, reader
from scheduler.storage.triggers import stop_jobs

EXECUTOR = "ledger"

# The clock is read in a sub-select: directly in WHERE, the volatile function would prevent the use of the index.
# The jobs are locked before they are joined, so that those of a pass still being written cost one lookup each.
_DUE = "next_run_time <= (SELECT clock_timestamp())"
_OLDEST = """
    SELECT trigger_id, kind, next_run_time FROM jobs WHERE {where}
    ORDER BY next_run_time LIMIT :limit
    FOR UPDATE SKIP LOCKED
"""
_HAS_ROOM = f"(SELECT count(*) FROM (SELECT FROM jobs WHERE {_DUE} LIMIT :limit) AS few) < :limit"  # noqa: S608  # ours
_OLDEST_OF_EACH = f"""
    SELECT theirs.* FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:shares AS int[])) AS v(tenant_id, share)
    CROSS JOIN LATERAL (
        SELECT trigger_id, kind, next_run_time FROM jobs
        WHERE next_run_time IS NOT NULL AND {due_of("next_run_time", "v.tenant_id")}
        ORDER BY tenant_id, next_run_time LIMIT v.share
        FOR UPDATE SKIP LOCKED
    ) AS theirs
"""  # noqa: S608  # both parts are ours
_CLAIM = """
    WITH due AS MATERIALIZED ({due})
    SELECT j.next_run_time, j.kind, t.id::text AS id_text,
        t.id, t.tenant_id, t.agent_id, t.name, t.type, t.is_enabled AND t.deleted_at IS NULL AS is_enabled,
        t.expires_at, t.max_fires, t.fire_count, t.urgent, t.cooldown_seconds, t.last_wake_at,
        a.dedup_delay_seconds, a.max_batch, t.is_paced,
        CASE WHEN t.is_paced THEN (SELECT woken_at FROM agent_paces p WHERE p.agent_id = t.agent_id) END AS paced_at,
        (SELECT clock_timestamp()) AS read_at,
        t.config::text AS config, t.zone, t.anchor_at AS anchor, t.misfire_policy, t.grace_seconds
    FROM due j JOIN triggers t ON t.id = j.trigger_id JOIN agents a ON a.id = t.agent_id
    ORDER BY j.next_run_time
    FOR UPDATE OF t SKIP LOCKED
"""
CLAIM = text(_CLAIM.format(due=_OLDEST.format(where=_DUE)))
CLAIM_ALL = text(_CLAIM.format(due=_OLDEST.format(where=f"{_DUE} AND {_HAS_ROOM}")))
"""Claims all that is due, or nothing when there may be more than `limit`."""
CLAIM_SHARES = text(_CLAIM.format(due=_OLDEST_OF_EACH))
DUE = due_of_tenants("jobs", "next_run_time", "next_run_time IS NOT NULL")

ADVANCE_JOBS = text("""
    UPDATE jobs j SET next_run_time = v.next_run_time
    FROM unnest(CAST(:ids AS uuid[]), CAST(:kinds AS text[]), CAST(:times AS timestamptz[]))
        AS v(trigger_id, kind, next_run_time)
    WHERE j.trigger_id = v.trigger_id AND j.kind = v.kind
""")

DISABLE_TRIGGERS = text("""
    UPDATE triggers t SET is_enabled = false, paused_note = v.note
    FROM unnest(CAST(:ids AS uuid[]), CAST(:notes AS text[])) AS v(id, note)
    WHERE t.id = v.id
""")

# A dict lookup costs a fifth of the enum's own call, and a pass makes thousands.
_KINDS = {kind.value: kind for kind in JobKind}


class _DueJob(NamedTuple):
    """A due job with its trigger, as CLAIM returns it."""

    next_run_time: datetime
    kind: str
    id_text: str


class _Readers(NamedTuple):
    """The readers of the three parts of a CLAIM row."""

    due: Callable[[Sequence[Any]], _DueJob]
    trigger: Callable[[Sequence[Any]], LockedTrigger]
    definition: Callable[[Sequence[Any]], Definition]


def _readers(columns: Iterable[str]) -> _Readers:
    names = list(columns)
    return _Readers(reader(_DueJob, names), reader(LockedTrigger, names), reader(Definition, names))


class Claim(NamedTuple):
    """A due job, its trigger, and the decision for both."""

    trigger_id: str
    """The trigger's id as text, since converting the UUID takes as long as deciding."""
    trigger: LockedTrigger
    kind: JobKind
    slot: datetime
    next_run_time: datetime | None
    firings: Sequence[NewFiring] = ()
    check: bool = False
    """Whether the kind only checks if there is something to fire."""
    skipped: Slots | None = None
    disabled: str | None = None
    """Why the trigger ends here: `expired`, `finished` or `quarantined: …`."""


class TriggerPass(LedgerPass):
    """What a pass has claimed and what the scheduler then told the store to do with it."""

    def __init__(self, conn: Connection, heartbeat: Heartbeat) -> None:
        super().__init__(conn)
        self._heartbeat = heartbeat
        self.submitted: list[Claim] = []
        self._advances: dict[str, BinaryArray] = {}
        self._batch = Batch(())

    def claim(self, limit: int) -> list[LedgerJob]:
        """Locks up to `limit` due jobs, oldest slot first, in fair shares if more are due; decides each."""
        asked = ask_waiting(self.conn, DUE, limit)
        claimed = send_along(self.conn, CLAIM_ALL, limit=limit)
        waiting = dict(asked.all())
        if not waiting:
            return self._decided(claimed)
        shares = shares_of(waiting, limit, leaves_few=self.leaves_few)
        if shares is not None:
            return self.claim_shares(shares)
        return self._decided(send_along(self.conn, CLAIM, limit=limit))

    def claim_shares(self, shares: Mapping[UUID, int]) -> list[LedgerJob]:
        """Locks the given number of due jobs of each tenant, oldest slots first; decides each."""
        return self._decided(send_along(self.conn, CLAIM_SHARES, **share_parameters(shares)))

    def submit(self, job: LedgerJob) -> None:
        """Collects a claim for `write`."""
        self.submitted.append(job.claim)

    def prepare(self) -> None:
        """Prepares what will be written."""
        self._batch = Batch([firing for claim in self.submitted for firing in claim.firings])
        self._advances = {
            "ids": uuid_array([claim.trigger.id for claim in self.submitted]),
            "kinds": text_array([claim.kind for claim in self.submitted]),
            "times": time_array([claim.next_run_time for claim in self.submitted]),
        }

    def write(self) -> None:
        """Records the firings of the submitted claims and advances all their jobs."""
        self._heartbeat.beat(self.conn, self.record())

    def record(self) -> int:
        """Does what `write` does except for the heartbeat; returns the number of firings."""
        if not self.submitted:
            return 0
        recorded = self._batch.record(self.conn, announce=False)
        checks = run_checks(self.conn, [claim.trigger for claim in self.submitted if claim.check])
        checked = record_firings(self.conn, checks.firings, announce=False)
        # By trigger, since its expiry and its slot may be due together, and it ends once.
        ended = {claim.trigger.id: claim for claim in self.submitted if claim.disabled}
        for claim in self.submitted if checks.failed else ():
            if claim.check and (error := checks.failed.get(claim.trigger.id)) is not None:
                ended[claim.trigger.id] = claim._replace(disabled=quarantine_note(error))
        exhausted = recorded.exhausted | checked.exhausted
        stopped = exhausted.union(ended)
        send_along(self.conn, ADVANCE_JOBS, **self._advances)
        if stopped:
            stop_jobs(self.conn, stopped, with_expiry=True)
        if ended:
            self.conn.execute(
                DISABLE_TRIGGERS,
                {"ids": list(ended), "notes": [claim.disabled for claim in ended.values()]},
            )
        missed = [(claim.trigger.type, claim.skipped.count) for claim in self.submitted if claim.skipped]
        if missed:
            later(self.conn, tally_by(FIRINGS, [((kind, "missed"), number) for kind, number in missed]))
        events = [
            skipped_event(claim.trigger, claim.skipped, why=claim.disabled)
            for claim in self.submitted
            if claim.skipped is not None
        ]
        events += [
            _ended_event(claim, why)
            for claim in ended.values()
            # What reached max_fires now has been audited already.
            if (why := claim.disabled) and (why == "expired" or claim.trigger.id not in exhausted)
        ]
        record_events(self.conn, events)
        return recorded.count + checked.count

    def _decided(self, result: Result) -> list[LedgerJob]:
        jobs: list[LedgerJob] = []
        slot: datetime | None = None
        read = _readers(result.keys())
        for row in result.all():
            due = read.due(row)
            if due.next_run_time != slot:
                slot = due.next_run_time  # one object for all that are due together, as hashing a datetime is slow
            jobs.append(_due_job(decide(due, slot, read.trigger(row), read.definition(row))))
        return jobs


def _due_job(claim: Claim) -> LedgerJob:
    return build_job(
        job_id(claim.trigger_id, claim.kind),
        name=claim.trigger.name,
        executor=EXECUTOR,
        trigger=Advance(claim.next_run_time),
        next_run_time=claim.slot,
        claim=claim,
    )


def decide(due: _DueJob, slot: datetime, trigger: LockedTrigger, definition: Definition) -> Claim:
    """Decides a job that is due at `slot`. An unreadable one is quarantined, alone."""
    trigger_id = due.id_text
    kind = JobKind.FIRE
    try:
        kind = _KINDS[due.kind]
        return _decide(trigger_id, trigger, kind, slot, definition)
    except BaseException as error:  # whatever is wrong with this row is wrong with this row only
        if stops_process(error):
            raise
        return Claim(trigger_id, trigger, kind, slot, None, disabled=quarantine_note(error))


def _decide(
    trigger_id: str, trigger: LockedTrigger, kind: JobKind, slot: datetime, definition: Definition
) -> Claim:
    refusal = gate(trigger, trigger.read_at)
    if refusal in {"expired", "max_fires"}:
        is_awaited = refusal == "expired" and trigger.type == TriggerKind.A2A_WAIT
        told = [NewFiring(trigger, "expired")] if is_awaited else ()
        missed = None
        if kind is JobKind.FIRE and trigger.expires_at is not None:
            missed = slots_before(trigger, definition, slot, trigger.expires_at)
        return Claim(trigger_id, trigger, kind, slot, None, told, skipped=missed, disabled=refusal)
    if refusal or kind is JobKind.EXPIRY:
        return Claim(trigger_id, trigger, kind, slot, None)
    decided = decide_due(trigger, definition, slot)
    ended = None if decided.is_check or decided.next_run_time else "finished"
    return Claim(
        trigger_id,
        trigger,
        kind,
        slot,
        decided.next_run_time,
        decided.firings,
        decided.is_check,
        decided.skipped,
        ended,
    )


def _ended_event(claim: Claim, why: str) -> Event:
    trigger = claim.trigger
    verb = why.partition(":")[0].replace("max_fires", "finished")
    detail = {"why": why, "slot": claim.slot.isoformat()}
    return Event(f"trigger.{verb}", trigger.tenant_id, trigger.id, trigger.agent_id, detail=detail)
