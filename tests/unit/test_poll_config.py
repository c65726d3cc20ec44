"""The config of polls: every wrong type, range and combination is refused with the field's name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler.domain.errors import InvalidField
from scheduler.triggers.base import CheckContext, join_secrets, parse_config, split_secrets
from scheduler.triggers.poll import NOTHING, PollConfig, SeenValue
from scheduler.triggers.registry import TIMED, kind_of

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
URL = "https://api.example/jobs/7"


def _nothing_from_example(url: str, headers: Mapping[str, str]) -> None:
    if "refused" in url:
        raise InvalidField("The URL is refused.", field="url")
    if "Host" in headers:
        raise InvalidField("The header Host is set by the client itself.", field="headers")


CONTEXT = CheckContext(now=NOW, check_request=_nothing_from_example)


def poll(context: CheckContext = CONTEXT, **config: Any) -> PollConfig:
    parsed = parse_config(PollConfig, {"url": URL, **config}, context)
    assert isinstance(parsed, PollConfig)
    return parsed


def match(value: object, **config: Any) -> PollConfig:
    return poll(fire_on="match", match_value=value, **config)


def test_only_the_url_must_be_given() -> None:
    config = poll()
    assert (config.method, config.json_path, config.interval_min, config.fire_on) == ("GET", "$", 5, "change")
    assert kind_of("poll") is PollConfig
    assert "poll" in TIMED


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"url": None}, "url"),
        ({"url": 5}, "url"),
        ({"url": ""}, "url"),
        ({"url": "https://refused.example"}, "url"),
        ({"method": "get"}, "method"),
        ({"method": "DELETE"}, "method"),
        ({"method": "HEAD"}, "method"),
        ({"method": None}, "method"),
        ({"headers": "Authorization: x"}, "headers"),
        ({"headers": None}, "headers"),
        ({"headers": {"X-Count": 5}}, "headers.X-Count"),
        ({"headers": {"Host": "other.example"}}, "headers"),
        ({"headers": {"If-None-Match": '"a"'}}, "headers"),
        ({"headers": {"range": "bytes=0-9"}}, "headers"),
        ({"headers": {f"X-{n}": "" for n in range(51)}}, "headers"),
        ({"headers": {"X-Long": "a" * 17_000}}, "headers"),
        ({"method": "POST", "body": 5}, "body"),
        ({"method": "POST", "body": True}, "body"),
        ({"method": "POST", "body": "a" * 70_000}, "body"),
        ({"method": "POST", "body": {"a": float("nan")}}, "body"),
        ({"method": "POST", "body": "\ud800"}, "body"),
        ({"body": "q"}, "body"),
        ({"json_path": "a.b"}, "json_path"),
        ({"json_path": ""}, "json_path"),
        ({"json_path": "$["}, "json_path"),
        ({"json_path": 5}, "json_path"),
        ({"json_path": "$" + ".a" * 1001}, "json_path"),
        ({"interval_min": 4.99}, "interval_min"),
        ({"interval_min": 0}, "interval_min"),
        ({"interval_min": -5}, "interval_min"),
        ({"interval_min": 527_041}, "interval_min"),
        ({"interval_min": float("inf")}, "interval_min"),
        ({"interval_min": float("nan")}, "interval_min"),
        ({"interval_min": "5"}, "interval_min"),
        ({"interval_min": True}, "interval_min"),
        ({"fire_on": "rise"}, "fire_on"),
        ({"fire_on": None}, "fire_on"),
        ({"fire_on": "match"}, "match_value"),
        ({"match_value": "up"}, "match_value"),
        ({"match_value": None}, "match_value"),
        ({"fire_on": "match", "match_value": float("nan")}, "match_value"),
        ({"fire_on": "match", "match_value": "a" * 10_001}, "match_value"),
        ({"repeat": True}, "repeat"),
        ({"fire_on": "match", "match_value": 1, "repeat": 1}, "repeat"),
        ({"jsonpath": "$.a"}, "jsonpath"),
        ({"timezone": "UTC"}, "timezone"),
    ],
)
def test_a_wrong_field_is_named(config: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidField) as refused:
        poll(**config)
    assert refused.value.field == f"config.{field}"


@pytest.mark.parametrize("headers", [{"Host": "hidden"}, {"If-Match": "hidden"}, {"X-A": ["hidden"]}])
def test_a_refusal_never_repeats_what_may_be_a_secret(headers: dict[str, Any]) -> None:
    with pytest.raises(InvalidField) as refused:
        poll(headers=headers)
    assert "hidden" not in refused.value.message


def test_the_interval_may_be_a_fraction_but_not_under_the_floor_that_holds() -> None:
    assert poll(interval_min=7.5).interval_min == 7.5
    strict = CheckContext(now=NOW, min_poll_interval_min=10)
    assert poll(strict, interval_min=10).interval_min == 10
    for minutes in ({"interval_min": 9.9}, {}):
        with pytest.raises(InvalidField, match="below this agent's minimum of 10 minutes"):
            poll(strict, **minutes)


def test_the_first_look_is_at_once_and_the_others_on_a_grid() -> None:
    config = poll(interval_min=7.5)
    schedule = config.schedule("UTC", NOW, None)
    assert config.first_run(schedule, NOW) == NOW
    assert schedule.next_after(NOW) == NOW + timedelta(minutes=7.5)


def test_all_headers_are_secret() -> None:
    whole = {"url": URL, "headers": {"Authorization": "Bearer hidden"}}
    public, secrets = split_secrets(PollConfig, whole)
    assert public == {"url": URL}
    assert join_secrets(public, secrets) == whole


def test_a_body_is_sent_as_it_is_or_as_json() -> None:
    assert poll().content() is None
    assert poll(method="POST", body="a=1").content() == b"a=1"
    assert poll(method="POST", body={"query": "é"}).content() == b'{"query": "\\u00e9"}'


def test_one_node_is_its_value_several_are_a_list_and_none_is_nothing() -> None:
    document = {"a": [1, None], "b": None}
    assert poll(json_path="$.a[0]").select(document) == SeenValue(1)
    assert poll(json_path="$.b").select(document) == SeenValue(None)
    assert poll(json_path="$.a[*]").select(document) == SeenValue([1, None])
    assert poll(json_path="$.c").select(document) == NOTHING
    assert poll(json_path="$.a[2]").select(document) == NOTHING
    assert poll(json_path="$.a[:1]").select(document) == SeenValue([1])
    assert poll(json_path="$..c").select(document) == SeenValue([])


@pytest.mark.parametrize(
    ("before", "value", "fires"),
    [
        (None, 1, False),
        (SeenValue(1), 1.0, False),
        (SeenValue(1), True, True),
        (SeenValue(None), None, False),
        (SeenValue(None), False, True),
        (SeenValue({"a": 1, "b": 2}), {"b": 2, "a": 1}, False),
        (SeenValue([1, 2]), [2, 1], True),
        (SeenValue("1"), 1, True),
    ],
)
def test_change_compares_values_as_json(before: SeenValue | None, value: object, fires: bool) -> None:
    assert poll().fires(before, SeenValue(value)) is fires


def test_match_fires_on_becoming_equal_and_at_the_first_look_too() -> None:
    config = match("done")
    assert config.fires(None, SeenValue("done"))
    assert config.fires(SeenValue("busy"), SeenValue("done"))
    assert not config.fires(SeenValue("done"), SeenValue("done"))
    assert not config.fires(SeenValue("done"), SeenValue("busy"))
    assert not config.fires(None, SeenValue("busy"))


def test_repeat_fires_at_every_look_that_finds_it_equal() -> None:
    config = match("done", repeat=True)
    assert config.fires(SeenValue("done"), SeenValue("done"))
    assert not config.fires(SeenValue("done"), SeenValue("busy"))


@pytest.mark.parametrize(
    ("wanted", "value"), [("5", 5), ("true", True), ("null", None), (None, None), ("5", "5"), ([1], [1])]
)
def test_a_text_also_matches_the_json_text_of_a_scalar(wanted: object, value: object) -> None:
    assert match(wanted).fires(None, SeenValue(value))


@pytest.mark.parametrize(
    "edit",
    [
        {"url": URL + "/8"},
        {"method": "PUT"},
        {"body": "b"},
        {"json_path": "$"},
        {"fire_on": "match", "match_value": 1},
    ],
)
def test_a_seen_value_belongs_to_the_request_the_path_and_the_condition(edit: dict[str, Any]) -> None:
    base: dict[str, Any] = {"method": "POST", "body": "a", "json_path": "$.a"}
    assert poll(**base).fingerprint() != poll(**{**base, **edit}).fingerprint()
    assert match(1).fingerprint() != match(2).fingerprint()


def test_a_seen_value_outlives_other_edits() -> None:
    base = match(1).fingerprint()
    assert match(1, headers={"Authorization": "new"}, interval_min=60, repeat=True).fingerprint() == base


def test_nothing_is_remembered_and_no_value_of_json() -> None:
    assert poll().fires(NOTHING, SeenValue(None))
    assert poll().fires(SeenValue(None), NOTHING)
    assert not poll().fires(NOTHING, NOTHING)
    assert not poll().fires(None, NOTHING)
    assert match("done").fires(NOTHING, SeenValue("done"))
    assert not match(None).fires(None, NOTHING)


def test_a_list_of_one_value_is_that_value_to_a_match() -> None:
    config = match("done", json_path="$.jobs[?@.id == 7].state")
    assert config.fires(SeenValue([]), SeenValue(["done"]))
    assert not config.fires(SeenValue(["done"]), SeenValue(["done"]))
    assert not config.fires(SeenValue([]), SeenValue(["done", "done"]))
    assert match([1, 2], json_path="$[*]").fires(SeenValue([1]), SeenValue([1, 2]))
    assert not match("done").fires(SeenValue("busy"), SeenValue(["done"]))


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("$.foo-bar", "['foo-bar']"),
        ("$.a.foo-bar[0]", "['foo-bar']"),
        ("$..foo-bar", "['foo-bar']"),
        ("$.a[?@.foo-bar == 1]", "['foo-bar']"),
    ],
)
def test_a_name_that_the_standard_wants_in_brackets_is_refused_with_them(path: str, hint: str) -> None:
    with pytest.raises(InvalidField) as refused:
        parse_config(PollConfig, {"url": URL, "json_path": path}, CONTEXT)
    assert refused.value.field == "config.json_path"
    assert hint in refused.value.message
    assert poll(json_path="$['foo-bar']").select({"foo-bar": 1}) == SeenValue(1)
    assert PollConfig.model_construct(url=URL, json_path="$.foo-bar").select({"foo-bar": 1}) == SeenValue(1)
