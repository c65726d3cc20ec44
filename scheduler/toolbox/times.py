"""Reads times as agents write them: without an offset they are local time in the agent's zone."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from scheduler.domain.local_time import in_zone, zone_info
from scheduler.triggers.registry import KINDS


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
