"""The valid contents of a webhook's `config.signature`, and the secrets and signatures that Reveille makes."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook

from scheduler.domain.signatures import (
    SignatureConfig,
    SignedRequest,
    new_standard_secret,
    sign_standard_webhooks,
    verify,
)

BODY = '{"s":"ü"}'.encode()
STANDARD_SECRET = "whsec_YS1rZXktb2YtZXhhY3RseS0zMi1ieXRlcy1sZW5ndGg="
PUBLIC_KEY = "whpk_QkaHK4RiX825OeeFPTVjInOp8JnKcY8hDjN0TOPYWgs="


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"scheme": "sha256"}, "scheme", "Input should be"),
        ({"secret": ""}, "secret", "must not be blank"),
        ({"secret": " \n"}, "secret", "must not be blank"),
        ({"secret": []}, "secret", "must be one secret"),
        ({"secret": ["a", "b", "c"]}, "secret", "must be one secret"),
        ({"secret": ["a", ""]}, "secret", "must not be blank"),
        ({"secret": 7}, "secret", "must be a string"),
        ({"secret": "\ud800"}, "secret", "valid Unicode"),
        ({"scheme": "standard-webhooks", "secret": "whsec_not base64!"}, "secret", "must be base64"),
        ({"scheme": "standard-webhooks", "secret": "whsec_A=AA"}, "secret", "must be base64"),
        ({"scheme": "standard-webhooks", "secret": "whsec_A"}, "secret", "must be base64"),
        ({"scheme": "standard-webhooks", "secret": "whsec_"}, "secret", "must have a key"),
        ({"scheme": "standard-webhooks", "secret": PUBLIC_KEY}, "secret", "is an Ed25519 key"),
        ({"scheme": "standard-webhooks-ed25519", "secret": STANDARD_SECRET}, "secret", "must be the public key"),
        ({"scheme": "standard-webhooks-ed25519", "secret": "whpk_AAAA"}, "secret", "32 bytes, this one has 3"),
        ({"scheme": "standard-webhooks-ed25519", "secret": "whpk_é"}, "secret", "must be base64"),
        ({"scheme": "gitlab-token", "secret": "tökén"}, "secret", "printable ASCII"),
        ({"scheme": "gitlab-token", "secret": "token\n"}, "secret", "printable ASCII"),
        ({"header": "X-Mine"}, "header", "is only for generic-hmac; github has its own"),
        ({"algorithm": "sha256"}, "algorithm", "is only for generic-hmac"),
        ({"encoding": "hex"}, "encoding", "is only for generic-hmac"),
        ({"prefix": ""}, "prefix", "is only for generic-hmac"),
        ({"scheme": "generic-hmac"}, "header", "is required by generic-hmac"),
        ({"scheme": "generic-hmac", "header": "X Mine"}, "header", "is not a header name"),
        ({"scheme": "generic-hmac", "header": "X", "algorithm": "md5"}, "algorithm", "Input should be"),
        ({"scheme": "generic-hmac", "header": "X", "encoding": "base32"}, "encoding", "Input should be"),
        ({"tolerance_seconds": 60}, "tolerance_seconds", "needs a scheme that signs a timestamp"),
        ({"scheme": "slack", "tolerance_seconds": 0}, "tolerance_seconds", "greater than or equal to 1"),
        ({"scheme": "slack", "tolerance_seconds": 3601}, "tolerance_seconds", "less than or equal to 3600"),
        ({"scheme": "slack", "tolerance_seconds": "60"}, "tolerance_seconds", "valid integer"),
        ({"key": "x"}, "key", "There is no such field"),
    ],
)
def test_a_wrong_config_names_the_field_and_the_rule(changes: dict[str, object], field: str, rule: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SignatureConfig.model_validate({"scheme": "github", "secret": "octopus", **changes})
    (error,) = caught.value.errors()
    assert error["loc"] == (field,)
    assert rule in error["msg"]


def test_a_standard_secret_may_come_without_prefix_and_padding() -> None:
    bare = STANDARD_SECRET.removeprefix("whsec_").rstrip("=")
    config = SignatureConfig.model_validate({"scheme": "standard-webhooks", "secret": bare})
    headers = sign_standard_webhooks(STANDARD_SECRET, "msg_1", 1767225600, BODY)
    assert verify(config, SignedRequest(headers, BODY), datetime.fromtimestamp(1767225600, UTC)).accepted


def test_neither_repr_nor_error_shows_a_secret() -> None:
    with pytest.raises(ValidationError) as caught:
        SignatureConfig.model_validate({"scheme": "standard-webhooks", "secret": "s3cr3t!"})
    assert "s3cr3t" not in str(caught.value)
    assert "octopus" not in repr(SignatureConfig.model_validate({"scheme": "github", "secret": "octopus"}))


def test_our_own_signature_is_accepted_by_us_and_by_the_reference_library() -> None:
    secret = new_standard_secret()
    sent_at = datetime.now(UTC)  # noqa: TID251  # the library asks the process clock
    headers = sign_standard_webhooks(secret, "inv_1", int(sent_at.timestamp()), BODY)
    Webhook(secret).verify(BODY, headers)
    config = SignatureConfig.model_validate({"scheme": "standard-webhooks", "secret": secret})
    assert verify(config, SignedRequest(headers, BODY), sent_at).accepted


def test_new_secrets_differ_and_hold_32_bytes() -> None:
    one, two = new_standard_secret(), new_standard_secret()
    assert one != two
    assert len(base64.b64decode(one.removeprefix("whsec_"))) == 32
