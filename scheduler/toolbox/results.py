"""JSON Schemas of the tools' results, for clients that validate and for models."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from scheduler.manage.triggers.spec import settable_fields

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
TIME: Schema = {"type": ["string", "null"], "description": "RFC 3339, UTC; null: none."}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer"}
MAYBE_COUNT: Schema = {"type": ["integer", "null"]}
NUMBER: Schema = {"type": "number"}
MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
OBJECT: Schema = {"type": "object"}
MAYBE_OBJECT: Schema = {"type": ["object", "null"]}


def _object(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


BY_TYPE: Mapping[Any, Schema] = {
    str: TEXT,
    str | None: MAYBE_TEXT,
    int: COUNT,
    int | None: MAYBE_COUNT,
    float: NUMBER,
    float | None: MAYBE_NUMBER,
    bool: FLAG,
    datetime | None: TIME,
}
SETTINGS = {each.name: BY_TYPE[each.type] for each in settable_fields() if each.setting.for_agents}
TRIGGER = _object(
    {
        "id": TEXT,
        "name": TEXT,
        "type": TEXT,
        "config": OBJECT,
        "timezone": TEXT,
        "is_enabled": FLAG,
        "paused_note": MAYBE_TEXT,
        "is_yours_to_change": FLAG,
        "approval": MAYBE_TEXT,
        "next_fire_at": TIME,
        "fire_count": COUNT,
        **SETTINGS,
    },
    {"hook_url": TEXT, "note": TEXT, "next_fire_at_local": MAYBE_TEXT, "now": TEXT},
)
PREVIEW = _object({"fire_times": _list(TEXT), "notes": _list(_object({"at": TEXT, "kind": TEXT, "text": TEXT}))})
SENT = {"message_id": TEXT, "session_id": TEXT, "woke": FLAG}
NOTES = _object({"notes": TEXT, "characters": COUNT, "most": COUNT, "updated_at": TIME})

RESULTS: Mapping[str, Schema] = {
    "set_trigger": TRIGGER,
    "update_trigger": TRIGGER,
    "list_triggers": _object({"triggers": _list(TRIGGER), "more": FLAG}),
    "cancel_trigger": _object({"cancelled": TEXT, "name": TEXT}),
    "preview_trigger": PREVIEW,
    "get_firing": _object(
        {
            "id": TEXT,
            "trigger": _object({"id": TEXT, "name": TEXT, "type": TEXT}),
            "reason": TEXT,
            "focus_ref": MAYBE_TEXT,
            "fired_at": TIME,
            "scheduled_for": TIME,
            "trust": TEXT,
            "content_type": MAYBE_TEXT,
            "data": MAYBE_OBJECT,
        },
        {"payload": MAYBE_TEXT, "payload_base64": TEXT},
    ),
    "get_message": _object(
        {
            "id": TEXT,
            "session_id": TEXT,
            "from": _object({"type": TEXT, "id": TEXT}),
            "channel": TEXT,
            "created_at": TIME,
            "text": TEXT,
        }
    ),
    "list_invocations": _object(
        {
            "invocations": _list(
                _object(
                    {
                        "id": TEXT,
                        "state": TEXT,
                        "reason": MAYBE_TEXT,
                        "firing_count": COUNT,
                        "opened_at": TIME,
                        "due_at": TIME,
                        "held_reason": MAYBE_TEXT,
                        "started_at": TIME,
                        "finished_at": TIME,
                        "attempt": COUNT,
                    }
                )
            )
        }
    ),
    "ack_firing": _object({"firing_id": TEXT, "status": MAYBE_TEXT, "until": TIME}),
    "list_agents": _object(
        {
            "agents": _list(
                _object({"id": TEXT, "name": TEXT, "role": TEXT, "is_you": FLAG, "is_paused": FLAG, "kind": TEXT})
            ),
            "more": FLAG,
        }
    ),
    "wake_agent": _object({"firing_id": TEXT}),
    "send_message": _object(SENT, {"refused": TEXT}),
    "delegate": _object({"delegation_id": TEXT, "firing_id": TEXT, "expires_at": TIME, "note": TEXT}),
    "reply": _object({"delegation_id": TEXT, "to_agent": TEXT, **SENT}, {"refused": TEXT, "note": TEXT}),
    "read_notes": NOTES,
    "write_notes": NOTES,
}
