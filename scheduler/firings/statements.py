"""The SQL statements that record firings, each for a whole batch of triggers and agents."""

from __future__ import annotations

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

OPEN_WINDOWS = text("""
    INSERT INTO invocations (id, tenant_id, agent_id, state, opened_at, due_at, firing_count)
    SELECT v.id, v.tenant_id, v.agent_id, 'collecting', :now, v.due_at, v.firing_count
    FROM unnest(CAST(:ids AS uuid[]), CAST(:tenant_ids AS uuid[]), CAST(:agent_ids AS uuid[]),
                CAST(:due_ats AS timestamptz[]), CAST(:counts AS int[]))
        AS v(id, tenant_id, agent_id, due_at, firing_count)
    ORDER BY v.agent_id
    ON CONFLICT (agent_id) WHERE state = 'collecting' DO UPDATE
    SET firing_count = invocations.firing_count + excluded.firing_count,
        -- A held window stays held: least() would wake it.
        due_at = CASE WHEN invocations.due_at IS NOT NULL THEN least(invocations.due_at, excluded.due_at) END
    RETURNING id, agent_id, due_at, firing_count
""")

CLOSE_FULL_WINDOWS = text("""
    UPDATE invocations SET due_at = :now WHERE id = ANY(CAST(:ids AS uuid[])) AND due_at IS NOT NULL
""")

DATAS = bindparam("datas", type_=ARRAY(JSONB(none_as_null=True)))

# Most firings leave most columns at their defaults; such a column is not sent, and `unnest` pads it with NULL.
_ARRAYS = """
    CAST(:ids AS uuid[]), CAST(:trigger_ids AS uuid[]), CAST(:keys AS text[]),
    CAST(:firsts AS timestamptz[]), CAST(:lasts AS timestamptz[]), CAST(:due_ats AS timestamptz[]),
    CAST(:counts AS int[]), CAST(:exacts AS bool[]), CAST(:content_types AS text[]), CAST(:payloads AS bytea[]),
    :datas, CAST(:trusts AS text[]), CAST(:invocation_ids AS uuid[]), CAST(:root_ids AS uuid[]), CAST(:depths AS int[])
"""
_NAMES = """
    firing_id, trigger_id, occurrence_key, first_scheduled_for, scheduled_for, due_at, slot_count, slots_exact,
    content_type, payload, data, trust, invocation_id, chain_root, chain_depth
"""
# A trigger that its agent created in a run belongs to that run's chain; the deeper position counts.
_INSERT = """
    INSERT INTO firings (id, tenant_id, agent_id, trigger_id, trigger_name, trigger_type, reason, focus_ref,
        occurrence_key, fired_at, first_scheduled_for, scheduled_for, due_at, slot_count, slots_exact,
        content_type, payload, data, trust, invocation_id, root_id, depth)
    SELECT firing_id, tenant_id, agent_id, trigger_id, name, type, reason, focus_ref,
        occurrence_key, :now, first_scheduled_for, scheduled_for, due_at, coalesce(slot_count, 1),
        coalesce(slots_exact, true), content_type, payload, data, coalesce(trust, 'system'), invocation_id,
        CASE WHEN coalesce(chain_depth, 0) < depth THEN coalesce(root_id, firing_id)
            ELSE coalesce(chain_root, root_id, firing_id) END,
        greatest(chain_depth, depth)
"""
INSERT = f"""
    {_INSERT}
    FROM unnest({_ARRAYS}) AS v({_NAMES}) JOIN triggers t ON t.id = v.trigger_id
"""  # constants from our own code
INSERT_FIRINGS = text(INSERT).bindparams(DATAS)
# ON CONFLICT looks up every row twice, a fifth of a pass; so it is only used after a conflict.
INSERT_NEW_FIRINGS = text(f"{INSERT} ON CONFLICT (trigger_id, occurrence_key) DO NOTHING").bindparams(DATAS)

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

_COUNT = """
    UPDATE triggers t
    SET fire_count = t.fire_count + v.fires, last_fired_at = :now, last_wake_at = v.wake_at,
        is_enabled = NOT v.exhausted, paused_note = CASE WHEN v.exhausted THEN 'max_fires' END
"""
COUNT_TRIGGERS = text(f"""
    {_COUNT}
    FROM unnest(CAST(:counted AS uuid[]), CAST(:fires AS int[]), CAST(:wakes AS timestamptz[]),
            CAST(:exhausted AS bool[])) AS v(id, fires, wake_at, exhausted)
    WHERE t.id = v.id
""")
RECORD_ONCE_EACH = text(f"""
    WITH counted AS (
        {_COUNT}
        FROM unnest({_ARRAYS}, CAST(:fires AS int[]), CAST(:wakes AS timestamptz[]), CAST(:exhausted AS bool[]))
            AS v({_NAMES}, fires, wake_at, exhausted)
        WHERE t.id = v.trigger_id
        RETURNING v.*, t.tenant_id, t.agent_id, t.name, t.type, t.reason, t.focus_ref,
            t.root_id, t.depth
    )
    {_INSERT}
    FROM counted
""").bindparams(DATAS)
"""Both at once when each trigger has one firing: each row is looked up once."""
