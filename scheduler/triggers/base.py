"""What a trigger kind is, and the handling of configs that all kinds share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from scheduler.domain.errors import InvalidField
from scheduler.domain.misfire import Schedule
from scheduler.domain.model import TriggerType


def any_request(url: str, headers: Mapping[str, str]) -> None:
    """Refuse nothing: for a config that is only looked at, never requested."""


def as_given(field: str, reference: str) -> str:  # noqa: ARG001
    """Refer to nothing: for a config whose trigger need not exist."""
    return reference


@dataclass(frozen=True)
class CheckContext:
    """What the rules beyond a config's shape depend on."""

    now: datetime
    min_poll_interval_min: int = 5
    """The larger of the agent's and the tenant's floor, in minutes."""
    agent_id: UUID | None = None
    """Whose trigger it is; None for one that need not exist."""
    find: Callable[[str, str], str] = as_given
    """The id of what `(field, id or name)` refers to in the agent's tenant; raises InvalidField on that field."""
    check_request: Callable[[str, Mapping[str, str]], None] = any_request
    """Refuses with InvalidField, on `url` or `headers`, what the service will not request from anyone."""


class TriggerConfig(BaseModel):
    """One kind of trigger: its `config` as a shape, the rules beyond the shape, and how it is scheduled.

    A subclass is listed once in the registry. Nothing unknown is accepted and nothing coerced.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    kind: ClassVar[TriggerType]
    secrets: ClassVar[tuple[str, ...]] = ()
    """Dotted paths in the config that are stored encrypted and never shown again."""
    checks: ClassVar[bool] = False
    """Whether a due slot only looks if there is something to fire: scheduler/intake/checks.py says how."""
    is_system: ClassVar[bool] = False
    """Whether only the system makes triggers of this kind."""

    def check(self, context: CheckContext) -> None:
        """Refuse with InvalidField what the shape allows and the kind does not."""

    def resolved(self, context: CheckContext) -> Mapping[str, Any]:
        """What to store in place of what was given, e.g. an id for a name. Raises InvalidField."""
        return {}

    def schedule(self, zone: str, anchor: datetime, seed: UUID | None) -> Schedule | None:
        """The slots in `zone`, counted from `anchor`; None for a kind without a native job.

        `seed` is the trigger's id, by which its jitter is its own; None for one that need not exist.
        """
        return None

    def first_run(self, schedule: Schedule, now: datetime) -> datetime | None:
        """When a trigger made, changed or resumed at `now` runs next."""
        return schedule.next_after(now)

    def no_slot(self, zone: str, anchor: datetime, now: datetime) -> InvalidField:
        """What to say of a config that has no slot after `now`."""
        return InvalidField("The trigger would never fire.")


def parse_config(kind: type[TriggerConfig], config: Mapping[str, Any], context: CheckContext) -> TriggerConfig:
    """The validated config of `kind`; raises InvalidField naming `config.FIELD`."""
    try:
        parsed = kind.model_validate(dict(config))
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(["config", *(str(part) for part in first["loc"])])
        said = f"{path}: {first['msg'].removeprefix('Value error, ').rstrip('.')}."
        if first["type"] in {"missing", "extra_forbidden"} and len(first["loc"]) == 1:
            known = sorted(kind.model_fields, key=lambda name: not kind.model_fields[name].is_required())
            said += f" A config of type {kind.kind} can have: {', '.join(known) or 'nothing'}."
        raise InvalidField(said, field=path) from None
    with _fields_of_config():
        parsed.check(context)
    return parsed


def resolve_config(parsed: TriggerConfig, config: Mapping[str, Any], context: CheckContext) -> dict[str, Any]:
    """`config`, which `parsed` was made from, as it is stored; raises InvalidField naming `config.FIELD`."""
    with _fields_of_config():
        return dict(config) | dict(parsed.resolved(context))


def first_run(config: TriggerConfig, zone: str, seed: UUID, now: datetime) -> datetime | None:
    """When a trigger made or changed at `now` runs first; None for a kind without a native job.

    Raises InvalidField naming `config.FIELD` when it never would.
    """
    schedule = config.schedule(zone, now, seed)
    if schedule is None:
        return None
    first = config.first_run(schedule, now)
    if first is None:
        with _fields_of_config():
            raise config.no_slot(zone, now, now)
    return first


@contextmanager
def _fields_of_config() -> Iterator[None]:
    try:
        yield
    except InvalidField as error:
        path = f"config.{error.field}" if error.field else "config"
        raise InvalidField(error.message, field=path) from None


def split_secrets(kind: type[TriggerConfig], config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`config` without its secrets, and the secrets by dotted path."""
    public = _copy(config)
    found: dict[str, Any] = {}
    for path in kind.secrets:
        *parents, last = path.split(".")
        holder: Any = public
        for parent in parents:
            holder = holder.get(parent) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and last in holder:
            found[path] = holder.pop(last)
    return public, found


def join_secrets(config: Mapping[str, Any], secrets: Mapping[str, Any]) -> dict[str, Any]:
    """The whole config again; a secret whose holder is gone from the config is dropped."""
    whole = _copy(config)
    for path, value in secrets.items():
        *parents, last = path.split(".")
        holder: Any = whole
        for parent in parents:
            holder = holder.get(parent) if isinstance(holder, dict) else None
        if isinstance(holder, dict):
            holder.setdefault(last, value)
    return whole


def merge_patch(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """JSON Merge Patch (RFC 7396): null removes a member, objects merge, anything else replaces."""
    merged = dict(target)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            held = merged.get(key)
            merged[key] = merge_patch(held if isinstance(held, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


def _copy(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(item) if isinstance(item, Mapping) else item for key, item in value.items()}
