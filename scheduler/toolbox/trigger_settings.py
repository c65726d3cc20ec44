"""The fields of all triggers as agents set and see them, made of what each field says for agents, and times as they are
written: without an offset they are local time in the agent's zone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator, create_model

from scheduler.domain.local_time import in_zone, zone_info
from scheduler.manage.triggers.spec import SettableField, settable_fields
from scheduler.toolbox.base import Arguments, shown_time
from scheduler.triggers.registry import KINDS

FIELDS = tuple(each for each in settable_fields() if each.setting.for_agents)
CLEARED = frozenset(each.name for each in FIELDS if each.type == str | None)
"""Fields that null clears; for other fields null changes nothing."""

ArgumentsT = TypeVar("ArgumentsT", bound=Arguments)


def _moment(value: Any, parse: ValidatorFunctionWrapHandler) -> datetime:
    try:
        moment: datetime = parse(value)
    except ValidationError:
        raise ValueError("not a time; write it as 2030-01-31T09:00:00+01:00") from None
    return moment


Moment = Annotated[
    datetime,
    WrapValidator(_moment),
    Field(description="ISO 8601; without an offset it is local time in your zone."),
]


def aware(moment: datetime | None, zone: str) -> datetime | None:
    """Returns a time with its offset."""
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=zone_info(zone))


def local_config(kind: str, config: dict[str, Any], zone: str) -> dict[str, Any]:
    """Returns a config whose times have offsets. Kinds without such fields have their own zone."""
    fields = KINDS[kind].local_moments if kind in KINDS else ()
    given = {name: config[name] for name in fields if isinstance(config.get(name), str)}
    return config | {name: in_zone(moment, zone) for name, moment in given.items()}


def with_settings(name: str, base: type[ArgumentsT], *, is_new: bool) -> type[ArgumentsT]:
    """Returns `base` with the fields: of a trigger that is made, or of one that changes, where all can be left out."""
    settings: dict[str, Any] = {each.name: _argument(each, is_new=is_new) for each in FIELDS}
    return create_model(name, __base__=base, __doc__=base.__doc__, **settings)


def _argument(each: SettableField, *, is_new: bool) -> tuple[Any, Any]:
    said: dict[str, Any] = {"description": each.setting.for_agents, **each.setting.limits}
    (own,) = (part for part in get_args(each.type) or (each.type,) if part is not NoneType)
    if own is datetime:
        own = Moment
    if is_new and each.setting.required:
        return own, Field(**said)
    if is_new and each.default is not None:
        return own, Field(each.default, **said)
    return own | None, Field(None, **said)


def in_own_zone(given: Mapping[str, Any], zone: str) -> dict[str, Any]:
    """Returns `given` with times that have offsets."""
    return {name: aware(value, zone) if isinstance(value, datetime) else value for name, value in given.items()}


def shown_settings(trigger: object) -> dict[str, Any]:
    """Formats the fields of a trigger for an agent."""
    values = {each.name: getattr(trigger, each.name) for each in FIELDS}
    return {name: shown_time(value) if isinstance(value, datetime) else value for name, value in values.items()}
