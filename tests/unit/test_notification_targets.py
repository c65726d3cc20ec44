"""The requests that each kind of target receives, and which answers count as a refusal."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.domain.errors import InvalidField
from scheduler.domain.ids import new_id
from scheduler.domain.signatures import SignatureConfig, SignedRequest, new_standard_secret, verify
from scheduler.net.client import Answer
from scheduler.notifications.targets.kinds import Outgoing
from scheduler.notifications.targets.registry import TARGETS, open_target

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
SECRET = new_standard_secret()


def note(content: str = "⚡ Mail\n\nDone.") -> Outgoing:
    return Outgoing(new_id(), new_id(), new_id(), "ada", content, ("mail",), NOW)


def sent(kind: str, content: str = "⚡ Mail\n\nDone.", secret: str | None = None) -> Any:
    return json.loads(open_target(kind, secret).call(note(content), NOW).body)


def answer(body: bytes) -> Answer:
    return Answer(200, {}, body, False, "https://open.feishu.cn/")


def test_a_webhook_carries_all_of_it_and_a_signature_that_verifies() -> None:
    told = note()
    call = open_target("webhook", SECRET).call(told, NOW)
    event = json.loads(call.body)
    assert (event["type"], event["timestamp"]) == ("trigger_notification", "2030-01-02T03:04:05+00:00")
    assert event["data"] == {
        "id": str(told.id),
        "content": "⚡ Mail\n\nDone.",
        "triggers": ["mail"],
        "agent": {"id": str(told.agent_id), "name": "ada"},
        "invocation_id": str(told.invocation_id),
    }
    assert call.headers["webhook-id"] == str(told.id)
    config = SignatureConfig.model_validate({"scheme": "standard-webhooks", "secret": SECRET})
    assert verify(config, SignedRequest(dict(call.headers), call.body), NOW).accepted
    assert not verify(config, SignedRequest(dict(call.headers), call.body + b" "), NOW).accepted


def test_slack_is_sent_text_that_calls_nobody() -> None:
    assert sent("slack", "<!channel> a & b > c") == {"text": "&lt;!channel&gt; a &amp; b &gt; c"}
    assert len(sent("slack", "x" * 9000)["text"]) == 4000


def test_discord_is_sent_as_much_as_it_takes_and_mentions_nobody() -> None:
    message = sent("discord", "@everyone " + "x" * 3000)
    assert len(message["content"]) == 2000
    assert message["content"].endswith("…")
    assert message["allowed_mentions"] == {"parse": []}


def test_feishu_is_signed_when_it_has_a_secret() -> None:
    """The signature is the HMAC of an empty text with the key `timestamp LF secret`, as documented."""
    assert sent("feishu") == {"msg_type": "text", "content": {"text": "⚡ Mail\n\nDone."}}
    signed = sent("feishu", secret="demo")
    assert signed["timestamp"] == str(int(NOW.timestamp()))
    expected = hmac.new(f"{signed['timestamp']}\ndemo".encode(), b"", hashlib.sha256).digest()
    assert signed["sign"] == base64.b64encode(expected).decode()


def test_feishu_mentions_nobody() -> None:
    text = sent("feishu", 'a < b <at user_id="all">all</at> <AT x>')["content"]["text"]
    assert "<at" not in text.lower()
    assert "</at" not in text.lower()
    assert "a < b" in text


@pytest.mark.parametrize(
    ("body", "permanent"),
    [
        (b'{"code": 0, "msg": "success"}', None),
        (b'{"StatusCode": 0}', None),
        (b'{"code": 19021, "msg": "sign match fail"}', True),
        (b'{"code": 11232, "msg": "frequency limited"}', False),
        (b"<html>", True),
        (b"[]", True),
    ],
)
def test_feishu_refuses_with_status_200_and_a_code(body: bytes, permanent: bool | None) -> None:
    refusal = open_target("feishu", None).refusal(answer(body))
    assert (None if refusal is None else refusal.permanent) is permanent


@pytest.mark.parametrize(
    ("kind", "secret", "field"),
    [
        ("telegram", None, "kind"),
        ("slack", "s", "secret"),
        ("discord", "s", "secret"),
        ("webhook", None, "secret"),
        ("webhook", "whsec_", "secret"),
        ("webhook", "no base64!", "secret"),
    ],
)
def test_an_invalid_target_is_refused(kind: str, secret: str | None, field: str) -> None:
    with pytest.raises(InvalidField) as refused:
        open_target(kind, secret)
    assert refused.value.field == field


def test_every_other_kind_takes_any_answer() -> None:
    for kind in TARGETS.keys() - {"feishu"}:
        secret = SECRET if kind == "webhook" else None
        assert open_target(kind, secret).refusal(answer(b"anything")) is None
