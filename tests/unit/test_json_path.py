"""JSON paths follow the standard (RFC 9535), within limits for any document and expression."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.domain.errors import InvalidField
from scheduler.domain.json_path import (
    JsonPathTooCostly,
    compile_path,
    json_equal,
    json_path_line,
    matches,
)
from tests.support import conformance

ROWS = [{"id": number, "tags": ["x", {"deep": [1, 2]}]} for number in range(15_000)]
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=12,
)

EXPRESSIONS = ["$..*", "$.a[?@.b]", "$[?@ == $.a]", "$..[::-1]", "$[?length(@.a) > 1]", "$..[?@ < $.b || !@.c]"]
EXPRESSIONS += ["$[?search(@.a, $.b)]", "$[?count(@.*) >= 1]['a', 0]", "$[?value(@..b) != null]"]


def _find(expression: str, document: object) -> list[Any]:
    return compile_path(expression).find(document)


def test_the_whole_compliance_suite_passes() -> None:
    misses: dict[str, object] = {}
    tests = conformance.load("jsonpath/cts.json")["tests"]
    for test in tests:
        try:
            outcome: object = _find(test["selector"], test.get("document"))
        except InvalidField:
            outcome = "invalid"
        expected = ["invalid"] if test.get("invalid_selector") else test.get("results") or [test["result"]]
        if not any(json_equal(outcome, one) for one in expected):
            misses[test["name"]] = outcome
    assert len(tests) >= 703
    assert misses == {}


@pytest.mark.parametrize("document", ["5", "", '{"a": 1}', "{", 5, 1.5, True, None, [], {}])
def test_any_document_is_taken_as_it_is_and_a_string_never_parsed(document: object) -> None:
    assert _find("$", document) == [document]
    assert _find("$.a", document) == _find("$[0]", document) == _find("$..*", document) == []


def test_a_slice_selects_nothing_of_a_string() -> None:
    assert _find("$..[0:2]", {"a": "abc", "b": [1, 2, 3]}) == [1, 2]


def test_the_root_in_a_nested_filter_is_the_document() -> None:
    document = {"wanted": 2, "rows": [{"parts": [1]}, {"parts": [2]}]}
    assert _find("$.rows[?@.parts[?@ == $.wanted]]", document) == [{"parts": [2]}]


def test_parts_are_compared_as_json_at_every_depth() -> None:
    document = {"one": [1], "rows": [{"v": [True]}, {"v": [1.0]}]}
    assert _find("$.rows[?@.v == $.one]", document) == [{"v": [1.0]}]
    assert _find("$.rows[?@.v != $.one]", document) == [{"v": [True]}]
    assert _find("$.rows[?@.v >= $.one]", document) == [{"v": [1.0]}]


@pytest.mark.parametrize(
    ("pattern", "matching", "searched"),
    [
        ("[0-9]{10}", ["0123456789"], ["0123456789", "x0123456789"]),
        ("a{2,12}", ["aa"], ["aa"]),
        ("[.]b|.", ["é"], ["0123456789", "x0123456789", "aa", "é", "a\nb"]),
        (r"\d+", [], []),
    ],
)
def test_regular_expressions_are_i_regexps(pattern: str, matching: list[str], searched: list[str]) -> None:
    texts = ["0123456789", "x0123456789", "aa", "é", "a\nb", "\n", 1, None]
    assert _find(f"$[?match(@, {json.dumps(pattern)})]", texts) == matching
    assert _find(f"$[?search(@, {json.dumps(pattern)})]", texts) == searched


@pytest.mark.parametrize(
    ("expression", "what"),
    [
        ("", "Not a JSON path"),
        ("a.b", "Not a JSON path"),
        ("$.", "at position"),
        ("$[?(@.a)", "Not a JSON path"),
        ("$.a | $.b", "Not a JSON path"),
        ("$[?nosuch(@)]", "nosuch"),
        ("$[9007199254740992]", "index out of range"),
        ("$" + "[?@" * 300 + "]" * 300, "recursion"),
        ("$" + ".a" * 1000, "longer than 2000 characters"),
    ],
)
def test_a_bad_expression_is_an_invalid_field(expression: str, what: str) -> None:
    with pytest.raises(InvalidField) as caught:
        compile_path(expression)
    assert caught.value.field == "json_path"
    assert what in caught.value.message


@pytest.mark.parametrize(
    ("expression", "document"),
    [
        ("$..*", ROWS),
        ("$..*..*..nosuch", ROWS),
        ("$[?count(@..*..*..*..*) > 5]", [ROWS] * 9),
        ("$[?$[0] == $[1]]", [ROWS, ROWS, *range(10_000)]),
        ("$..a", json.loads('{"a":' * 500 + "1" + "}" * 500)),
        ("$[" + "'a'," * 400 + "'a']", {"a": "x" * 100_000}),
        ("$[?match(@, '((a+)+)+b')]", ["a" * 3000] * 300),
        ("$[?search(@, '(a|aa)+$')]", ["a" * 60 + "b"] * 300),
        ("$[?search(@, $[0])]", ["(" * 49 + "a" + ")+" * 49]),
    ],
)
def test_what_would_take_too_long_or_select_too_much_is_stopped(expression: str, document: object) -> None:
    path = compile_path(expression)
    before = time.thread_time()
    with pytest.raises(JsonPathTooCostly):
        path.find(document)
    assert time.thread_time() - before < 3


def test_a_path_may_be_shared_by_threads() -> None:
    path = compile_path("$[?@.a == $[0].a && match(@.b, $[0].b)].c")
    documents = [[{"a": n, "b": f"x{n}", "c": n}, {"a": n + 1, "b": "x.", "c": -1}] for n in range(500)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(path.find, documents)) == [[n] for n in range(500)]


@settings(max_examples=300, deadline=None)
@given(
    document=JSON,
    expression=st.sampled_from(EXPRESSIONS),
)
def test_no_document_makes_a_path_fail(document: object, expression: str) -> None:
    with suppress(JsonPathTooCostly):
        assert isinstance(_find(expression, document), list)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (None, False, False),
        ("1", 1, False),
        ({"a": 1, "b": [2]}, {"b": [2.0], "a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"b": 1}, False),
        ({"a": None}, {}, False),
        ([1, 2], [2, 1], False),
        ([1], [1, 1], False),
        ([], {}, False),
        (9007199254740993, 9007199254740992.0, False),
    ],
)
def test_values_are_compared_as_json(left: object, right: object, equal: bool) -> None:
    assert json_equal(left, right) is json_equal(right, left) is equal


def test_values_nested_deeper_than_python_recurses_are_compared() -> None:
    one: list[Any] = []
    two: list[Any] = []
    for _ in range(5000):
        one, two = [one], [two]
    assert json_equal(one, two)


@given(JSON)
def test_a_value_equals_itself_after_a_trip_through_json(value: object) -> None:
    assert json_equal(value, json.loads(json.dumps(value)))


@pytest.mark.parametrize(
    ("value", "match_value", "expected"),
    [
        ("done", "done", True),
        (True, "true", True),
        (None, "null", True),
        (3, "3", True),
        (3.5, "3.5", True),
        (1, "true", False),
        (True, "True", False),
        (3, "three", False),
        (3, "1" * 5000, False),
        (3, "[" * 5000, False),
        ("3", 3, False),
        ("true", True, False),
        ([1], "[1]", False),
        ({"a": 1}, {"a": 1.0}, True),
    ],
)
def test_a_string_also_matches_a_scalars_json_text(value: object, match_value: object, expected: bool) -> None:
    assert matches(value, match_value) is expected


def test_the_tool_answers_values_or_an_error() -> None:
    assert json_path_line({"path": "$.a", "document": {"a": None}}) == {"values": [None]}
    assert json_path_line({"path": "$", "document": None}) == {"values": [None]}
    assert json_path_line({"path": "a", "document": {}})["error"].startswith("Not a JSON path")
    assert "selects too much" in json_path_line({"path": "$..*", "document": ROWS})["error"]
    for line in ({}, {"path": "$"}, {"path": 1, "document": 1}, {"document": 1}):
        assert json_path_line(line) == {"error": "The line needs path (a string) and document (any JSON)."}
