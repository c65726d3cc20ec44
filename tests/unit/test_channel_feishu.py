"""Feishu and Lark: signature, encryption, challenge, and which events are messages."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from scheduler.channels.base import IncomingMessage, Json, UnreadableEvent
from scheduler.channels.feishu import FeishuChannel, decrypt
from scheduler.domain.errors import BadSignature
from scheduler.domain.signatures import SignedRequest
from tests.support.chat_events import (
    LARK_KEY,
    LARK_TOKEN,
    dump,
    encrypted,
    feishu_challenge,
    feishu_event,
    feishu_headers,
)

UNIX = 1767225600
NOW = datetime.fromtimestamp(UNIX, UTC)
OPEN = FeishuChannel(verification_token=LARK_TOKEN)
SEALED = FeishuChannel(verification_token=LARK_TOKEN, encrypt_key=LARK_KEY)


def verified(
    body: bytes, headers: dict[str, str] | None = None, *, channel: FeishuChannel = SEALED, now: datetime = NOW
) -> Json:
    given = feishu_headers(body, UNIX) if headers is None else headers
    return channel.verify(SignedRequest(given, body), now)


def message(event: Json) -> IncomingMessage:
    [found] = OPEN.parse(event).messages
    return found


def refusal(body: bytes, headers: dict[str, str]) -> str:
    with pytest.raises(BadSignature) as refused:
        verified(body, headers)
    return refused.value.message


def test_feishus_published_example_opens() -> None:
    """AES-256-CBC with the SHA-256 of the key; the initialization vector precedes the text."""
    assert decrypt("test key", "P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk=") == b"hello world"


def test_an_event_sealed_and_signed_by_openssl_is_accepted() -> None:
    """Made independently, so that the tests' own signer does not merely confirm itself."""
    sealed = (
        b"AAECAwQFBgcICQoLDA0ODygg1YwkkdKg3+mjeIpp5A8tCCmQjER722iBjBj+"
        b"j00jVFgADb0IgFctcdzzTVUEZ452anI3VOJckesm3qTfhpA="
    )
    headers = {
        "x-lark-request-timestamp": str(UNIX),
        "x-lark-request-nonce": "nonce-1",
        "x-lark-signature": "95817b64db428ddff424e6334046d433444ee37fe837a65826485e3f8212702a",
    }
    event = verified(b'{"encrypt":"%s"}' % sealed, headers)
    assert event == {"schema": "2.0", "header": {"event_type": "x", "token": "vtok"}}


def test_an_encrypted_event_is_opened_once_its_signature_is_right() -> None:
    assert verified(encrypted(feishu_event("秘密"))) == feishu_event("秘密")


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_timestamp_more_than_five_minutes_away_is_refused(seconds: int) -> None:
    with pytest.raises(BadSignature, match="timestamp"):
        verified(encrypted(feishu_event()), now=NOW + timedelta(seconds=seconds))


def test_what_is_not_signed_is_refused_whatever_is_in_it() -> None:
    """Requests that can and cannot be decrypted get the same response; otherwise an attacker could decrypt a
    recorded event by asking (CBC).
    """
    headers = feishu_headers(b"another body", UNIX)
    opens = encrypted(feishu_event())
    broken = bytearray(opens)
    broken[-5] ^= 1
    said = {refusal(body, headers) for body in (opens, bytes(broken), encrypted("text"), b"{}", b"no json")}
    assert len(said) == 1
    said = {refusal(body, {}) for body in (opens, encrypted(feishu_event(), "another key"), b'{"encrypt":5}')}
    assert len(said) == 1


@pytest.mark.parametrize("name", ["X-Lark-Signature", "X-Lark-Request-Timestamp", "X-Lark-Request-Nonce"])
def test_each_of_the_three_headers_is_covered(name: str) -> None:
    body = encrypted(feishu_event())
    refusal(body, feishu_headers(body, UNIX) | {name: "1"})
    refusal(body, {key: value for key, value in feishu_headers(body, UNIX).items() if key != name})


def test_what_is_appended_to_a_signed_body_makes_it_unreadable() -> None:
    """The signature is a plain hash, to which anyone can append, but not so that the JSON stays valid."""
    body = encrypted(feishu_event()) + b"\x80\x00more"
    with pytest.raises(UnreadableEvent):
        verified(body)


def test_a_challenge_is_answered_without_a_signature_by_its_token() -> None:
    """Feishu does not sign url_verification."""
    for channel, body in ((OPEN, dump(feishu_challenge())), (SEALED, encrypted(feishu_challenge()))):
        event = verified(body, {}, channel=channel)
        assert channel.handshake(event) == {"challenge": "ajls384kdjx98XX"}
    assert OPEN.handshake(feishu_event()) is None


def test_a_challenge_sealed_by_openssl_is_opened() -> None:
    sealed = (
        b"AAECAwQFBgcICQoLDA0OD+ljZOv1Br4y6KxBCXXTcA6KY7OYkSVirmMHaa/u"
        b"vRxNYMeP2pWH9Rz8xzeT9yz5iCGN6EoBIjKpQ6iqBYQ42V8="
    )
    assert verified(b'{"encrypt":"%s"}' % sealed, {})["challenge"] == "c-1"


@pytest.mark.parametrize("channel", [OPEN, SEALED])
def test_a_challenge_with_another_token_is_refused(channel: FeishuChannel) -> None:
    seal = encrypted if channel is SEALED else dump
    with pytest.raises(BadSignature):
        verified(seal(feishu_challenge("another")), {}, channel=channel)


def test_an_unencrypted_event_is_proven_by_its_token() -> None:
    assert verified(dump(feishu_event()), {}, channel=OPEN) == feishu_event()
    for header in ({"token": "another"}, {"token": None}, {"token": 5}):
        with pytest.raises(BadSignature, match="Verification Token"):
            verified(dump(feishu_event(header=header)), {}, channel=OPEN)
    with pytest.raises(BadSignature, match="Verification Token"):
        verified(b'{"header":[]}', {}, channel=OPEN)


def test_a_signed_event_with_another_token_is_refused() -> None:
    with pytest.raises(BadSignature, match="Verification Token"):
        verified(encrypted(feishu_event(header={"token": "another"})))


def test_an_encrypted_event_to_a_channel_without_a_key_says_what_is_missing() -> None:
    with pytest.raises(BadSignature, match="encrypt_key"):
        verified(encrypted(feishu_event()), {}, channel=OPEN)


def test_with_an_encrypt_key_a_plain_event_is_not_taken() -> None:
    """The token alone is no better than a password in clear text; whoever sets an Encrypt Key wants more."""
    with pytest.raises(BadSignature):
        verified(dump(feishu_event()), {})
    with pytest.raises(UnreadableEvent):
        verified(dump(feishu_event()))


def test_a_message_is_read() -> None:
    assert message(feishu_event("早上好")) == IncomingMessage(
        message_id="om_5ce6d572455d361153b7cb51da133945",
        user_id="ou_84aad35d084aa403a838cf73ee18467",
        conversation_id="oc_5ce6d572455d361153b7xx51da133945",
        text="早上好",
    )


def test_an_event_pushed_again_under_a_new_event_id_is_the_same_message() -> None:
    assert message(feishu_event(header={"event_id": "another"})).message_id == message(feishu_event()).message_id


def test_a_topic_is_a_conversation_of_its_own() -> None:
    assert message(feishu_event(thread_id="omt_1")).conversation_id.endswith(":omt_1")


def test_mentions_become_names() -> None:
    """`@_user_1` must not match inside `@_user_10`."""
    mentions = [
        {"key": "@_user_1", "id": {"open_id": "ou_1"}, "name": "Tom"},
        {"key": "@_user_10", "id": {"open_id": "ou_2"}, "name": "李"},
    ]
    event = feishu_event("@_user_1 and @_user_10, not @_user_2 or @_all", mentions=mentions)
    assert message(event).text == "@Tom and @李, not @_user_2 or @_all"


def test_the_text_of_a_post_is_read() -> None:
    content = {
        "title": "Release",
        "content": [
            [{"tag": "text", "text": "It is "}, {"tag": "a", "href": "https://a.example", "text": "out"}],
            [{"tag": "at", "user_id": "@_user_1", "user_name": "Tom"}, {"tag": "img", "image_key": "i"}],
            "no paragraph",
            [5, {"tag": "text", "text": 5}, {"tag": "at", "user_id": "@_user_1"}],
        ],
    }
    event = feishu_event(
        message_type="post", content=json.dumps(content), mentions=[{"key": "@_user_1", "name": "T"}]
    )
    assert message(event).text == "Release\nIt is out\n@Tom\n\n@T"


def test_an_app_is_told_from_a_person() -> None:
    assert message(feishu_event(sender_type="app")).is_bot
    assert not message(feishu_event()).is_bot


@pytest.mark.parametrize(
    "event",
    [
        feishu_event(header={"event_type": "im.message.message_read_v1"}),
        feishu_event(message_type="image", content='{"image_key":"i"}'),
        feishu_event(content="no json"),
        feishu_event(content="[]"),
        feishu_event(content=None),
        feishu_event(message_id="a\x00b"),
        feishu_event(chat_id=None),
        feishu_event() | {"event": None},
        {"uuid": "1", "token": LARK_TOKEN, "type": "event_callback", "event": {"type": "message", "text": "v1"}},
        {"header": "text"},
        {},
    ],
)
def test_whatever_is_no_text_message_is_ignored_with_a_reason(event: Json) -> None:
    parsed = OPEN.parse(event)
    assert parsed.messages == () and parsed.ignored
    assert parsed.answer == {}
