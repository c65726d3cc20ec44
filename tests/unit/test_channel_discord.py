"""Discord: signatures, PING, and the parts of a slash command that become a message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scheduler.channels.base import IncomingMessage, Json, UnreadableEvent
from scheduler.channels.discord import DiscordChannel
from scheduler.domain.errors import BadSignature
from scheduler.domain.signatures import SignedRequest
from tests.support.chat_events import DISCORD_PUBLIC_KEY, discord_command, discord_headers, dump, option

UNIX = 1767225600
NOW = datetime.fromtimestamp(UNIX, UTC)
CHANNEL = DiscordChannel(public_key=DISCORD_PUBLIC_KEY)
BODY = dump({"type": 1})
ANOTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))


def verified(body: bytes, headers: dict[str, str] | None = None, now: datetime = NOW) -> Json:
    return CHANNEL.verify(SignedRequest(headers or discord_headers(body, UNIX), body), now)


def message(event: Json) -> IncomingMessage:
    [found] = CHANNEL.parse(event).messages
    return found


def text(*options: dict[str, Any], name: str = "ask") -> str:
    return message(discord_command(data={"id": "1", "type": 1, "name": name, "options": list(options)})).text


def test_a_signature_made_by_openssl_is_accepted() -> None:
    """Ed25519 (RFC 8032) over TIMESTAMP and BODY, in hex of either case."""
    channel = DiscordChannel(public_key="1a854f467291154fed7c0003a1808813e5c8b42ca1a5a67cb9e6339408817dfc")
    signature = (
        "7c6ce624e1d94517e8aa33aae6bf98c7adb0480fb6a6f6b9c6c22c0687803eb7"
        "5acce8cf445941f252ddf34f4598445c46a463f9c0b00ea0297e1c352b5d6503"
    )
    for given in (signature, signature.upper()):
        headers = {"x-signature-timestamp": str(UNIX), "x-signature-ed25519": given}
        event = channel.verify(SignedRequest(headers, b'{"type":1,"id":"1"}'), NOW)
        assert event == {"type": 1, "id": "1"}


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_timestamp_more_than_five_minutes_away_is_refused(seconds: int) -> None:
    with pytest.raises(BadSignature, match="timestamp"):
        verified(BODY, now=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Signature-Timestamp": str(UNIX)},
        discord_headers(BODY, UNIX, ANOTHER),
        discord_headers(BODY + b" ", UNIX),
        discord_headers(BODY, UNIX) | {"X-Signature-Timestamp": str(UNIX + 1)},
        discord_headers(BODY, UNIX) | {"X-Signature-Ed25519": "00" * 64},
        discord_headers(BODY, UNIX) | {"X-Signature-Ed25519": "abc"},
        discord_headers(BODY, UNIX) | {"X-Signature-Ed25519": "zü"},
    ],
)
def test_what_is_not_signed_by_the_app_is_refused(headers: dict[str, str]) -> None:
    """Discord sometimes sends such requests itself, and disables an address that accepts one."""
    with pytest.raises(BadSignature):
        CHANNEL.verify(SignedRequest(headers, BODY), NOW)


def test_ping_is_answered_by_pong() -> None:
    assert CHANNEL.handshake({"id": "1", "application_id": "2", "type": 1, "version": 1}) == {"type": 1}
    assert CHANNEL.handshake(discord_command()) is None


def test_a_slash_command_is_a_message_and_is_acknowledged_to_its_writer() -> None:
    parsed = CHANNEL.parse(discord_command(option("what is new?")))
    assert parsed.messages == (
        IncomingMessage(
            message_id="786008729715212338",
            user_id="80351110224678912",
            conversation_id="645027906669510667",
            text="what is new?",
            user_name="Nelly",
        ),
    )
    assert parsed.answer["type"] == 4
    assert parsed.answer["data"]["flags"] == 64


def test_in_a_direct_message_the_user_is_named_outside_of_a_member() -> None:
    event = discord_command(option("hi"), user={"id": "5", "username": "sam", "global_name": None})
    del event["member"], event["guild_id"]
    found = message(event)
    assert (found.user_id, found.user_name) == ("5", "sam")


def test_a_nickname_is_what_people_of_the_server_see() -> None:
    event = discord_command(option("hi"))
    event["member"]["nick"] = "Boss"
    assert message(event).user_name == "Boss"


def test_a_bot_is_told_from_a_person() -> None:
    event = discord_command(option("hi"))
    event["member"]["user"]["bot"] = True
    assert message(event).is_bot


def test_the_text_is_the_only_argument_or_the_command_as_typed() -> None:
    assert text(option("hello there")) == "hello there"
    assert text() == "/ask"
    assert text(option("prod", "env"), option(True, "force", 5), name="deploy") == "/deploy env:prod force:true"
    nested = {"name": "to", "type": 1, "options": [option("prod", "env"), option(2, "times", 4)]}
    assert text(nested, name="deploy") == "/deploy to env:prod times:2"
    assert text({"name": "status", "type": 1}, name="deploy") == "/deploy status"
    grouped = {"name": "app", "type": 2, "options": [{"name": "to", "type": 1, "options": [option("prod")]}]}
    assert text(grouped, name="deploy") == "prod"


@pytest.mark.parametrize(
    ("event", "answer_type"),
    [
        (discord_command(type=4), 8),
        (discord_command(type=3, data={"custom_id": "b", "component_type": 2}), 6),
        (discord_command(type=5, data={"custom_id": "m", "components": []}), 4),
        (discord_command(type=99), 4),
        (discord_command(data={"id": "1", "type": 3, "name": "Ask about", "target_id": "5"}), 4),
        (discord_command(data={"id": "1", "type": 1}), 4),
        (discord_command(data=None), 4),
        (discord_command(id="x\x00"), 4),
        (discord_command(channel_id=None), 4),
        (discord_command(member=None), 4),
        (discord_command(member={"user": {}}), 4),
        ({}, 4),
    ],
)
def test_anything_but_a_slash_command_is_ignored_with_a_reason_and_answered(event: Json, answer_type: int) -> None:
    """Without a response, the user would see an error."""
    parsed = CHANNEL.parse(event)
    assert parsed.messages == () and parsed.ignored
    assert parsed.answer["type"] == answer_type


def test_what_is_signed_and_no_json_object_is_unreadable() -> None:
    with pytest.raises(UnreadableEvent):
        verified(b"[1]")
