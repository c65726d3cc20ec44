"""What a check sees: lists, missing values, exact numbers and letters, and validators that hide no change."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.polls import Polls, Site, answered

DATE = "Wed, 21 Oct 2015 07:28:10 GMT"


def test_a_path_that_can_select_several_nodes_gives_a_list_also_of_one_and_of_none(
    polls: Polls, site: Site
) -> None:
    poll = polls.make({"json_path": "$.jobs[*].id"})
    for ids in ([], [1], [1, 2], [], [3]):
        site.says({"jobs": [{"id": each} for each in ids]})
        polls.look(poll)
    assert polls.data(poll) == [
        {"old": [], "new": [1]},
        {"old": [1], "new": [1, 2]},
        {"old": [1, 2], "new": []},
        {"old": [], "new": [3]},
    ]
    assert (polls.state(poll).note, polls.state(poll).failures) == (None, 0)


def test_nothing_at_the_path_is_remembered_and_noted(polls: Polls, site: Site) -> None:
    poll = polls.make({"json_path": "$.state"})
    documents: list[Any] = [{}, {"state": None}, {}, {}]
    for document in documents:
        site.says(document)
        polls.look(poll)
    assert polls.data(poll) == [
        {"old": None, "new": None, "nothing": ["old"]},
        {"old": None, "new": None, "nothing": ["new"]},
    ]
    assert polls.state(poll).note == "The response has nothing at $.state."


def test_a_match_that_was_absent_for_a_while_fires_twice(polls: Polls, site: Site) -> None:
    poll = polls.make({"json_path": "$.state", "fire_on": "match", "match_value": "done"})
    for document in ({"state": "done"}, {"state": "done"}, {}, {"state": "done"}):
        site.says(document)
        polls.look(poll)
    assert polls.data(poll) == [{"new": "done"}, {"old": None, "new": "done", "nothing": ["old"]}]


def test_a_failure_or_a_missing_document_keeps_what_was_seen(polls: Polls, site: Site) -> None:
    poll = polls.make({"json_path": "$.state", "fire_on": "match", "match_value": "done"})
    for answer in (b'{"state": "done"}', None, b"", b"<html>", b'{"state": "done"}'):
        site.answer = answered("404 Not Found") if answer is None else answered(body=answer)
        polls.look(poll)
    assert len(polls.data(poll)) == 1


@pytest.mark.parametrize(
    ("path", "baseline", "same", "other"),
    [
        ("$[*]", "1", [1], [2]),
        ("$[*]", "[1, 2]", [1, 2], [1, 3]),
        ("$[*]", "[1]", [[1]], [[2]]),
        ("$[?@ > 1]", "2", [1, 2], [3]),
        ("$.a", "1", {"a": 1}, {"a": 2}),
        ("$[*]", "1", [], [2]),
        ("$.a", "1", {}, {"a": 1}),
    ],
)
def test_what_an_older_version_saw_fires_for_no_other_reason_than_a_change(
    polls: Polls, site: Site, path: str, baseline: str, same: object, other: object
) -> None:
    """It stored the only node of a list without the list, and kept a value when nothing was there."""
    poll = polls.make({"json_path": path})
    site.says(same)
    polls.look(poll)
    with polls.db.begin() as conn:
        conn.exec_driver_sql("UPDATE poll_states SET edited_at = NULL, baseline = %s", (baseline,))
    polls.look(poll)
    assert polls.data(poll) == []
    polls.look(poll)
    assert polls.data(poll) == []
    site.says(other)
    polls.look(poll)
    assert len(polls.data(poll)) == 1


@pytest.mark.parametrize(
    ("modified", "date", "is_sent"),
    [
        ("Wed, 21 Oct 2015 07:28:08 GMT", DATE, True),
        ("Wed, 21 Oct 2015 07:28:09 GMT", DATE, False),
        ("Wed, 21 Oct 2015 07:28:10 GMT", DATE, False),
        ("Wed, 21 Oct 2015 07:28:11 GMT", DATE, False),
        ("Wed, 21 Oct 2015 07:28:08 GMT", None, False),
        ("yesterday", DATE, False),
        ("Wednesday, 21-Oct-15 07:28:08 GMT", DATE, True),
    ],
)
def test_a_last_modified_within_a_second_of_its_date_hides_no_change(
    polls: Polls, site: Site, modified: str, date: str | None, is_sent: bool
) -> None:
    """RFC 9110 section 8.8.2.2: two contents of one second have the same one."""
    poll = polls.make()
    site.says("a", last_modified=modified, **({"date": date} if date else {}))
    polls.look(poll)
    polls.look(poll)
    assert site.seen[1].headers.get("if-modified-since") == (modified if is_sent else None)


@pytest.mark.parametrize(
    "edit",
    [
        {"headers": {"Accept-Language": "de"}},
        {"headers": {"Authorization": None}},
        {"method": "POST", "body": {"a": 1}},
    ],
)
def test_another_request_is_not_answered_by_the_validators_of_the_one_before(
    polls: Polls, site: Site, edit: dict[str, Any]
) -> None:
    poll = polls.make({"headers": {"authorization": "a"}})
    site.says("a", etag='"1"')
    polls.look(poll)
    polls.edit(poll, config=edit)
    site.says("b", etag='"1"')
    polls.check(*polls.pass_over())
    assert "if-none-match" not in site.seen[1].headers
    fired = [] if "method" in edit else [{"old": "a", "new": "b"}]
    assert polls.data(poll) == fired
    polls.look(poll)
    assert ("if-none-match" in site.seen[2].headers) is ("method" not in edit)


@pytest.mark.parametrize(
    ("sent", "patched", "kept"),
    [
        ("Authorization", {"authorization": "new"}, {"authorization": "new"}),
        ("authorization", {"AUTHORIZATION": "new"}, {"authorization": "new"}),
        ("Authorization", {"authorization": None}, {}),
        ("Authorization", {"X-New": "1"}, {"authorization": "old", "x-new": "1"}),
    ],
)
def test_the_names_of_headers_ignore_case_in_a_change(
    polls: Polls, site: Site, sent: str, patched: dict[str, Any], kept: dict[str, str]
) -> None:
    poll = polls.make({"headers": {sent: "old"}})
    polls.edit(poll, config={"headers": patched})
    polls.check(*polls.pass_over())
    asked = site.seen[-1].headers
    assert {name: asked[name] for name in ("authorization", "x-new") if name in asked} == kept


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        ("application/json; charset=iso-8859-1", "latin-1"),
        ("application/json; charset=windows-1252", "cp1252"),
        ("text/plain; Charset='GBK'", "gbk"),
        ("application/json", "utf-16"),
        ("application/json; charset=utf-8", "utf-8-sig"),
        ("application/json; charset=unknown", "utf-8"),
        ("application/json; charset=us-ascii", "utf-8"),
    ],
)
def test_json_is_read_in_its_declared_charset_or_by_its_mark(
    polls: Polls, site: Site, content_type: str, encoding: str
) -> None:
    text = "部署" if encoding == "gbk" else "é"
    poll = polls.make({"fire_on": "match", "match_value": text})
    site.answer = answered(body=f'"{text}"'.encode(encoding), content_type=content_type)
    polls.look(poll)
    assert polls.data(poll) == [{"new": text}]


def test_numbers_beyond_a_double_are_compared_exactly(polls: Polls, site: Site) -> None:
    poll = polls.make()
    same = (b"1", b"1.0", b"1.00", b"1e0", b"0.01E2", b"1.00000000000000000000")
    bodies = (*same, b"1.00000000000000000001", b"1e400", b"10.0e399", b"1e401", b"12345678901234567.89")
    for body in bodies:
        site.answer = answered(body=body)
        polls.look(poll)
    assert [each["new"] for each in polls.data(poll)] == [
        "1.00000000000000000001",
        "1e400",
        "1e401",
        "12345678901234567.89",
    ]
    assert polls.state(poll).baseline == "12345678901234567.89"


def test_a_firing_keeps_the_numbers_and_doubled_keys_that_were_sent(polls: Polls, site: Site) -> None:
    poll = polls.make()
    for body in (
        b"10.0",
        b"10.00",
        b"10.50",
        b'{"a": 1, "a": -0}',
        b'{"n": [1e2, 12345678901234567.89], "t": "\\u00e9"}',
        b"7" * 5_000,
        b"1",
    ):
        site.answer = answered(body=body)
        polls.look(poll)
    digits = "7" * 5_000
    doubled, whole = '{"a": 1, "a": -0}', '{"n": [1e2, 12345678901234567.89], "t": "é"}'
    n = {"n": [100.0, "12345678901234567.89"], "t": "é"}
    assert polls.data(poll) == [
        {"old": 10, "new": 10.5, "as_sent": {"old": "10.00", "new": "10.50"}},
        {"old": 10.5, "new": {"a": 0}, "as_sent": {"old": "10.50", "new": doubled}},
        {"old": {"a": 0}, "new": n, "as_sent": {"old": doubled, "new": whole}},
        {"old": n, "new": digits, "as_sent": {"old": whole, "new": digits}},
        {"old": digits, "new": 1, "as_sent": {"old": digits}},
    ]


def test_a_number_that_is_no_double_is_waited_for_as_a_text(polls: Polls, site: Site) -> None:
    poll = polls.make({"fire_on": "match", "match_value": "1.00000000000000000001"})
    for body in (b"1", b"1.00000000000000000001"):
        site.answer = answered(body=body)
        polls.look(poll)
    assert [each["new"] for each in polls.data(poll)] == ["1.00000000000000000001"]


def test_of_a_key_that_is_there_twice_the_last_counts_and_the_note_says_so(polls: Polls, site: Site) -> None:
    poll = polls.make({"json_path": "$.a"})
    for body in (b'{"a": 1, "a": 2}', b'{"a": 3, "a": 2}', b'{"a": 3, "a": 4}'):
        site.answer = answered(body=body)
        polls.look(poll)
        assert "key 'a' twice" in polls.state(poll).note
    assert polls.data(poll) == [{"old": 2, "new": 4}]
