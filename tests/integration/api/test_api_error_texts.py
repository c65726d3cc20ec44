"""Error messages have clear titles, without pydantic's jargon."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.api import Api, running_api


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with running_api(database_url) as running:
        yield running


def test_a_wrong_signature_is_no_matter_of_api_keys(api: Api) -> None:
    config = {"signature": {"scheme": "github", "secret": "octopus"}}
    hook = api.trigger(api.agent()["id"], type="webhook", config=config)["hook_url"]
    path = f"//hooks/{hook.rpartition('/')[2]}"
    sender = api.as_(None)
    problem = sender.refused(401, "POST", path, {"a": 1}, headers={"X-Hub-Signature-256": "sha256=00"})
    assert problem["type"] == "urn:reveille:problem:bad-signature"
    assert "key" not in problem["title"]
    assert "WWW-Authenticate" not in sender.call("POST", path, {"a": 1}).headers
    assert "WWW-Authenticate" in sender.call("GET", "/agents").headers


def test_messages_do_not_begin_with_a_word_of_pydantics(api: Api) -> None:
    agent = api.agent()["id"]
    for kind, config in (
        ("interval", {"minutes": 1, "seconds": 1}),
        ("once", {"at": "tomorrow"}),
        ("cron", {"expr": "x"}),
        ("poll", {"url": "https://example.org", "json_path": "$.["}),
        ("poll", {"url": "https://example.org", "method": "GET", "body": "x"}),
        ("on_message", {"from_user": "nobody", "from_agent": "nobody"}),
    ):
        body = {"name": "bad", "type": kind, "config": config}
        problem = api.refused(422, "POST", f"/agents/{agent}/triggers", body)
        assert "Value error" not in str(problem), kind
        assert ".." not in problem["detail"], kind


def test_what_is_too_large_is_told_the_limit(api: Api) -> None:
    large = {"name": "x" * 2_000_000}
    assert "1048576" in api.refused(413, "POST", "/agents", large)["detail"]
    assert "65536" in api.as_(None).refused(413, "POST", "//hooks/any", large)["detail"]
