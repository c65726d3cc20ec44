"""Deliveries signed by each preset, and manipulated ones. The signatures were made with openssl."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.domain.signatures import (
    SignatureConfig,
    SignedRequest,
    Verdict,
    new_standard_secret,
    sign_standard_webhooks,
    verify,
)

BODY = '{"n":1,"s":"ü"}'.encode()
UNIX = 1767225600
NOW = datetime.fromtimestamp(UNIX, UTC)

STANDARD_SECRET = "whsec_YS1rZXktb2YtZXhhY3RseS0zMi1ieXRlcy1sZW5ndGg="
STANDARD_V1 = "v1,T117kxBlb6U5ga51rSud2jEiSeLS/doX+MsZNSmsi/o="
PUBLIC_KEY = "whpk_QkaHK4RiX825OeeFPTVjInOp8JnKcY8hDjN0TOPYWgs="
ED25519_V1A = "v1a,IjGbwYznJwQZqjwqwhnNL5Meuc+g4hQR6a8S7Bv2/NP0I3wTc/kZvYuyv7FVZ+9IzOe0MFodjQgDDtUOwJTNAA=="
SHA1_HEX = "e369edb0fb2b794b6c8e0f7ba5a2d64f08e01cad"
SHA256_HEX = "862ee113794b2cb9cec0d49d807a24df79becdb5debf3eb1ef62b94415113b2b"
SHA512_HEX = (
    "7c8e21783d1cdcdd37b4d32b44058f3cf632683a4ccd3754c4a275837f3736b1"
    "1125f87d7f06027da56413d40268289c78f0c6e5dad751aa970223e039cc35be"
)
STRIPE_HEX = "9a14fba3030c161de19e187bbe9374412e0165dcf2ae891d1508646d1ebd68ea"
SLACK_HEX = "396ea933a6d708630e188eab7449d10e8a17728e96a9aaf29a8b2d56d8c68275"
TWILIO_URL = "https://hooks.example.org/hooks/t?a=1"
TWILIO_HASHED_URL = (
    "https://hooks.example.org/hooks/t?bodySHA256=d423df77b9b85816fee69b47ed98b07ab2d663cf4809cee974ec91df3d0a5f07"
)
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}


def _standard(signature: str) -> dict[str, str]:
    return {"webhook-id": "msg_1", "webhook-timestamp": str(UNIX), "webhook-signature": signature}


SIGNED: dict[str, tuple[dict[str, Any], SignedRequest]] = {
    "standard-webhooks": ({"secret": STANDARD_SECRET}, SignedRequest(_standard(STANDARD_V1), BODY)),
    "standard-webhooks-ed25519": ({"secret": PUBLIC_KEY}, SignedRequest(_standard(ED25519_V1A), BODY)),
    "github": ({"secret": "octopus"}, SignedRequest({"X-Hub-Signature-256": f"sha256={SHA256_HEX}"}, BODY)),
    "gitlab-token": ({"secret": "glt-1"}, SignedRequest({"X-Gitlab-Token": "glt-1"}, BODY)),
    "stripe": (
        {"secret": "whsec_reveille"},
        SignedRequest({"Stripe-Signature": f"t={UNIX},v1={STRIPE_HEX}"}, BODY),
    ),
    "slack": (
        {"secret": "5d41402abc4b2a76b9719d911017c592"},
        SignedRequest(
            {"X-Slack-Request-Timestamp": str(UNIX), "X-Slack-Signature": f"v0={SLACK_HEX}"},
            BODY,
        ),
    ),
    "shopify": (
        {"secret": "shop-key"},
        SignedRequest({"X-Shopify-Hmac-Sha256": "3vTP/M1KRM7Uo+aK834DUJ1R1KXj7N486xlqMwNDE1w="}, BODY),
    ),
    "twilio": (
        {"secret": "tw-token"},
        SignedRequest({"X-Twilio-Signature": "Evpzo7Ta8xAsZAsoyd1SOkNusQ0="}, BODY, TWILIO_HASHED_URL),
    ),
    "generic-hmac": (
        {"secret": "octopus", "header": "X-Signature"},
        SignedRequest({"X-Signature": SHA256_HEX}, BODY),
    ),
}
SCHEMES = sorted(SIGNED)
COVERING_THE_BODY = [scheme for scheme in SCHEMES if scheme != "gitlab-token"]
TIMESTAMPED = ["standard-webhooks", "standard-webhooks-ed25519", "stripe", "slack"]


def _config(scheme: str, **changes: object) -> SignatureConfig:
    return SignatureConfig.model_validate({"scheme": scheme, **SIGNED[scheme][0], **changes})


def _request(scheme: str, change: Callable[[str], str] = str) -> SignedRequest:
    """Returns the signed request of a scheme with its signature header changed."""
    request = SIGNED[scheme][1]
    name = list(request.headers)[-1]
    return replace(request, headers={**request.headers, name: change(request.headers[name])})


def _verify(scheme: str, request: SignedRequest, now: datetime = NOW, **changes: object) -> Verdict:
    return verify(_config(scheme, **changes), request, now)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_signed_delivery_is_accepted(scheme: str) -> None:
    assert _verify(scheme, _request(scheme)) == Verdict(True, f"signed as {scheme} with a known secret")


@pytest.mark.parametrize("scheme", COVERING_THE_BODY)
@pytest.mark.parametrize("body", [BODY + b"\n", BODY.replace(b"1", b"2"), b"", b"\xff\xfe\x00"])
def test_another_body_is_rejected(scheme: str, body: bytes) -> None:
    assert not _verify(scheme, replace(_request(scheme), body=body)).accepted


@pytest.mark.parametrize("scheme", SCHEMES)
def test_header_names_are_read_in_any_case(scheme: str) -> None:
    request = _request(scheme)
    for change in (str.lower, str.upper, str.title):
        changed = {change(name): value for name, value in request.headers.items()}
        assert _verify(scheme, replace(request, headers=changed)).accepted


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_header_is_required_filled_and_single(scheme: str) -> None:
    request = _request(scheme)
    for name, value in request.headers.items():
        others = {key: text for key, text in request.headers.items() if key != name}
        without = _verify(scheme, replace(request, headers=others))
        empty = _verify(scheme, replace(request, headers={**others, name: " \t"}))
        twice = _verify(scheme, replace(request, headers={**others, name.upper(): value, name.lower(): value}))
        assert [without.accepted, empty.accepted, twice.accepted] == [False] * 3
        assert without.reason.endswith(" is missing")
        assert empty.reason.endswith(" is empty")
        assert twice.reason.endswith(" came more than once")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "change",
    [
        lambda text: "é" + text,
        lambda text: text + "é",
        lambda text: text[:-1] + "٣",
        lambda text: text + "\ud800",
        lambda text: text + "\x00",
        lambda text: text[:-1],
        lambda _: "é" * 64,
        lambda _: "v1,",
        lambda _: "v1,*** v1a,***",
        lambda _: "t=,v1=",
        lambda _: "=",
        lambda _: "v0=" + "0" * 100_000,
    ],
)
def test_a_malformed_signature_is_rejected_and_raises_nothing(scheme: str, change: Callable[[str], str]) -> None:
    assert not _verify(scheme, _request(scheme, change)).accepted


@pytest.mark.parametrize("scheme", TIMESTAMPED)
@pytest.mark.parametrize(
    "timestamp",
    [
        *["", "now", "nan", "inf", "-inf", "1e9", "0x69", "+1767225600", "-1767225600", "1_767_225_600"],
        *["1767225600.0", "1767225600 0", "1767225600000", "9" * 400, "١٧٦٧٢٢٥٦٠٠", "²", "1767225600\n", "\ud800"],
    ],
)
def test_a_timestamp_that_is_not_unix_seconds_is_rejected(scheme: str, timestamp: str) -> None:
    request = SIGNED[scheme][1]
    headers = {name: value.replace(str(UNIX), timestamp) for name, value in request.headers.items()}
    assert not _verify(scheme, replace(request, headers=headers)).accepted


@pytest.mark.parametrize("scheme", TIMESTAMPED)
def test_the_timestamp_may_lie_five_minutes_to_either_side(scheme: str) -> None:
    for seconds, accepted in [(-301, False), (-300, True), (0, True), (300, True), (301, False)]:
        assert _verify(scheme, _request(scheme), NOW + timedelta(seconds=seconds)).accepted is accepted
    old = _verify(scheme, _request(scheme), NOW + timedelta(days=1))
    assert old.reason == "the timestamp is too old: 86400 s, allowed are 300 s"


@pytest.mark.parametrize("scheme", TIMESTAMPED)
def test_the_tolerance_can_be_changed(scheme: str) -> None:
    later = NOW + timedelta(seconds=11)
    assert not _verify(scheme, _request(scheme), later, tolerance_seconds=10).accepted
    assert _verify(scheme, _request(scheme), later, tolerance_seconds=11).accepted


@pytest.mark.parametrize("scheme", SCHEMES)
def test_either_of_two_secrets_is_taken_during_a_rotation(scheme: str) -> None:
    known = SIGNED[scheme][0]["secret"]
    other = {
        "standard-webhooks": new_standard_secret(),
        "standard-webhooks-ed25519": "whpk_" + base64.b64encode(bytes(range(32))).decode(),
    }.get(scheme, "another-secret")
    assert _verify(scheme, _request(scheme), secret=[known, other]).accepted
    assert _verify(scheme, _request(scheme), secret=[other, known]).accepted
    assert not _verify(scheme, _request(scheme), secret=[other]).accepted


@pytest.mark.parametrize("scheme", ["standard-webhooks", "standard-webhooks-ed25519", "stripe"])
def test_one_good_signature_among_several_is_enough(scheme: str) -> None:
    glue = ",v1=bad" if scheme == "stripe" else " v9,x v1,bad v1a,bad v1 , v1a,é"
    assert _verify(scheme, _request(scheme, lambda text: text + glue)).accepted


def test_standard_webhooks_takes_the_headers_under_svixs_name() -> None:
    headers = {name.replace("webhook", "svix"): value for name, value in _standard(STANDARD_V1).items()}
    assert _verify("standard-webhooks", SignedRequest(headers, BODY)).accepted
    mixed = {**headers, "webhook-signature": "v1,AAAA"}
    assert not _verify("standard-webhooks", SignedRequest(mixed, BODY)).accepted


def test_an_hmac_keyed_with_the_public_key_does_not_pass_for_ed25519() -> None:
    as_hmac_key = "whsec_" + PUBLIC_KEY.removeprefix("whpk_")
    forged = SignedRequest(sign_standard_webhooks(as_hmac_key, "msg_1", UNIX, BODY), BODY)
    as_v1a = replace(forged, headers={name: text.replace("v1,", "v1a,") for name, text in forged.headers.items()})
    assert not _verify("standard-webhooks-ed25519", forged).accepted
    assert not _verify("standard-webhooks-ed25519", as_v1a).accepted


def test_github_needs_its_prefix_in_lower_case_and_one_signature() -> None:
    for prefix in ["", "SHA256=", "sha1=", "=", "sha256=bad,sha256="]:
        request = SignedRequest({"X-Hub-Signature-256": prefix + SHA256_HEX}, BODY)
        assert not _verify("github", request).accepted
    assert not _verify("github", SignedRequest({"X-Hub-Signature": f"sha1={SHA1_HEX}"}, BODY)).accepted


def test_stripe_refuses_two_timestamps_and_a_downgrade() -> None:
    assert not _verify("stripe", _request("stripe", lambda text: f"{text},t={UNIX}")).accepted
    assert not _verify("stripe", _request("stripe", lambda text: text.replace("v1=", "v0="))).accepted


@pytest.mark.parametrize(
    "header",
    [
        SHA256_HEX,
        SHA256_HEX.upper(),
        f"sha256={SHA256_HEX}",
        base64.b64encode(bytes.fromhex(SHA256_HEX)).decode(),
        f"sha256=bad, sha256={SHA256_HEX}",
    ],
)
def test_generic_hmac_by_itself_takes_each_usual_form(header: str) -> None:
    assert _verify("generic-hmac", _request("generic-hmac", lambda _: header)).accepted


@pytest.mark.parametrize(
    ("changes", "header", "accepted"),
    [
        ({"algorithm": "sha1"}, SHA1_HEX, True),
        ({"algorithm": "HMAC-SHA-512"}, f"sha512={SHA512_HEX}", True),
        ({"algorithm": "sha512"}, SHA256_HEX, False),
        ({"encoding": "base64"}, SHA256_HEX, False),
        ({"encoding": "hex"}, SHA256_HEX.upper(), False),
        ({"prefix": "v1,"}, f"v1,{SHA256_HEX}", True),
        ({"prefix": "v1,"}, f"v2,{SHA256_HEX}", False),
        ({"prefix": ""}, f"sha256={SHA256_HEX}", False),
    ],
)
def test_generic_hmac_takes_only_the_form_that_is_configured(
    changes: dict[str, object], header: str, accepted: bool
) -> None:
    request = _request("generic-hmac", lambda _: header)
    assert verify(_config("generic-hmac", **changes), request, NOW).accepted is accepted


def test_twilio_signs_the_url_and_the_form_fields_in_order() -> None:
    signature = {"X-Twilio-Signature": "vBjQo37XAIJlQkqTtEbmhqo/VkA="}
    form = SignedRequest({**signature, **FORM}, b"From=%2B15550001&Body=Hi+there", TWILIO_URL)
    parsed = replace(form, body=b"", params={"From": "+15550001", "Body": "Hi there"})
    several = replace(parsed, params={"From": ["+15550001"], "Body": ["Hi there", "Hi there"]})
    assert [_verify("twilio", request).accepted for request in (form, parsed, several)] == [True] * 3
    more = replace(form, body=form.body + b"&To=1")
    elsewhere = replace(form, url=TWILIO_URL.replace("a=1", "a=2"))
    unsigned_body = replace(form, headers=signature)
    assert [_verify("twilio", request).accepted for request in (more, elsewhere, unsigned_body)] == [False] * 3


@pytest.mark.parametrize("port", [":443", ":8443", ""])
def test_twilio_may_have_signed_the_url_without_its_port(port: str) -> None:
    url = TWILIO_HASHED_URL.replace("example.org", f"example.org{port}")
    assert _verify("twilio", replace(_request("twilio"), url=url)).accepted


@pytest.mark.parametrize("url", [None, "", "/hooks/t", "ftp://x/", "https://", "https://x:port/", "https://[::1"])
def test_twilio_without_a_usable_url_is_rejected(url: str | None) -> None:
    assert "URL" in _verify("twilio", replace(_request("twilio"), url=url)).reason


@settings(max_examples=200, deadline=None)
@given(
    scheme=st.sampled_from(SCHEMES),
    values=st.lists(st.one_of(st.text(), st.binary().map(lambda b: b.decode("latin-1"))), min_size=3, max_size=3),
    body=st.binary(max_size=200),
    url=st.one_of(st.none(), st.text(), st.text().map("https://".__add__)),
)
def test_no_input_raises_and_none_is_accepted(
    scheme: str, values: list[str], body: bytes, url: str | None
) -> None:
    headers = dict(zip([*SIGNED[scheme][1].headers, "Content-Type"], [*values, *FORM.values()], strict=False))
    verdict = _verify(scheme, SignedRequest(headers, body, url))
    assert not verdict.accepted
    assert verdict.reason
