"""Discord's interactions endpoint: slash commands (docs.discord.com/developers/interactions)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field, StringConstraints, ValidationError

from scheduler.channels.base import (
    ChannelSecrets,
    EventShape,
    Id,
    IncomingMessage,
    Json,
    Parsed,
    as_bad_signature,
    parse_object,
    window,
)
from scheduler.domain.signatures import SignedRequest
from scheduler.domain.signatures.model import Rejected, header, text_bytes

SIGNATURE = "X-Signature-Ed25519"
TIMESTAMP = "X-Signature-Timestamp"


PING, COMPONENT, AUTOCOMPLETE = 1, 3, 4
"""The types of interactions besides a command's, which is 2."""
SUBCOMMANDS = frozenset({1, 2})
"""The types of options that belong to the command's name; the others are its arguments."""

PONG: Json = {"type": 1}
NOTHING_CHANGES: Json = {"type": 6}
NO_CHOICES: Json = {"type": 8, "data": {"choices": []}}


class _User(EventShape):
    id: Id
    username: str | None = None
    global_name: str | None = None
    bot: bool = False


class _Member(EventShape):
    user: _User
    nick: str | None = None


class _Option(EventShape):
    name: str
    type: int
    value: str | int | float | bool | None = None
    options: list[_Option] = Field(default_factory=list)


class _SlashCommand(EventShape):
    type: Literal[1]
    name: str
    options: list[_Option] = Field(default_factory=list)


class _Interaction(EventShape):
    type: Literal[2]
    id: Id
    channel_id: Id
    data: _SlashCommand
    member: _Member | None = None
    user: _User | None = None


class DiscordChannel(ChannelSecrets):
    """A Discord app.

    A command is acknowledged at once, visibly to its sender only, as an agent takes longer than 3 s.
    """

    kind: ClassVar = "discord"

    public_key: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{64}$")]

    def verify(self, request: SignedRequest, now: datetime) -> Json:
        """Verifies Ed25519 over timestamp and body.

        Discord tests at any time whether a wrong signature gets a 401.
        """
        with as_bad_signature():
            timestamp = header(request, TIMESTAMP)
            window(now).check(timestamp)
            if not self._signed(header(request, SIGNATURE), text_bytes(timestamp) + request.body):
                raise Rejected(f"{SIGNATURE} is not a signature made with the app's key")
        return parse_object(request.body)

    def handshake(self, event: Json) -> Json | None:
        """Answers PING with PONG."""
        return PONG if event.get("type") == PING else None

    def parse(self, event: Json) -> Parsed:
        """Returns a slash command. Anything else is acknowledged and ignored."""
        if event.get("type") == AUTOCOMPLETE:
            return Parsed(ignored="it asks for completions", answer=NO_CHOICES)
        if event.get("type") == COMPONENT:
            return Parsed(ignored="it is a click, not a command", answer=NOTHING_CHANGES)
        try:
            found = _Interaction.model_validate(event)
        except ValidationError:
            return Parsed(ignored="it is not a slash command", answer=_tell("Only slash commands are supported."))
        return _parsed(found)

    def _signed(self, signature: str, content: bytes) -> bool:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public_key))
        try:
            key.verify(bytes.fromhex(signature), content)
        except (InvalidSignature, ValueError):
            return False
        return True


def _parsed(event: _Interaction) -> Parsed:
    user = event.member.user if event.member else event.user
    if user is None:
        return Parsed(ignored="it does not name its sender", answer=_tell("The sender is unknown."))
    message = IncomingMessage(
        message_id=event.id,
        user_id=user.id,
        conversation_id=event.channel_id,
        text=_text(event.data),
        user_name=(event.member and event.member.nick) or user.global_name or user.username,
        is_bot=user.bot,
    )
    return Parsed((message,), answer=_tell("Passed on."))


def _text(command: _SlashCommand) -> str:
    """Returns the value of the only argument, else the command as typed: `/deploy to env:prod force:true`."""
    words, options = [f"/{command.name}"], command.options
    while len(options) == 1 and options[0].type in SUBCOMMANDS:
        words.append(options[0].name)
        options = options[0].options
    if len(options) == 1:
        return _shown(options[0].value)
    return " ".join([*words, *(f"{option.name}:{_shown(option.value)}" for option in options)])


def _shown(value: str | float | bool | None) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _tell(text: str) -> Json:
    """Returns a message that only the sender of the command sees."""
    return {"type": 4, "data": {"content": text, "flags": 64}}
