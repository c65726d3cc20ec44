"""Base classes of all resources' shapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from scheduler.domain.errors import InvalidField
from scheduler.domain.ids import parse_id
from scheduler.domain.local_time import parse_duration, read_iso
from scheduler.domain.shapes import NamesFields, Shape
from scheduler.domain.text import is_visible
from scheduler.manage.triggers.spec import LONGEST_SECONDS
from scheduler.storage.read_models.spans import Span
from scheduler.triggers.once import parse_moment
from scheduler.triggers.zones import load_zone

DAY = timedelta(days=1, microseconds=-1)
LONGEST_DAY = len("2030-01-31")
UNESCAPED_OFFSET = re.compile(r"(\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?) (\d\d:?\d\d)$")
"""An offset whose plus sign was not escaped as %2B in the address and arrives as a space."""
BARE_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,3})?", re.ASCII)
DEFAULT_LIMIT = 50
MAX_LIMIT = 200


class Answer(BaseModel):
    """The base of responses. Built from any object or row with these attributes."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Query(NamesFields):
    """The base of query parameters. Unknown ones are refused, as a mistyped filter would return too much."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def id_of(what: str) -> BeforeValidator:
    """Returns a validator of ids in paths: an invalid UUID cannot be the id of a `what`, so 404."""

    def parse(value: object) -> UUID:
        return parse_id(str(value), what)

    return BeforeValidator(parse)


def one_of(values: Collection[str]) -> AfterValidator:
    """Returns the validator of a text that must be one of these."""

    def check(value: str) -> str:
        if value not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return value

    return AfterValidator(check)


def no_defaults(schema: dict[str, Any]) -> None:
    """Removes defaults from the documentation of a PATCH, where omitted fields stay unchanged."""
    for field in schema.get("properties", {}).values():
        field.pop("default", None)


def _zone(value: str) -> str:
    try:
        load_zone(value)
    except InvalidField as error:
        raise ValueError(error.message) from None
    return value


def _moment(value: object) -> datetime:
    return _parsed(value, parse_moment)


def local_moment(value: object) -> datetime:
    """Parses a time that may be local, without an offset."""
    return _parsed(value, read_iso)


def _from_moment(value: object) -> datetime:
    return _moment(UNESCAPED_OFFSET.sub(r"\1+\2", value) if isinstance(value, str) else value)


def _to_moment(value: object) -> datetime:
    moment = _from_moment(value)
    return moment + DAY if isinstance(value, str) and len(value) <= LONGEST_DAY else moment


def _parsed(value: object, parse: Callable[[str], datetime]) -> datetime:
    if not isinstance(value, str):
        raise ValueError("must be a string such as 2030-01-31T09:00:00Z")
    try:
        moment = parse(value)
    except (ValueError, OverflowError):
        raise ValueError("is not a date or time of RFC 3339, such as 2030-01-31T09:00:00Z") from None
    if not 1970 <= moment.year < 9999:
        raise ValueError("must lie in the years 1970 to 9998")
    return moment


def _visible(value: str) -> str:
    if not is_visible(value) or value != value.strip():
        raise ValueError("must be printable, without spaces around it")
    return value


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    seconds = parse_duration(value)
    if seconds is None and not BARE_SECONDS.fullmatch(value):
        raise ValueError("must be a number of seconds, or a text such as 90s, 15m, 2h or 1d")
    return float(value) if seconds is None else seconds


def rfc3339(moment: datetime) -> str:
    """Formats `2030-01-31T09:00:00Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_visible)]
Note = Annotated[str, StringConstraints(max_length=500)]
Text = Annotated[str, StringConstraints(max_length=10_000)]
TokensPerDay = Annotated[int, Field(ge=1, le=10**15)]
MonthlyCost = Annotated[float, Field(gt=0, le=10**12, allow_inf_nan=False)]
InvocationsPerHour = Annotated[int, Field(ge=1, le=1_000_000)]
Expected = Annotated[float, BeforeValidator(_seconds), Field(ge=1, le=LONGEST_SECONDS)] | None
Zone = Annotated[
    str, StringConstraints(min_length=1, max_length=100), AfterValidator(_zone), Field(examples=["Europe/Berlin"])
]
Moment = Annotated[datetime, BeforeValidator(_moment), Field(description="RFC 3339; without an offset it is UTC.")]
LocalMoment = Annotated[
    datetime,
    BeforeValidator(local_moment),
    Field(description="RFC 3339; without an offset it is local time in the requested zone, else UTC."),
]
Searched = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Time = Annotated[
    datetime, PlainSerializer(rfc3339, return_type=str), Field(json_schema_extra={"format": "date-time"})
]

ItemT = TypeVar("ItemT")


class Page(Query):
    """Paging, newest first."""

    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)
    after: UUID | None = Field(
        None, description="The `next` of the previous page, which is the id of its last item."
    )


class SpanPage(Page):
    """Paging within a span of time, whose ends are inclusive."""

    since: Annotated[datetime, BeforeValidator(_from_moment)] | None = Field(
        None, alias="from", description="RFC 3339; without an offset it is UTC, and a date starts at midnight."
    )
    until: Annotated[datetime, BeforeValidator(_to_moment)] | None = Field(
        None, alias="to", description="The same; a date includes the whole day."
    )

    @field_validator("until")
    @classmethod
    def _in_order(cls, until: datetime | None, info: ValidationInfo) -> datetime | None:
        since = info.data.get("since")
        if since and until and since > until:
            raise ValueError("must not be before from")
        return until

    @property
    def span(self) -> Span:
        """From when to when."""
        return Span(self.since, self.until)


class Listed(Answer, Generic[ItemT]):
    """One page; `next` is null on the last."""

    items: list[ItemT]
    next: str | None = None


class OptionalBody(Shape):
    """An optional body."""

    @model_validator(mode="before")
    @classmethod
    def _absent(cls, value: object) -> object:
        return {} if value is None else value


class NoteIn(OptionalBody):
    """The reason for a pause. The whole body is optional."""

    note: Note | None = None
