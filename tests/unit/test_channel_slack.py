"""Slack: signatures, the handshake, and which events are messages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler.channels.base import IncomingMessage, Json, UnreadableEvent
from scheduler.channels.slack import SlackChannel, plain_text
from scheduler.domain.errors import BadSignature
from scheduler.domain.signatures import SignedRequest
from tests.support.chat_events import SLACK_SECRET, dump, slack_event, slack_headers

UNIX = 1767225600
NOW = datetime.fromtimestamp(UNIX, UTC)
CHANNEL = SlackChannel(signing_secret=SLACK_SECRET)


def verified(body: bytes, headers: dict[str, str] | None = None, now: datetime = NOW) -> Json:
    return CHANNEL.verify(SignedRequest(headers or slack_headers(body, UNIX), body), now)


def message(event: Json) -> IncomingMessage:
    [found] = CHANNEL.parse(event).messages
    return found


def test_a_signature_made_by_openssl_is_accepted() -> None:
    """HMAC-SHA256 over `v0:TIMESTAMP:BODY`, made with openssl, so that the tests' own signer does not merely
    confirm itself.
    """
    body = b'{"type":"url_verification","challenge":"c-1"}'
    signature = "v0=1aa52f2c426e5733407bac1c6a077a8e8b7e23c673e4afaae6923ed06407bd3d"
    headers = {"x-slack-request-timestamp": str(UNIX), "x-slack-signature": signature}
    assert verified(body, headers) == {"type": "url_verification", "challenge": "c-1"}


def test_slacks_published_example_is_accepted_and_is_no_event() -> None:
    """It is the form of a slash command: correctly signed, so the response is not a 401, but a 400 that says what
    arrived.
    """
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "X-Slack-Request-Timestamp": "1531420618",
        "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    channel = SlackChannel(signing_secret="8f742231b10e8888abcd99yyyzzz85a5")
    with pytest.raises(UnreadableEvent):
        channel.verify(SignedRequest(headers, body), datetime.fromtimestamp(1531420618, UTC))


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_timestamp_more_than_five_minutes_away_is_refused(seconds: int) -> None:
    """A recorded call cannot be replayed later, nor is one from a fast clock accepted."""
    with pytest.raises(BadSignature, match="timestamp"):
        verified(b"{}", now=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-300, 300])
def test_a_timestamp_within_five_minutes_is_accepted(seconds: int) -> None:
    assert verified(b"{}", now=NOW + timedelta(seconds=seconds)) == {}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Slack-Request-Timestamp": str(UNIX)},
        {"X-Slack-Request-Timestamp": "now", "X-Slack-Signature": "v0=00"},
        slack_headers(b"{}", UNIX, "another secret"),
        slack_headers(b"{ }", UNIX),
        slack_headers(b"{}", UNIX) | {"X-Slack-Request-Timestamp": str(UNIX + 1)},
        slack_headers(b"{}", UNIX) | {"X-Slack-Signature": "v0=ü"},
    ],
)
def test_what_is_not_signed_by_the_app_is_refused(headers: dict[str, str]) -> None:
    """No header, another secret, another body, another time."""
    with pytest.raises(BadSignature):
        CHANNEL.verify(SignedRequest(headers, b"{}"), NOW)


def test_url_verification_is_answered_by_its_challenge() -> None:
    asked = {"token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "challenge": "3eZbrw1a", "type": "url_verification"}
    assert CHANNEL.handshake(asked) == {"challenge": "3eZbrw1a"}
    assert CHANNEL.handshake(slack_event()) is None


def test_a_message_is_read() -> None:
    assert message(slack_event("good morning")) == IncomingMessage(
        message_id="C123ABC456:1355517523.000005",
        user_id="U123ABC456",
        conversation_id="C123ABC456",
        text="good morning",
    )


def test_a_thread_is_a_conversation_of_its_own() -> None:
    assert message(slack_event(thread_ts="1355517500.000001")).conversation_id == "C123ABC456:1355517500.000001"


def test_a_mention_is_the_same_message_as_the_one_read_in_the_channel() -> None:
    """An app that receives both gets two events with different ids for one message."""
    heard = slack_event("<@UBOT> hi", event_id="Ev1")
    mentioned = slack_event("<@UBOT> hi", event_id="Ev2", type="app_mention")
    assert message(heard).message_id == message(mentioned).message_id


@pytest.mark.parametrize("subtype", ["file_share", "me_message", "thread_broadcast"])
def test_what_somebody_wrote_in_another_form_is_read(subtype: str) -> None:
    assert message(slack_event("look", subtype=subtype)).text == "look"


@pytest.mark.parametrize(
    "fields",
    [
        {"bot_id": "B1", "user": "UBOT"},
        {"bot_id": "B1", "user": None, "subtype": "bot_message", "username": "deploys"},
        {"user": "USLACKBOT"},
    ],
)
def test_bots_are_told_from_people(fields: dict[str, Any]) -> None:
    """The app receives its own messages too, and answering them would never end."""
    assert message(slack_event(**fields)).is_bot
    assert not message(slack_event()).is_bot


@pytest.mark.parametrize(
    "event",
    [
        slack_event(subtype="message_changed", message={"text": "edited"}),
        slack_event(subtype="message_deleted", deleted_ts="1"),
        slack_event(subtype="channel_join"),
        slack_event(type="reaction_added"),
        slack_event(user=None),
        slack_event(channel=None),
        slack_event(ts=5),
        slack_event(ts="a\x00b"),
        slack_event(text=["a"]),
        slack_event(subtype={}),
        slack_event(type=[]),
        slack_event(outer={"type": "app_rate_limited", "minute_rate_limited": 1}),
        slack_event(outer={"event": "text"}),
        slack_event(outer={"type": {}}),
        {},
    ],
)
def test_anything_but_a_new_message_is_ignored_with_a_reason(event: Json) -> None:
    """Slack may add kinds of events and fields at any time; none of them is an error."""
    parsed = CHANNEL.parse(event)
    assert parsed.messages == () and parsed.ignored


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 < 2 && 3 > 2"),
        ("&amp;lt;", "&lt;"),
        ("<@U1> and <@U2|bob>", "@U1 and @bob"),
        ("in <#C1|general> or <#C2>", "in #general or #C2"),
        ("<!here> <!subteam^S1|@ops>", "@here @ops"),
        ("<https://a.example/?b=1&amp;c=2>", "https://a.example/?b=1&c=2"),
        ("<https://a.example|docs>", "docs (https://a.example)"),
        ("see <http://a.example|a.example>!", "see a.example!"),
        ("<https://a.example/x?y=1&amp;z=2|a.example/x?y=1&amp;z=2>", "a.example/x?y=1&z=2"),
        ("<http://a.example/|A.example>", "A.example"),
        ("<http://a.example/%C3%BC|a.example/ü>", "a.example/ü"),
        ("<https://evil.example|https://a.example>", "https://a.example (https://evil.example)"),
        ("<mailto:bob@a.example|bob@a.example>", "bob@a.example"),
        ("<mailto:bob@a.example>", "bob@a.example"),
        ("<tel:+4930123|+4930123>", "+4930123"),
        ("<!date^1392734382^{date}|Feb 18>", "Feb 18"),
        ("1 &lt; 2 &amp;&amp; &amp;lt; &amp;copy;", "1 < 2 && &lt; &copy;"),
        ("<http://a.example|http://a.example>", "http://a.example"),
        ("a < b", "a < b"),
        ("<>", ""),
    ],
)
def test_markup_becomes_what_people_see(sent: str, shown: str) -> None:
    """A text_match for what people type must match it."""
    assert plain_text(sent) == shown


def test_a_megabyte_of_brackets_is_read_at_once() -> None:
    """Nothing backtracks."""
    assert plain_text("<" * 1_000_000) == "<" * 1_000_000


def test_half_a_surrogate_pair_is_replaced_and_nul_is_left_to_the_intake() -> None:
    """JSON can escape both; a lone surrogate cannot even be encoded."""
    body = dump(slack_event("a\x00b")).replace(b'b"', b'\\ud800"', 1)
    assert message(verified(body)).text == "a\x00?"


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b'{"a":NaN}', b"\xff", b"[" * 100_000, b"1" * 10_000])
def test_what_is_signed_and_no_json_object_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableEvent):
        verified(body)
