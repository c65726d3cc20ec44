"""Acknowledgements are read from whatever an agent sends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scheduler.domain.acks import MAX_ACKS, Ack, AckStatus, read_acks
from scheduler.domain.errors import InvalidField
from scheduler.domain.ids import new_id

FIRING = new_id()
GOOD = {"firing_id": str(FIRING), "status": "handled"}


def test_valid_acknowledgements_are_read() -> None:
    later = {"firing_id": str(FIRING), "status": "deferred", "until": "2030-01-31T10:00:00+01:00"}
    naive = later | {"until": "2030-01-31T09:00:00"}
    at = datetime(2030, 1, 31, 9, tzinfo=UTC)
    acks, wrong = read_acks([GOOD, {**GOOD, "status": "ignored", "until": None}, later, naive])
    assert acks == [
        Ack(FIRING, AckStatus.HANDLED),
        Ack(FIRING, AckStatus.IGNORED),
        Ack(FIRING, AckStatus.DEFERRED, at),
        Ack(FIRING, AckStatus.DEFERRED, at),
    ]
    assert wrong == []
    assert read_acks([]) == ([], [])


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (None, "must be an object"),
        ("handled", "must be an object"),
        ([GOOD], "must be an object"),
        ({}, "firing_id must be"),
        ({"firing_id": 7, "status": "handled"}, "firing_id must be"),
        ({"firing_id": [[[]]], "status": "handled"}, "firing_id must be"),
        ({"firing_id": "a\x00\ud800" * 500, "status": "handled"}, "firing_id must be"),
        ({"firing_id": str(FIRING)}, "handled, deferred, ignored"),
        ({"firing_id": str(FIRING), "status": "done"}, "handled, deferred, ignored"),
        ({"firing_id": str(FIRING), "status": "deferred"}, "needs until"),
        ({"firing_id": str(FIRING), "status": "deferred", "until": "soon"}, "RFC 3339"),
        ({"firing_id": str(FIRING), "status": "deferred", "until": 1893456000}, "RFC 3339"),
        ({"firing_id": str(FIRING), "status": "deferred", "until": "0001-01-01T00:00:00+23:00"}, "RFC 3339"),
        ({"firing_id": str(FIRING), "status": "handled", "until": "2030-01-01T00:00:00Z"}, "not with handled"),
    ],
)
def test_an_invalid_acknowledgement_does_not_affect_the_others(entry: object, said: str) -> None:
    acks, [wrong] = read_acks([GOOD, entry, GOOD])
    assert len(acks) == 2
    assert wrong.error is not None
    assert said in wrong.error
    assert "\x00" not in wrong.firing_id
    assert len(wrong.firing_id.encode()) <= 100


@pytest.mark.parametrize("value", [None, 7, "handled", {}, {"firing_id": "x"}])
def test_anything_but_a_list_is_one_error(value: object) -> None:
    acks, [wrong] = read_acks(value)
    assert acks == []
    assert wrong.error is not None
    assert "must be a list" in wrong.error


def test_more_than_an_invocation_can_carry_are_not_read() -> None:
    acks, wrong = read_acks([GOOD] * (MAX_ACKS + 5))
    assert len(acks) == MAX_ACKS
    assert len(wrong) == 1


def test_deferring_needs_a_time_and_nothing_else_has_one() -> None:
    with pytest.raises(InvalidField, match="needs until"):
        Ack(FIRING, AckStatus.DEFERRED)
    with pytest.raises(InvalidField, match="not with ignored"):
        Ack(FIRING, AckStatus.IGNORED, datetime(2030, 1, 1, tzinfo=UTC))
