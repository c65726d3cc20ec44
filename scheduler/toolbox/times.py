"""Times as agents write them: without an offset they are local time of the agent's zone."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from scheduler.domain.local_time import in_zone, zone_info


def _moment(value: Any, parse: ValidatorFunctionWrapHandler) -> datetime:
    try:
        moment: datetime = parse(value)
    except ValidationError:
        raise ValueError("no time; write it as 2030-01-31T09:00:00+01:00") from None
    return moment


Moment = Annotated[
    datetime,
    WrapValidator(_moment),
    Field(description="ISO 8601; without an offset it is local time of your zone."),
]


def aware(moment: datetime | None, zone: str) -> datetime | None:
    """A time with its offset."""
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=zone_info(zone))


def local_config(kind: str, config: dict[str, Any], zone: str) -> dict[str, Any]:
    """A config whose moment has its offset; those of other kinds have a zone of their own."""
    at = config.get("at")
    return config | {"at": in_zone(at, zone)} if kind == "once" and isinstance(at, str) else config
