"""The base class of trigger kinds, and functions on configs that all kinds share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, ClassVar
from uuid import UUID

from loguru import logger
from pydantic import BaseModel, ConfigDict, ValidationError

from scheduler.domain.errors import InvalidField, ReveilleError, stops_process
from scheduler.domain.json_values import check_storable
from scheduler.domain.permissions import NOTHING_PERMITTED, Permitted
from scheduler.domain.schedule import Schedule
from scheduler.triggers.field_names import by_new_names, fields_of
from scheduler.triggers.options import Option
from scheduler.triggers.zones import load_zone


def any_request(url: str, headers: Mapping[str, str]) -> None:
    """Accepts any request: for a config that is only previewed."""


def any_server(host: str, port: int, own_port: int) -> None:
    """Refuses nothing: for a config that is only displayed."""


def as_given(field: str, reference: str) -> str:  # noqa: ARG001
    """Returns the reference unchanged: for a config whose trigger need not exist."""
    return reference


@dataclass(frozen=True)
class CheckContext:
    """The context in which a config is checked beyond its shape."""

    now: datetime
    min_poll_interval_min: int = 5
    """The higher of the agent's and the tenant's minimum, in minutes."""
    max_webhook_body_bytes: int = 1024 * 1024
    """The tenant's size limit for webhook bodies."""
    agent_id: UUID | None = None
    """The agent of the trigger; None for one that need not exist."""
    permitted: Permitted = NOTHING_PERMITTED
    """The operator's permissions."""
    by_agent: bool = False
    """Whether an agent creates or changes it itself."""
    find: Callable[[str, str], str] = as_given
    """Resolves `(field, id or name)` to an id in the agent's tenant; raises InvalidField on that field."""
    check_request: Callable[[str, Mapping[str, str]], None] = any_request
    """Raises InvalidField on `url` or `headers` for requests that the service never makes."""
    check_server: Callable[[str, int, int], None] = any_server
    """Refuses with InvalidField, on `host`, a host and port that may not be connected to; the third argument is the
    protocol's own port."""


class TriggerConfig(BaseModel):
    """A kind of trigger: everything that Reveille needs to know about it, and the model of its `config`.

    A subclass is listed in the registry, or found by the entry-point group `reveille.triggers`. The API, the web
    forms, the command line and the tools of agents read it. Unknown fields are refused and nothing is coerced. The
    fields' titles, descriptions and examples become the JSON Schema, the web form and the text for agents.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    kind: ClassVar[str]
    """The `type` of its triggers."""
    label: ClassVar[str]
    """Its display name, such as "Cron schedule"."""
    summary: ClassVar[str]
    """When it fires, in one sentence for people."""
    for_agents: ClassVar[str] = ""
    """A config example and when it fires, in one line for agents; empty: derived from the fields."""
    icon: ClassVar[str] = "M-5 0 0-5 5 0 0 5Z"
    """The path of its icon: SVG path data within -6..6 on both axes."""
    docs: ClassVar[str] = ""
    """Its documentation: a path in this repository, or a URL."""
    secrets: ClassVar[tuple[str, ...]] = ()
    """Dotted paths in the config that are stored encrypted and never shown again."""
    main_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that a form shows at once; the others are collapsed."""
    options: ClassVar[tuple[Option, ...]] = ()
    """The command-line options for the config's fields."""
    checked_by: ClassVar[str | None] = None
    """`module:function`, a Check (scheduler/intake/checks.py), for a kind whose due slot checks something."""
    is_offered: ClassVar[bool] = True
    """Whether people and agents may create triggers of this kind; otherwise only Reveille does."""
    is_listed: ClassVar[bool] = True
    """Whether its triggers are listed with an agent's triggers."""
    can_try: ClassVar[bool] = False
    """Whether a form can try out the check."""
    has_address: ClassVar[bool] = False
    """Whether each trigger has its own address, `POST /hooks/{token}`."""
    needs_permission: ClassVar[bool] = False
    """Whether agents may create triggers of this kind only with the operator's permission (REVEILLE_AGENT_KINDS)."""
    renewed_by: ClassVar[str | None] = None
    """The field that needs a new value when a trigger has nothing left to fire; None: any may help."""
    forgets_while_paused: ClassVar[bool] = False
    """Whether events during a pause are ignored after the resume."""
    keeps_pace: ClassVar[bool] = True
    """Whether firings of agent-created triggers keep the agent's pace; messages of people have their own limits."""
    local_moments: ClassVar[tuple[str, ...]] = ()
    """Time fields that an agent may write without an offset, which then means local time in its zone."""
    data_headings: ClassVar[Mapping[str, Mapping[str, str]]] = MappingProxyType({})
    """The headings for members of a firing's `data` in the context: language → member → heading."""

    @property
    def own_zone(self) -> str | None:
        """Returns the time zone that the config itself names."""
        found: str | None = getattr(self, "timezone", None)
        return found

    @classmethod
    def in_words(cls, config: Mapping[str, Any]) -> str:  # noqa: ARG003
        """Describes when a config fires; empty when the config is self-explanatory or invalid."""
        return ""

    def check(self, context: CheckContext) -> None:
        """Raises InvalidField for what the kind does not allow although the shape does."""

    def resolved(self, context: CheckContext) -> Mapping[str, Any]:
        """Returns the config to store, e.g. with an id in place of a name. Raises InvalidField."""
        return {}

    def schedule(self, zone: str, anchor: datetime, seed: UUID | None) -> Schedule | None:
        """Returns the slots in `zone`, counted from `anchor`; None for a kind without a native job.

        `seed` is the trigger's id, which determines its jitter; None for one that need not exist.
        """
        return None

    def step(self) -> timedelta | None:
        """Returns the distance of its slots on an even grid; None if uneven. A change of it moves the grid."""
        return None

    def first_run(self, schedule: Schedule, now: datetime) -> datetime | None:
        """Returns the next run of a trigger created, changed or resumed at `now`."""
        return schedule.next_after(now)

    def no_slot(self, zone: str, anchor: datetime, now: datetime) -> InvalidField:
        """Returns the error text for a config that has no slot after `now`."""
        return InvalidField("The trigger would never fire.")


def parse_config(kind: type[TriggerConfig], config: Mapping[str, Any], context: CheckContext) -> TriggerConfig:
    """Parses and validates a config of `kind`; raises InvalidField naming `config.FIELD`."""
    with faults_of(kind.kind):
        parsed = _validated(kind, config)
    if kind.needs_permission and context.by_agent and kind.kind not in context.permitted.agent_kinds:
        raise InvalidField(
            f"Agents may not create triggers of type {kind.kind} here: a person can, or the operator can allow it with "
            "REVEILLE_AGENT_KINDS.",
            field="type",
        )
    with faults_of(kind.kind), _fields_of_config():
        parsed.check(context)
    return parsed


def _validated(kind: type[TriggerConfig], config: Mapping[str, Any]) -> TriggerConfig:
    try:
        return kind.model_validate(dict(config))
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(["config", *(str(part) for part in first["loc"])])
        said = f"{path}: {first['msg'].removeprefix('Value error, ').rstrip('.')}."
        if first["type"] in {"missing", "extra_forbidden"} and len(first["loc"]) == 1:
            fields = dict(fields_of(kind))
            known = sorted(fields, key=lambda name: not fields[name].is_required())
            said += f" A config of type {kind.kind} can have: {', '.join(known) or 'nothing'}."
        raise InvalidField(said, field=path) from None


def resolve_config(parsed: TriggerConfig, config: Mapping[str, Any], context: CheckContext) -> dict[str, Any]:
    """Returns the stored form of `config`, which `parsed` was made from; raises InvalidField naming
    `config.FIELD`.
    """
    with faults_of(parsed.kind), _fields_of_config():
        whole = by_new_names(type(parsed), config) | dict(parsed.resolved(context))
        check_storable(whole)
        return whole


def zone_for(config: TriggerConfig, otherwise: str) -> str:
    """Returns the time zone that a config names itself, else `otherwise`. Raises InvalidField for an unknown one."""
    with faults_of(config.kind), _fields_of_config():
        own = config.own_zone
        return otherwise if own is None else load_zone(own).key


def first_run(
    config: TriggerConfig, zone: str, seed: UUID, now: datetime, *, anchor: datetime | None = None
) -> datetime | None:
    """Returns when a trigger created or changed at `now` runs first; None without a native job.

    Raises InvalidField naming `config.FIELD` when it would never run. Slots count from `anchor`, else from `now`.
    """
    with faults_of(config.kind):
        schedule = config.schedule(zone, anchor or now, seed)
        if schedule is None:
            return None
        first = first_slot(config, schedule, now)
        if first is None:
            raise _never_fires(config, zone, anchor or now, now)
        return first


def first_slot(config: TriggerConfig, schedule: Schedule, now: datetime) -> datetime | None:
    """Returns the next run of `config`, created, changed or resumed at `now`.

    Raises KindDefect when that is not a time.
    """
    with faults_of(config.kind):
        first = config.first_run(schedule, now)
        if first is not None and first.utcoffset() is None:
            raise TypeError("the time of a slot has no zone")
        return first


def _never_fires(config: TriggerConfig, zone: str, anchor: datetime, now: datetime) -> InvalidField:
    error = config.no_slot(zone, anchor, now)
    return InvalidField(error.message, field=f"config.{error.field}" if error.field else "config")


class KindDefect(InvalidField):
    """A kind raised something other than a refusal, which is a defect of its package."""


@contextmanager
def faults_of(kind_name: str) -> Iterator[None]:
    """Raises KindDefect on `config` for anything that a kind raises in the block except refusals and database
    errors.
    """
    try:
        yield
    except ReveilleError:
        raise
    except BaseException as error:
        from sqlalchemy.exc import SQLAlchemyError  # only now: `preview` starts without it

        if stops_process(error) or isinstance(error, SQLAlchemyError):
            raise
        logger.opt(exception=error).warning("The kind {} failed unexpectedly", kind_name)
        said = (
            f"The kind {kind_name} cannot take this config: its code raised {type(error).__name__}; see the log."
        )
        raise KindDefect(said, field="config") from None


@contextmanager
def _fields_of_config() -> Iterator[None]:
    try:
        yield
    except InvalidField as error:
        path = f"config.{error.field}" if error.field else "config"
        raise InvalidField(error.message, field=path) from None


def split_secrets(kind: type[TriggerConfig], config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns `config` without its secrets, and the secrets by dotted path."""
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
    """Returns the whole config; drops secrets whose parent is no longer in the config."""
    whole = _copy(config)
    for path, value in secrets.items():
        *parents, last = path.split(".")
        holder: Any = whole
        for parent in parents:
            holder = holder.get(parent) if isinstance(holder, dict) else None
        if isinstance(holder, dict):
            holder.setdefault(last, value)
    return whole


def _copy(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(item) if isinstance(item, Mapping) else item for key, item in value.items()}
