"""The form of a trigger that was created by other means, and its messages about wrong fields."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.triggers.registry import OFFERED
from tests.integration.web.test_web_triggers import shown
from tests.support.api import Api, running_api
from tests.support.database import rows
from tests.support.pages import Browser, signed_in

EVERYTHING: list[tuple[str, dict[str, Any]]] = [
    ("interval", {"seconds": 90}),
    (
        "interval",
        {"minutes": 0.1, "only_between": "22:00-06:00", "exclude": ["2030-12-25"], "jitter_seconds": 1.5},
    ),
    ("interval", {"seconds": 1234567.5}),
    ("cron", {"expr": "0 0 9 * * *", "seconds": "first", "timezone": "Asia/Tokyo", "until": "2090-01-01"}),
    ("once", {"at": "2001-01-01", "allow_past": True}),
    ("poll", {"url": "https://example.org/", "method": "POST", "body": {"a": [1, None]}, "interval_min": 7.25}),
    ("poll", {"url": "https://example.org/", "fire_on": "match", "match_value": "5", "repeat": True}),
    ("poll", {"url": "https://example.org/", "fire_on": "match", "match_value": "  two words "}),
    (
        "on_message",
        {"from_user": "grace", "channels": ["web"], "text_match": {"regex": "^a", "ignore_case": True}},
    ),
    ("on_message", {"from_user": "grace", "interval_seconds": 30}),
    ("on_message", {"from_user": "grace", "text_match": {"contains": "\n two\rlines "}}),
    ("poll", {"url": "https://example.org/", "read": "text", "regex": "a\nb", "ignore": [" c ", "d\ne"]}),
    ("file", {"root": "inbox", "on": ["removed", "new"]}),
    ("file", {"root": "inbox"}),
    (
        "webhook",
        {
            "signature": {
                "scheme": "generic-hmac",
                "secret": ["first secret", "second secret"],
                "header": "X-Sig",
                "algorithm": "sha512",
                "encoding": "base64",
                "prefix": "v=",
            },
            "filter": {"header": "X-Event", "equals": "  spaced "},
        },
    ),
]


@pytest.fixture
def api(database_url: str, tmp_path: Path) -> Iterator[Api]:
    """The application with a directory whose files can be watched."""
    with running_api(database_url, file_roots={"inbox": str(tmp_path)}) as running:
        yield running


@pytest.fixture
def browser(api: Api) -> Browser:
    return signed_in(api)


@pytest.fixture
def agent_id(api: Api) -> str:
    api.post("/users", {"name": "grace"})
    return str(api.agent("ada")["id"])


def trigger(api: Api, agent_id: str, kind: str, config: dict[str, Any], **more: Any) -> dict[str, Any]:
    return dict(api.post(f"/agents/{agent_id}/triggers", {"name": "t", "type": kind, "config": config} | more))


def held(api: Api) -> tuple[Any, ...]:
    (row,) = rows(api.db, "SELECT config, secret, anchor_at, updated_at FROM triggers WHERE NOT is_system")
    return tuple(row)


def edit(api: Api, browser: Browser, found: dict[str, Any], **changed: Any) -> dict[str, Any]:
    path = f"/triggers/{found['id']}/edit"
    response = browser.post(path, **shown(browser.get(path)) | changed)
    assert response.status_code == 303, response.text
    return dict(api.get(f"/triggers/{found['id']}"))


@pytest.mark.parametrize(("kind", "config"), EVERYTHING)
def test_whatever_the_api_accepts_is_saved_as_it_was(
    api: Api, browser: Browser, agent_id: str, kind: str, config: dict[str, Any]
) -> None:
    found = trigger(api, agent_id, kind, config, cooldown_seconds=0.25, expires_at="2090-01-01T00:00:00.123456Z")
    before = held(api)
    edit(api, browser, found)
    assert held(api) == before


@pytest.mark.parametrize(("kind", "config"), EVERYTHING)
def test_another_reason_leaves_the_config_alone(
    api: Api, browser: Browser, agent_id: str, kind: str, config: dict[str, Any]
) -> None:
    found = trigger(api, agent_id, kind, config)
    before = held(api)
    assert edit(api, browser, found, reason="Another.")["reason"] == "Another."
    assert held(api)[:3] == before[:3]


def test_what_has_several_lines_is_shown_on_several(api: Api, browser: Browser, agent_id: str) -> None:
    found = trigger(api, agent_id, "poll", {"url": "https://example.org/", "read": "text", "regex": "\na\nb"})
    form = browser.get(f"/triggers/{found['id']}/edit")
    assert re.search(r'<textarea id="f-config.regex"[^>]*>\n\na\nb</textarea>', form)
    found = trigger(
        api, agent_id, "on_message", {"from_user": "grace", "text_match": {"contains": "a\rb"}}, name="u"
    )
    assert '<textarea id="f-config.text_match.contains' in browser.get(f"/triggers/{found['id']}/edit")


def test_the_events_of_files_are_boxes_to_check(api: Api, browser: Browser, agent_id: str) -> None:
    found = trigger(api, agent_id, "file", {"root": "inbox", "on": ["new"]})
    path = f"/triggers/{found['id']}/edit"
    assert shown(browser.get(path))["config.on"] == ["new"]
    assert edit(api, browser, found, **{"config.on": ["changed", "removed"]})["config"]["on"] == [
        "changed",
        "removed",
    ]
    refused = browser.post(path, **shown(browser.get(path)) | {"config.on": ""})
    assert '<p class="error" id="e-config.on">Choose at least one.</p>' in refused.text
    fields: dict[str, Any] = {"name": "usual", "config.root": "inbox", "config.on": ["new", "changed", "removed"]}
    browser.post("/triggers/new", type="file", agent_id=agent_id, **fields)
    assert [each["config"] for each in api.get("/triggers")["items"] if each["name"] == "usual"] == [
        {"root": "inbox"}
    ]


def test_an_interval_of_seconds_is_shown_previewed_and_changed(api: Api, browser: Browser, agent_id: str) -> None:
    found = trigger(api, agent_id, "interval", {"seconds": 90})
    form = browser.get(f"/triggers/{found['id']}/edit")
    assert shown(form)["config.seconds"] == "90"
    assert shown(form)["config.minutes"] == ""
    changed = edit(api, browser, found, **{"config.seconds": "", "config.minutes": "5"})
    assert changed["config"] == {"minutes": 5}


def test_a_signature_that_is_emptied_goes_whole(api: Api, browser: Browser, agent_id: str) -> None:
    found = trigger(api, agent_id, "webhook", {"signature": {"scheme": "github", "secret": "s"}})
    assert edit(api, browser, found, **{"config.signature.scheme": ""})["config"] == {}
    assert rows(api.db, "SELECT secret FROM triggers WHERE NOT is_system")[0].secret is None


@pytest.mark.parametrize("kind", OFFERED)
def test_the_kinds_own_fields_come_first_and_the_optional_ones_are_folded(browser: Browser, kind: str) -> None:
    form = browser.get("/triggers/new", type=kind)
    plain, folded = form.split("<details", 1)
    assert 'name="max_fires"' in folded
    own = OFFERED[kind].main_fields
    assert all(f'name="config.{name}' in plain for name in own), own
    assert plain.index(f'name="config.{own[0]}') < plain.index('name="reason"')


def test_every_wrong_field_is_told_once_beside_it_in_words(browser: Browser, agent_id: str) -> None:
    fields = {"name": "", "config.expr": "", "config.jitter_seconds": "soon", "max_fires": "-1"}
    page = browser.post("/triggers/new", type="cron", agent_id=agent_id, **fields).text
    said = dict(re.findall(r'<p class="error" id="e-([^"]+)">([^<]+)</p>', page))
    assert said == {
        "name": "Enter a value.",
        "config.expr": "Enter a value.",
        "config.jitter_seconds": "Enter a number.",
        "max_fires": "0 or more.",
    }
    assert "config.expr:" not in page
    assert re.findall(r'id="f-([^"]+)"[^>]* autofocus', page) == ["name"]
    assert "<details open" in page


def test_errors_of_the_kind_are_shown_beside_the_field_without_its_path(browser: Browser, agent_id: str) -> None:
    page = browser.post("/triggers/new", type="cron", agent_id=agent_id, name="t", **{"config.expr": "61 * * * *"})
    said = dict(re.findall(r'<p class="error" id="e-([^"]+)">([^<]+)</p>', page.text))
    assert list(said) == ["config.expr"]
    assert "config." not in said["config.expr"]


@pytest.mark.parametrize(
    ("kind", "required"), [("cron", ["name", "config.expr"]), ("once", ["name", "config.at"])]
)
def test_what_must_be_given_is_marked_for_the_browser(browser: Browser, kind: str, required: list[str]) -> None:
    form = browser.get("/triggers/new", type=kind)
    assert re.findall(r'id="f-([^"]+)"[^>]* required', form) == required
