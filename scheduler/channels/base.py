"""Defines what a kind of channel must read from an event: its sender, and its messages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, ClassVar, NoReturn, Protocol, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from scheduler.domain.errors import BadSignature, InvalidField, ReveilleError
from scheduler.domain.signatures import SignedRequest
from scheduler.domain.signatures.model import Rejected, TimeWindow

TOLERANCE_SECONDS = 300
"""How far a signed timestamp may lie from our clock, on either side."""

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
    """What somebody wrote. The ids are the provider's own."""

    message_id: str
    """Tells it from every other message of the channel; the same in each retry of its event."""
    user_id: str
    conversation_id: str
    """The chat, room or thread that it was written in."""
    text: str
    user_name: str | None = None
    """How the provider shows the writer, where the event says so."""
    is_bot: bool = False


@dataclass(frozen=True, slots=True)
class Parsed:
    """The messages of an event, or why it holds none; and the JSON that its provider is to be answered."""

    messages: tuple[IncomingMessage, ...] = ()
    ignored: str | None = None
    answer: Json = field(default_factory=dict)


class ChannelKind(Protocol):
    """A provider, holding one channel's secrets. It does no I/O and keeps nothing between events."""

    kind: ClassVar[str]

    @classmethod
    def open(cls, secrets: Mapping[str, Any]) -> Self:
        """With one channel's secrets; raises InvalidField on `secrets.NAME`."""
        ...

    def verify(self, request: SignedRequest, now: datetime) -> Json:
        """The event in a request, once it is sure that the provider sent it, and sent it lately.

        Raises BadSignature, saying why and nothing of the content; UnreadableEvent for what is well signed and no
        JSON object.
        """
        ...

    def handshake(self, event: Json) -> Json | None:
        """The answer by which the provider knows that this address is ours, when `event` asks for it."""
        ...

    def parse(self, event: Json) -> Parsed:
        """The messages in an event. Never raises: what is not known is ignored, with the reason."""
        ...


class ChannelSecrets(BaseModel):
    """What a channel of a kind is made with: `secrets` in the API, stored encrypted."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    @classmethod
    def open(cls, secrets: Mapping[str, Any]) -> Self:
        """Check the secrets' shape; raises InvalidField on `secrets.NAME`."""
        try:
            return cls.model_validate(dict(secrets))
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            path = ".".join(["secrets", *(str(part) for part in first["loc"])])
            raise InvalidField(f"{path}: {first['msg'].removeprefix('Value error, ')}.", field=path) from None

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return []  # no secret ends in a log


class EventShape(BaseModel):
    """As much of a provider's event as we read. They add fields at any time."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


def window(now: datetime) -> TimeWindow:
    """Within which a signed timestamp must lie."""
    return TimeWindow(now.timestamp(), TOLERANCE_SECONDS)


@contextmanager
def proving() -> Iterator[None]:
    """Raise BadSignature for one that is rejected inside."""
    try:
        yield
    except Rejected as rejected:
        raise BadSignature(f"The event is not accepted: {rejected}.") from None


def parse_object(body: bytes) -> Json:
    """The JSON object in `body` (RFC 8259: UTF-8, no NaN). Raises UnreadableEvent.

    Half a surrogate pair, which JSON can escape and nothing can store, becomes a question mark.
    """
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
        if b"\\u" in body:
            value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise UnreadableEvent("The body is not JSON in UTF-8.") from None
    if not isinstance(value, Mapping):
        raise UnreadableEvent("The body is JSON, but no object.")
    return dict(value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
