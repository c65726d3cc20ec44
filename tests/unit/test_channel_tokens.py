"""Telegram, Teams and Mattermost: tokens and signatures, and which events are messages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from scheduler.channels.base import ChannelKind, IncomingMessage, UnreadableEvent
from scheduler.channels.registry import open_channel
from scheduler.channels.teams import plain_text
from scheduler.domain.errors import BadSignature
from scheduler.domain.signatures import SignedRequest
from tests.support.chat_events import TEAMS_TOKEN, dump, mattermost_post, teams_activity, telegram_update

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TELEGRAM = open_channel("telegram", {"secret_token": "our_own-token"})
TEAMS = open_channel("teams", {"security_token": TEAMS_TOKEN})
MATTERMOST = open_channel("mattermost", {"token": "t"})
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def verified(channel: ChannelKind, headers: dict[str, str], body: bytes) -> Any:
    return channel.verify(SignedRequest(headers, body), NOW)


def message(channel: ChannelKind, event: Any) -> IncomingMessage:
    [found] = channel.parse(event).messages
    return found


def test_telegram_is_believed_by_its_secret_token_only() -> None:
    event = telegram_update()
    name = "X-Telegram-Bot-Api-Secret-Token"
    assert verified(TELEGRAM, {name.lower(): "our_own-token"}, dump(event)) == event
    for headers in ({}, {name: "another"}, {name: ""}, {name: "our_own-token", name.lower(): "our_own-token"}):
        with pytest.raises(BadSignature):
            verified(TELEGRAM, headers, dump(event))
    with pytest.raises(UnreadableEvent):
        verified(TELEGRAM, {name: "our_own-token"}, b"[]")


def test_telegram_messages_are_distinguished_by_chat_topic_and_writer() -> None:
    found = message(TELEGRAM, telegram_update("hello"))
    assert found == IncomingMessage("-1001234567890:1365", "1111111", "-1001234567890", "hello", "Ada Byron")
    topic = message(TELEGRAM, telegram_update(message_thread_id=7, is_topic_message=True))
    assert topic.conversation_id == "-1001234567890:7"
    assert message(TELEGRAM, telegram_update("", caption="A picture")).text == "A picture"
    bot = {"id": 5, "is_bot": True, "first_name": "Robot"}
    assert message(TELEGRAM, telegram_update(**{"from": bot})).is_bot
    post = telegram_update()["message"] | {"sender_chat": {"id": -100, "title": "News"}}
    assert message(TELEGRAM, {"update_id": 1, "channel_post": post}).user_name == "News"
    assert TELEGRAM.parse({"update_id": 1, "edited_message": telegram_update()["message"]}).ignored
    assert TELEGRAM.parse({"update_id": 1, "message": {"text": "hi"}}).ignored


def test_teams_signs_with_the_decoded_token() -> None:
    """The signature was made by `openssl dgst -sha256 -hmac 'secret of the team' -binary | base64`."""
    body = b'{"type":"message","text":"hello"}'
    signature = "s43Wzet6bRcDmwLBbHtN437f0ttEYjIPFlyboN06yaI="
    assert verified(TEAMS, {"Authorization": f"HMAC {signature}"}, body)["text"] == "hello"
    for given in (f"Bearer {signature}", "HMAC x", "HMAC", signature):
        with pytest.raises(BadSignature):
            verified(TEAMS, {"authorization": given}, body)
    with pytest.raises(BadSignature):
        verified(TEAMS, {"Authorization": f"HMAC {signature}"}, body + b" ")


def test_a_teams_message_is_read_as_people_see_it_and_answered() -> None:
    parsed = TEAMS.parse(teams_activity('<p><at id="0">Reveille</at>&nbsp;is <b>5 &lt; 6</b>?<br>yes</p>'))
    assert parsed.messages[0].text == "is 5 < 6?\nyes"
    assert parsed.answer["type"] == "message"
    assert TEAMS.parse({"type": "conversationUpdate"}).answer["type"] == "message"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<at>R</at> tell <at>Ada</at> now", "tell @Ada now"),
        ("no mention", "no mention"),
        ("<at>R</at>", ""),
        ("a <3 b &amp; c", "a <3 b & c"),
        ("<" * 50_000, "<" * 50_000),
        ('nice <img itemtype="http://schema.skype.com/Emoji" alt="\U0001f600" src="x">!', "nice \U0001f600!"),
        ('<emoji id="1" alt="\U0001f44d" title="Yes"></emoji> done', "\U0001f44d done"),
        ('<img src="x" width="5">', ""),
        ("<img " * 20_000, ("<img " * 20_000).strip()),
        ('<attachment id="5"></attachment>', ""),
        ("<at>" * 20_000, ""),
    ],
)
def test_teams_text(text: str, shown: str) -> None:
    assert plain_text(text) == shown


def test_what_bots_wrote_is_known() -> None:
    bot = {"id": 5, "is_bot": True, "first_name": "Robot"}
    update = {"update_id": 1, "business_message": telegram_update()["message"] | {"sender_business_bot": bot}}
    assert message(TELEGRAM, update).is_bot
    assert not message(TEAMS, teams_activity("hello")).is_bot
    for sender in ({"id": "28:robot", "name": "Robot"}, {"id": "29:x", "role": "bot"}):
        assert message(TEAMS, teams_activity("hello") | {"from": sender}).is_bot


@pytest.mark.parametrize(
    "change",
    [
        {"message_id": True},
        {"message_id": 2**70},
        {"chat": None},
        {"text": None},
        {"text": ["a"]},
        {"from": "ada"},
        {"sender_business_bot": 1},
    ],
    ids=["a flag", "too large", "no chat", "null", "a list", "a text", "a number"],
)
def test_an_update_of_an_unknown_shape_is_ignored(change: dict[str, Any]) -> None:
    assert TELEGRAM.parse(telegram_update(**change)).ignored == "it is a message of an unknown shape"


def test_mattermost_sends_its_token_in_json_or_in_a_form() -> None:
    event = mattermost_post("hello & good-bye")
    assert verified(MATTERMOST, {"content-type": "application/json"}, dump(event)) == event
    form = verified(MATTERMOST, FORM, urlencode(event).encode())
    assert message(MATTERMOST, form) == message(MATTERMOST, event)
    assert message(MATTERMOST, form) == IncomingMessage(
        "axdygg1957njfe5pu38saikdho",
        "c3a4cqe3dfy6dgopqt8ai3hydh",
        "xr3j5x3p4pfk7kk6ck7b4e6ghh",
        "hello & good-bye",
        "ada",
    )
    for body in (dump(mattermost_post(token="u")), dump(mattermost_post(token=None)), b"{}"):
        with pytest.raises(BadSignature):
            verified(MATTERMOST, {}, body)
    for body in (b"\xff", b"&".join(b"a=1" for _ in range(1000))):
        with pytest.raises((UnreadableEvent, BadSignature)):
            verified(MATTERMOST, FORM, body)
