"""SQL for webhook deliveries: finds the trigger of a token, recent deliveries, and stores each outcome."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Connection, LargeBinary, any_, bindparam, func, select, text, tuple_
from sqlalchemy.dialects.postgresql import JSONB

from scheduler.domain.ids import new_id
from scheduler.domain.model import Trust
from scheduler.firings.new_firing import LOCKED_COLUMNS, LockedTrigger
from scheduler.intake.webhooks.delivery import RecordedDelivery
from scheduler.storage.arrays import array, uuid_array
from scheduler.storage.rows import reader
from scheduler.storage.tables.core import Agent, Firing, Trigger
from scheduler.storage.tables.log import WebhookDelivery
from scheduler.storage.tables.tenants import Tenant


class Verdict(StrEnum):
    """The outcome of a delivery."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    BAD_SIGNATURE = "bad_signature"
    RATE_LIMITED = "rate_limited"
    FILTERED = "filtered"


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook trigger locked by this transaction."""

    trigger: LockedTrigger
    config: dict[str, Any]
    secret: bytes | None
    rate_limit: int
    """The deliveries it accepts in any 60 s: the agent's value, at most the tenant's."""
    most_bytes: int
    """The size limit of a body, whatever the trigger allows."""


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery as stored."""

    trigger: LockedTrigger
    verdict: Verdict
    received_at: datetime
    waited: timedelta
    size: int
    reason: str | None = None
    delivery_key: str | None = None
    content_type: str | None = None
    body: bytes | None = None
    firing_id: UUID | None = None
    data: dict[str, Any] | None = None
    was_stopped: bool = False
    """Whether its filter took too long."""
    id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class KeptDelivery:
    """A delivery that can be replayed. The body is missing if retention has removed its firing."""

    id: UUID
    body: bytes | None
    content_type: str | None
    trust: Trust
    data: dict[str, Any] | None


LOCK_HOOKS = (
    select(
        Trigger.token_hash,
        Trigger.config,
        Trigger.secret,
        func.least(Agent.webhook_rate_limit, Tenant.max_webhook_rate).label("rate_limit"),
        Tenant.max_webhook_body_bytes.label("most_bytes"),
        *LOCKED_COLUMNS,
    )
    .join(Agent, Agent.id == Trigger.agent_id)
    .join(Tenant, Tenant.id == Trigger.tenant_id)
    .where(
        Trigger.token_hash == any_(bindparam("hashes", type_=ARRAY(LargeBinary))),
        Trigger.deleted_at.is_(None),
        Agent.deleted_at.is_(None),
    )
    .order_by(Trigger.id)
    .with_for_update(of=Trigger)
)

# Each lookup is LATERAL … LIMIT 1, so that a plan made while the table was small cannot become a scan of it.
FIND_FIRINGS = text("""
    SELECT v.trigger_id, v.occurrence_key, f.id, sha256(coalesce(f.payload, ''))
    FROM unnest(CAST(:trigger_ids AS uuid[]), CAST(:keys AS text[])) AS v(trigger_id, occurrence_key)
    CROSS JOIN LATERAL (
        SELECT id, payload FROM firings WHERE trigger_id = v.trigger_id AND occurrence_key = v.occurrence_key LIMIT 1
    ) f
    UNION ALL
    SELECT v.trigger_id, v.occurrence_key, s.id, s.content_hash
    FROM unnest(CAST(:trigger_ids AS uuid[]), CAST(:keys AS text[])) AS v(trigger_id, occurrence_key)
    CROSS JOIN LATERAL (
        SELECT id, content_hash FROM spent_ids WHERE owner_id = v.trigger_id AND key = v.occurrence_key LIMIT 1
    ) s
""")

# The clock is read here, after the locks, so that the times of one trigger's deliveries rise in commit order. The
# floor is a stable function, so that it can bound the index scan.
READ_ACCEPTED = text("""
    SELECT v.trigger_id, clock_timestamp(), d.received_at
    FROM unnest(CAST(:trigger_ids AS uuid[]), CAST(:since AS timestamptz[])) AS v(trigger_id, since)
    LEFT JOIN LATERAL (
        SELECT received_at FROM webhook_deliveries
        WHERE trigger_id = v.trigger_id AND verdict = 'accepted'
            AND received_at > greatest(v.since, statement_timestamp() - interval '60 seconds')
        ORDER BY received_at
    ) d ON true
""")

COUNT_UNACCEPTED = text("""
    SELECT v.trigger_id, v.verdict, (
        SELECT count(*) FROM (
            SELECT FROM webhook_deliveries d
            WHERE d.trigger_id = v.trigger_id AND d.verdict = v.verdict
                AND d.received_at > CAST(:since AS timestamptz)
            LIMIT :limit
        ) lately
    )
    FROM unnest(CAST(:trigger_ids AS uuid[]), CAST(:verdicts AS text[])) AS v(trigger_id, verdict)
""")

INSERT_DELIVERIES = text("""
    INSERT INTO webhook_deliveries (id, tenant_id, trigger_id, received_at, verdict, reason, delivery_key,
        content_type, size, body, firing_id, data, waited)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:tenant_ids AS uuid[]), CAST(:trigger_ids AS uuid[]),
        CAST(:times AS timestamptz[]), CAST(:verdicts AS text[]), CAST(:reasons AS text[]), CAST(:keys AS text[]),
        CAST(:content_types AS text[]), CAST(:sizes AS int[]), CAST(:bodies AS bytea[]),
        CAST(:firing_ids AS uuid[]), :datas, CAST(:waits AS interval[]))
""").bindparams(bindparam("datas", type_=ARRAY(JSONB(none_as_null=True))))


def lock_hooks(conn: Connection, token_hashes: Collection[bytes]) -> dict[bytes, Hook]:
    """Locks the webhooks of these tokens, ordered by id; omits unknown and deleted ones."""
    result = conn.execute(LOCK_HOOKS, {"hashes": list(token_hashes)})
    locked = reader(LockedTrigger, result.keys())
    return {
        row.token_hash: Hook(locked(row), row.config, row.secret, row.rate_limit, row.most_bytes) for row in result
    }


def find_firings(
    conn: Connection, occurrences: Collection[tuple[UUID, str]]
) -> defaultdict[UUID, dict[str, RecordedDelivery]]:
    """Returns the existing firings for `(trigger id, occurrence key)`, by these."""
    found: defaultdict[UUID, dict[str, RecordedDelivery]] = defaultdict(dict)
    if not occurrences:
        return found
    rows = conn.execute(
        FIND_FIRINGS,
        {"trigger_ids": uuid_array(each[0] for each in occurrences), "keys": [each[1] for each in occurrences]},
    ).all()
    for trigger_id, key, firing_id, body_hash in rows:
        found[trigger_id][key] = RecordedDelivery(firing_id, body_hash)
    return found


def read_accepted(
    conn: Connection, since: Mapping[UUID, datetime | None]
) -> tuple[datetime, dict[UUID, list[datetime]]]:
    """Returns the database's clock, and for each trigger when deliveries were accepted after its `since`, oldest
    first.

    Reads nothing older than 60 s. The caller has locked the triggers, so no delivery can come in between. `since`
    is not empty.
    """
    rows = conn.execute(READ_ACCEPTED, {"trigger_ids": uuid_array(since), "since": array(since.values())}).all()
    times: dict[UUID, list[datetime]] = {trigger_id: [] for trigger_id in since}
    for trigger_id, _, received_at in rows:
        if received_at is not None:
            times[trigger_id].append(received_at)
    return rows[0][1], times


def count_unaccepted(
    conn: Connection, kinds: Collection[tuple[UUID, Verdict]], since: datetime, limit: int
) -> dict[tuple[UUID, Verdict], int]:
    """Counts the deliveries of each `(trigger id, verdict)` kept after `since`, up to `limit`."""
    if not kinds:
        return {}
    rows = conn.execute(
        COUNT_UNACCEPTED,
        {
            "trigger_ids": uuid_array(each[0] for each in kinds),
            "verdicts": [each[1].value for each in kinds],
            "since": since,
            "limit": limit,
        },
    ).all()
    return {(row[0], Verdict(row[1])): row[2] for row in rows}


def insert_deliveries(conn: Connection, deliveries: Sequence[NewDelivery]) -> None:
    """Stores `deliveries` in the caller's transaction."""
    if not deliveries:
        return
    conn.execute(
        INSERT_DELIVERIES,
        {
            "ids": uuid_array(each.id for each in deliveries),
            "tenant_ids": uuid_array(each.trigger.tenant_id for each in deliveries),
            "trigger_ids": uuid_array(each.trigger.id for each in deliveries),
            "times": array(each.received_at for each in deliveries),
            "verdicts": [each.verdict.value for each in deliveries],
            "reasons": [each.reason for each in deliveries],
            "keys": [each.delivery_key for each in deliveries],
            "content_types": [each.content_type for each in deliveries],
            "sizes": array(each.size for each in deliveries),
            "bodies": [each.body for each in deliveries],
            "firing_ids": uuid_array(each.firing_id for each in deliveries),
            "datas": [each.data for each in deliveries],
            "waits": [each.waited for each in deliveries],
        },
    )


def find_kept(
    conn: Connection, trigger_id: UUID, *criteria: ColumnElement[bool], limit: int | None = None
) -> list[KeptDelivery]:
    """Returns a trigger's accepted and filtered deliveries that meet `criteria` on WebhookDelivery, oldest first."""
    rows = conn.execute(
        select(
            WebhookDelivery.id,
            func.coalesce(Firing.payload, WebhookDelivery.body),
            WebhookDelivery.content_type,
            # A filtered delivery was verified too, but perhaps with a config that has changed since.
            func.coalesce(Firing.trust, Trust.UNAUTHENTICATED.value),
            func.coalesce(Firing.data, WebhookDelivery.data),
        )
        .outerjoin(Firing, Firing.id == WebhookDelivery.firing_id)
        .where(
            WebhookDelivery.trigger_id == trigger_id,
            WebhookDelivery.verdict.in_([Verdict.ACCEPTED.value, Verdict.FILTERED.value]),
            *criteria,
        )
        .order_by(WebhookDelivery.received_at, WebhookDelivery.id)
        .limit(limit)
    )
    return [KeptDelivery(row[0], row[1], row[2], Trust(row[3]), row[4]) for row in rows]


def kept_between(
    conn: Connection, trigger_id: UUID, since: datetime, until: datetime, *, limit: int, after: UUID | None = None
) -> list[KeptDelivery]:
    """Returns up to `limit` deliveries as `find_kept` does, in [since, until] and received after delivery `after`."""
    criteria: list[ColumnElement[bool]] = [WebhookDelivery.received_at.between(since, until)]
    if after is not None:
        moment = tuple_(WebhookDelivery.received_at, WebhookDelivery.id)
        last = select(WebhookDelivery.received_at, WebhookDelivery.id).where(WebhookDelivery.id == after)
        criteria.append(moment > last.scalar_subquery())
    return find_kept(conn, trigger_id, *criteria, limit=limit)
