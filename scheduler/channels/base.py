"""The interface of channel kinds: how to read the sender and messages of a provider's event."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, ClassVar, NoReturn, Protocol, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from scheduler.domain.errors import BadSignature, InvalidField, ReveilleError
from scheduler.domain.field_errors import message_of
from scheduler.domain.shapes import NamesFields
from scheduler.domain.signatures import SignedRequest
from scheduler.domain.signatures.model import Rejected, TimeWindow

TOLERANCE_SECONDS = 300
"""How far a signed timestamp may differ from our clock, in either direction."""

Json: TypeAlias = dict[str, Any]

Id = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[!-~]+$")]
"""A provider's id of a person, a conversation or a message: printable ASCII."""


def _not_blank(secret: str) -> str:
    if not (secret.isascii() and secret.isprintable() and secret == secret.strip()):
        raise ValueError("must be printable ASCII without spaces around it, as the provider shows it")
    return secret


Secret = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_not_blank)]


class UnreadableEvent(ReveilleError):
    """The event is not a JSON object."""

    status = 400
    problem = "malformed-body"


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A received message. The ids are the provider's own."""

    message_id: str
    """Identifies it among the channel's messages; the same in each retry of its event."""
    user_id: str
    conversation_id: str
    """The chat, room or thread that it was written in."""
    text: str
    user_name: str | None = None
    """The provider's display name of the sender, if the event has one."""
    is_bot: bool = False


@dataclass(frozen=True, slots=True)
class Parsed:
    """The messages of an event, or why it has none; and the JSON response for its provider."""

    messages: tuple[IncomingMessage, ...] = ()
    ignored: str | None = None
    answer: Json = field(default_factory=dict)


class ChannelKind(Protocol):
    """A provider with one channel's secrets. It does no I/O and keeps no state between events."""

    kind: ClassVar[str]

    @classmethod
    def open(cls, secrets: Mapping[str, Any]) -> Self:
        """Creates it with a channel's secrets; raises InvalidField on `secrets.NAME`."""
        ...

    def verify(self, request: SignedRequest, now: datetime) -> Json:
        """Verifies that the provider sent the request recently, and returns its event.

        Raises BadSignature with a reason that reveals no content; UnreadableEvent for a correctly signed body that
        is not a JSON object.
        """
        ...

    def handshake(self, event: Json) -> Json | None:
        """Returns the response that proves to the provider that this address is ours, if `event` asks for it."""
        ...

    def parse(self, event: Json) -> Parsed:
        """Returns the messages in an event. Never raises: unknown content is ignored, with the reason."""
        ...


class ChannelSecrets(NamesFields):
    """The `secrets` of a channel in the API, stored encrypted."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    @classmethod
    def open(cls, secrets: Mapping[str, Any]) -> Self:
        """Checks the secrets' shape; raises InvalidField on `secrets.NAME`."""
        try:
            return cls.model_validate(dict(secrets))
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            path = ".".join(["secrets", *(str(part) for part in first["loc"])])
            raise InvalidField(f"{path}: {message_of(first)}.", field=path) from None

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return []  # keeps secrets out of logs


class EventShape(BaseModel):
    """The part of a provider's event that we read.

    Unknown fields are ignored, as providers add fields at any time.
    """

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


def window(now: datetime) -> TimeWindow:
    """The time window for signed timestamps."""
    return TimeWindow(now.timestamp(), TOLERANCE_SECONDS)


@contextmanager
def as_bad_signature() -> Iterator[None]:
    """Converts a rejection inside the block to BadSignature."""
    try:
        yield
    except Rejected as rejected:
        raise BadSignature(f"The event is not accepted: {rejected}.") from None


def parse_object(body: bytes) -> Json:
    """Parses the JSON object in `body` (RFC 8259: UTF-8, no NaN). Raises UnreadableEvent.

    Lone surrogates, which JSON can express and nothing can store, become question marks.
    """
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
        if b"\\u" in body:
            value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise UnreadableEvent("The body is not JSON in UTF-8.") from None
    if not isinstance(value, Mapping):
        raise UnreadableEvent("The body is JSON, but not an object.")
    return dict(value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
