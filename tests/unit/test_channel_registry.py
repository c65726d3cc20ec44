"""The fields that create a channel, and the available kinds."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.channels.registry import KINDS, open_channel
from scheduler.domain.errors import InvalidField


def test_every_kind_is_found_by_its_name() -> None:
    assert set(KINDS) == {"slack", "discord", "feishu", "telegram", "teams", "mattermost"}


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidField, match="slack, discord, feishu") as refused:
        open_channel("pigeon", {})
    assert refused.value.field == "kind"


@pytest.mark.parametrize(
    ("kind", "secrets", "field"),
    [
        ("slack", {}, "secrets.signing_secret"),
        ("slack", {"signing_secret": ""}, "secrets.signing_secret"),
        ("slack", {"signing_secret": " a"}, "secrets.signing_secret"),
        ("slack", {"signing_secret": "a\nb"}, "secrets.signing_secret"),
        ("slack", {"signing_secret": "ü"}, "secrets.signing_secret"),
        ("slack", {"signing_secret": 5}, "secrets.signing_secret"),
        ("slack", {"signing_secret": "a", "token": "b"}, "secrets.token"),
        ("discord", {"public_key": "00"}, "secrets.public_key"),
        ("discord", {"public_key": "zz" * 32}, "secrets.public_key"),
        ("discord", {"public_key": "00" * 32 + "\n"}, "secrets.public_key"),
        ("telegram", {"secret_token": "with space"}, "secrets.secret_token"),
        ("telegram", {"secret_token": "x" * 257}, "secrets.secret_token"),
        ("teams", {"security_token": "not base64"}, "secrets.security_token"),
        ("teams", {"security_token": "AAAAA"}, "secrets.security_token"),
        ("mattermost", {}, "secrets.token"),
        ("feishu", {"encrypt_key": "k"}, "secrets.verification_token"),
        ("feishu", {"verification_token": "t", "encrypt_key": ""}, "secrets.encrypt_key"),
    ],
)
def test_secrets_that_cannot_work_are_refused_by_name(kind: str, secrets: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidField) as refused:
        open_channel(kind, secrets)
    assert refused.value.field == field
    assert field in refused.value.message


def test_an_open_channel_shows_no_secret() -> None:
    assert "hush" not in repr(open_channel("slack", {"signing_secret": "hush"}))
