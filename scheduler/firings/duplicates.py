"""Takes back what was done for firings that had been recorded before, which are rare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.firings.new_firing import NewFiring
from scheduler.storage.arrays import text_array, uuid_array

FIND_RECORDED = text("""
    SELECT v.id, f.id FROM unnest(CAST(:ids AS uuid[]), CAST(:trigger_ids AS uuid[]), CAST(:keys AS text[]))
        AS v(id, trigger_id, occurrence_key)
    JOIN firings f ON f.trigger_id = v.trigger_id AND f.occurrence_key = v.occurrence_key
    WHERE f.id <> v.id
""")

SHRINK_WINDOWS = text("""
    UPDATE invocations i SET firing_count = i.firing_count - v.surplus
    FROM unnest(CAST(:ids AS uuid[]), CAST(:surpluses AS int[])) AS v(id, surplus) WHERE i.id = v.id
""")

DROP_EMPTY_WINDOWS = text("""
    DELETE FROM invocations WHERE id = ANY(CAST(:ids AS uuid[])) AND state = 'collecting' AND firing_count = 0
""")


def take_back_duplicates(
    conn: Connection, firings: Sequence[NewFiring], window_ids: Sequence[UUID]
) -> dict[UUID, UUID]:
    """Takes them out of their windows, which were counted up, or even opened, for nothing.

    `window_ids` is parallel to `firings`. Returns firing id to the id of the earlier firing.
    """
    values = {
        "ids": uuid_array([firing.id for firing in firings]),
        "trigger_ids": uuid_array([firing.trigger.id for firing in firings]),
        "keys": text_array([firing.occurrence_key for firing in firings]),
    }
    duplicates = {row[0]: row[1] for row in conn.execute(FIND_RECORDED, values)}
    surplus = Counter(
        window_id for firing, window_id in zip(firings, window_ids, strict=True) if firing.id in duplicates
    )
    conn.execute(SHRINK_WINDOWS, {"ids": list(surplus), "surpluses": list(surplus.values())})
    conn.execute(DROP_EMPTY_WINDOWS, {"ids": list(surplus)})
    return duplicates
