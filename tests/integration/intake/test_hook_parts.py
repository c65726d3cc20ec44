"""What is stored of a delivery besides its body, how large it may be, and how a sender tests the address."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import time
import zlib
from typing import Any
from urllib.parse import urlencode

import pytest

from api.services import EXTENSION
from tests.support.api import Api, trigger_body
from tests.support.hooks import NO_LIMIT, Hook, github_signature, make_hook

SECRET = "It's a Secret to Everybody"
SIGNED = {"scheme": "github", "secret": SECRET}


def test_named_headers_and_the_query_are_kept_with_the_firing(api: Api) -> None:
    """Unchanged, except that secrets, recognized by name, are hidden unless the trigger says otherwise."""
    names = ["X-GitHub-Event", "Authorization", "X-Hub-Signature-256", "X-Absent"]
    hook = make_hook(api, {"signature": SIGNED, "keep_headers": names})
    signature = github_signature(b"{}", SECRET)
    headers = {
        "X-GitHub-Event": "push",
        "Authorization": "Bearer x",
        "X-Hub-Signature-256": signature,
        "X-Other": "1",
    }
    response = call(hook, "POST", "?a=b%20c&Access_Token=s3cret&%74oken=s&a", b"{}", headers)
    firing = api.get(f"/firings/{response.json['firing_id']}")
    assert firing["data"] == {
        "headers": {"X-GitHub-Event": "push", "Authorization": "[redacted]", "X-Hub-Signature-256": "[redacted]"},
        "query": "a=b%20c&Access_Token=[redacted]&%74oken=[redacted]&a",
    }
    api.patch(f"/triggers/{hook.id}", {"config": {"redact": False}})
    shown = api.get(f"/firings/{call(hook, 'POST', '', b'{}', headers).json['firing_id']}")
    assert shown["data"]["headers"]["Authorization"] == "Bearer x"


def test_a_firing_without_named_headers_or_a_query_has_no_data(api: Api) -> None:
    """As before."""
    hook = make_hook(api)
    assert api.get(f"/firings/{hook.accepted(x_github_event='push')}")["data"] is None


def test_what_was_kept_is_there_again_in_a_replay(api: Api) -> None:
    """Of an accepted and of a filtered delivery."""
    hook = make_hook(api, {"filter": {"json_path": "$.yes"}, "keep_headers": ["X-Event"]}, rate=NO_LIMIT)
    for body in (b'{"yes": 1}', b"{}"):
        hook.post(body, x_event="e")
    for delivery in hook.deliveries():
        api.post(f"/triggers/{hook.id}/deliveries/{delivery['id']}/replay", status=202)
    assert [each.data for each in hook.firings()] == [{"headers": {"X-Event": "e"}}] * 3


def _gzip(body: bytes) -> bytes:
    """Compresses without the time, which may differ when the body is compressed again."""
    return gzip.compress(body, mtime=0)


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", _gzip), ("deflate", zlib.compress)])
@pytest.mark.parametrize("signs", ["packed", "plain"])
def test_a_packed_body_is_kept_as_it_came_and_looked_into(api: Api, encoding: str, pack: Any, signs: str) -> None:
    """The signature may be of either form; the filter and the agent see what the sender meant."""
    hook = make_hook(api, {"signature": SIGNED, "filter": {"json_path": "$.issue"}}, rate=NO_LIMIT)
    for plain, fires in ((b'{"issue": "unpacked"}', True), (b'{"noise": 1}', False)):
        body = pack(plain)
        signature = github_signature(body if signs == "packed" else plain, SECRET)
        response = hook.post(body, content_encoding=encoding, x_hub_signature_256=signature)
        assert (response.status_code, response.json["firing_id"] is not None) == (202, fires)  # type: ignore[index]
    hook.refused(401, pack(b"{}"), content_encoding=encoding, x_hub_signature_256=github_signature(b"[]", SECRET))
    (firing,) = hook.firings()
    assert (firing.payload, firing.data) == (
        pack(b'{"issue": "unpacked"}'),
        {"headers": {"Content-Encoding": encoding}},
    )


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"{}"),
        ("gzip", gzip.compress(b'{"a": 1}', mtime=0)[:-9]),
        ("br", b"{}"),
        ("gzip", gzip.compress(b" " * 8_000_000 + b"{}", mtime=0)),
    ],
)
def test_a_body_that_cannot_be_unpacked_is_passed_over_with_the_reason(
    api: Api, encoding: str, body: bytes
) -> None:
    """Broken, truncated, of an unknown encoding, or far larger than declared."""
    hook = make_hook(api, {"filter": {"json_path": "$"}})
    assert hook.post(body, content_encoding=encoding).json["filtered"] is True  # type: ignore[index]
    assert "cannot be read" in hook.deliveries()[0]["reason"]


def test_a_form_is_looked_into(api: Api) -> None:
    """GitHub and Slack send JSON in a field; other forms become an object of their fields."""
    hook = make_hook(api, {"filter": {"json_path": "$[?@ == 'opened']"}}, rate=NO_LIMIT)
    opened, closed = ({"payload": json.dumps({"action": action})} for action in ("opened", "closed"))
    plain, other = {"state": "opened"}, {"payload": "opened", "x": "1"}
    fires = []
    for form in (opened, closed, plain, other):
        answer = hook.post(
            urlencode(form).encode(), content_type="application/x-www-form-urlencoded; charset=utf-8"
        )
        fires.append(answer.json["firing_id"] is not None)  # type: ignore[index]
    assert fires == [True, False, True, True]
    assert hook.firings()[0].payload == urlencode(opened).encode()


def test_a_trigger_takes_larger_bodies_within_its_tenants_limit(api: Api) -> None:
    """Up to 1 MiB if configured; a sender without the token learns nothing about it."""
    hook = make_hook(api, {"max_body_bytes": 500_000}, rate=NO_LIMIT)
    usual, small = make_hook(api, rate=NO_LIMIT), make_hook(api, {"max_body_bytes": 10}, rate=NO_LIMIT)
    assert hook.accepted(b"x" * 457_000)
    for size in (500_001, 1_048_577):
        assert "larger than 500000 bytes" in hook.refused(413, b"x" * size).text
    usual.refused(413, b"x" * 65_537)
    small.accepted(b"x" * 10)
    small.refused(413, b"x" * 11)
    Hook(api, {"id": "", "hook_url": "/hooks/unknown"}).refused(413, b"x" * 65_537)
    tenant = api.get("/tenants")["items"][-1]
    api.patch(f"/tenants/{tenant['id']}", {"max_webhook_body_bytes": 1000})
    hook.refused(413, b"x" * 1001)
    usual.refused(413, b"x" * 1001)
    usual.accepted(b"x" * 1000)
    body = trigger_body("more", type="webhook", config={"max_body_bytes": 1001})
    problem = api.refused(422, "POST", f"/agents/{usual.trigger['agent_id']}/triggers", body)
    assert problem["field"] == "config.max_body_bytes" and "1000" in problem["detail"]


def test_a_large_repetition_is_told_so_when_the_trigger_is_used_up(api: Api) -> None:
    """Its size is compared with the trigger's limit, whether the trigger accepts more or not."""
    hook = make_hook(api, {"max_body_bytes": 100_000}, rate=NO_LIMIT, max_fires=1)
    first = hook.accepted(b"x" * 90_000, webhook_id="1")
    assert hook.post(b"x" * 90_000, webhook_id="1").json == {"firing_id": first, "duplicate": True}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_look_at_the_address_fires_nothing(api: Api, method: str) -> None:
    """200 while it accepts deliveries, else 404 as for any other address."""
    hook = make_hook(api)
    assert call(hook, method).status_code == 200
    api.post(f"/triggers/{hook.id}/pause", status=200)
    assert call(hook, method).status_code == 404
    assert call(Hook(api, {"id": "", "hook_url": "/hooks/unknown"}), method).status_code == 404
    assert hook.firings() == [] and hook.deliveries() == []


@pytest.mark.parametrize(
    ("challenge", "method", "query", "body", "headers", "answer"),
    [
        ("microsoft-graph", "POST", "?validationToken=a%2Bb%3Cc%3E", b"", {}, "a+b<c>"),
        ("microsoft-graph", "POST", "?validationtoken=x", b"", {}, "x"),
        ("meta", "GET", "?hub.mode=subscribe&hub.challenge=123", b"", {}, "123"),
        ("websub", "GET", "?hub.challenge=123", b"", {}, "123"),
        ("dropbox", "GET", "?challenge=abc", b"", {}, "abc"),
        ("strava", "GET", "?hub.challenge=1", b"", {}, {"hub.challenge": "1"}),
        ("monday", "POST", "", b'{"challenge": "m"}', {}, {"challenge": "m"}),
        ("okta", "GET", "", b"", {"X-Okta-Verification-Challenge": "o"}, {"verification": "o"}),
        ("slack", "POST", "", b'{"type": "url_verification", "challenge": "s"}', {}, "s"),
        (
            "azure-event-grid",
            "POST",
            "",
            b'[{"data": {"validationCode": "v"}}]',
            {"aeg-event-type": "SubscriptionValidation"},
            {"validationResponse": "v"},
        ),
    ],
)
def test_a_test_of_the_address_is_echoed_by_preset(
    api: Api, challenge: str, method: str, query: str, body: bytes, headers: dict[str, str], answer: object
) -> None:
    """It fires nothing and uses up nothing. Without the preset, a POST is an ordinary delivery."""
    hook = make_hook(api, {"challenge": challenge}, rate=0)
    response = call(hook, method, query, body, headers)
    assert response.status_code == 200, response.text
    assert (response.json if isinstance(answer, dict) else response.text) == answer
    kind = "application/json" if isinstance(answer, dict) else "text/plain"
    assert response.content_type == f"{kind}; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert hook.deliveries() == []
    plain = call(make_hook(api), method, query, body, headers)
    assert plain.status_code == (202 if method == "POST" else 200)
    assert plain.json == {"ok": True} or plain.json["duplicate"] is False


def test_slacks_test_is_echoed_once_it_is_signed(api: Api) -> None:
    """With only the preset of the signature."""
    hook = make_hook(api, {"signature": {"scheme": "slack", "secret": "s"}})
    body = b'{"type": "url_verification", "challenge": "c"}'
    now = str(int(time.time()))
    digest = hmac.digest(b"s", f"v0:{now}:".encode() + body, hashlib.sha256).hex()
    hook.refused(401, body, x_slack_request_timestamp=now, x_slack_signature="v0=00")
    answer = hook.post(body, x_slack_request_timestamp=now, x_slack_signature=f"v0={digest}")
    assert (answer.status_code, answer.text) == (200, "c")


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"signature": {"scheme": "github", "secret": "octopus\n"}}, "signature.secret"),
        ({"signature": {"scheme": "github", "secret": ["new", " old"]}}, "signature.secret"),
        ({"signature": {"scheme": "gitlab-token", "secret": "t\r\n"}}, "signature.secret"),
        ({"signature": {"scheme": "standard-webhooks", "secret": "whsec_MfKQ9r8GKYqr\n"}}, "signature.secret"),
        ({"signature": {"scheme": "generic-hmac", "secret": "s", "header": "X_Signature"}}, "signature.header"),
        ({"filter": {"header": "X_Event", "equals": "1"}}, "filter.header"),
        ({"keep_headers": ["X-Fine", "X_Event"]}, "keep_headers.1"),
        ({"keep_headers": ["not a header"]}, "keep_headers.0"),
        ({"max_body_bytes": 1024 * 1024 + 1}, "max_body_bytes"),
        ({"challenge": "anything"}, "challenge"),
    ],
)
def test_a_config_that_could_never_work_is_refused_at_creation(
    api: Api, config: dict[str, Any], field: str
) -> None:
    """With the field; also when it is changed later."""
    hook = make_hook(api)
    body = trigger_body("another", type="webhook", config=config)
    for method, path, sent in (
        ("POST", f"/agents/{hook.trigger['agent_id']}/triggers", body),
        ("PATCH", f"/triggers/{hook.id}", {"config": config}),
    ):
        assert api.refused(422, method, path, sent)["field"] == f"config.{field}"


def test_a_secret_that_was_stored_with_a_line_end_still_works(api: Api) -> None:
    """The rule applies to new triggers: nothing that worked is broken."""
    hook = make_hook(api, {"signature": {"scheme": "github", "secret": "octopus"}})
    stored = api.app.extensions[EXTENSION].box.encrypt(json.dumps({"signature.secret": "octopus\n"}))
    with api.db.begin() as conn:
        conn.exec_driver_sql("UPDATE triggers SET secret = %s WHERE id = %s", (stored, hook.id))
    hook.accepted(x_hub_signature_256=github_signature(b"{}", "octopus\n"))


def call(
    hook: Hook, method: str, query: str = "", body: bytes = b"", headers: dict[str, str] | None = None
) -> Any:
    """Makes any call of the address."""
    client = hook.api.app.test_client()
    return client.open(hook.path + query, method=method, data=body, headers=headers or {})
