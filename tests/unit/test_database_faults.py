"""Which failures of a pass are a row's fault, and which are the database's or the network's."""

from __future__ import annotations

from typing import Any, cast

import psycopg
import pytest
from procrastinate.exceptions import ConnectorException
from sqlalchemy.exc import DBAPIError, OperationalError

from scheduler.clock.jobs import LedgerJob
from scheduler.clock.ledger_pass import MOST_PASS_FAILURES, PassFailures
from scheduler.storage.faults import blames_rows, may_blame_rows


def through_procrastinate(cause: psycopg.Error) -> ConnectorException:
    error = ConnectorException()
    error.__cause__ = cause
    return error


def through_sqlalchemy(cause: psycopg.Error) -> DBAPIError:
    return OperationalError("SELECT 1", {}, cause)


WRAPS = [lambda cause: cause, through_procrastinate, through_sqlalchemy]


class Job:
    """The part of a job that the strike count uses."""

    def __init__(self, job_id: str) -> None:
        self.id = job_id


def jobs(*ids: str) -> list[LedgerJob]:
    return [cast("LedgerJob", Job(each)) for each in ids]


@pytest.mark.parametrize("wrap", WRAPS, ids=["bare", "procrastinate", "sqlalchemy"])
@pytest.mark.parametrize(
    ("cause", "blames", "may"),
    [
        (psycopg.errors.NotNullViolation(), True, False),
        (psycopg.errors.RaiseException(), True, False),
        (psycopg.DataError(), True, True),
        (psycopg.OperationalError(), False, True),
        (psycopg.errors.AdminShutdown(), False, True),
        (psycopg.errors.OutOfMemory(), False, True),
        (psycopg.errors.DiskFull(), False, False),
        (psycopg.errors.TooManyConnections(), False, False),
        (psycopg.errors.DeadlockDetected(), False, False),
        (psycopg.errors.ReadOnlySqlTransaction(), False, False),
        (psycopg.errors.IoError(), False, False),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else str(each),
)
def test_an_error_of_the_driver_is_judged_by_itself_whoever_wraps_it(
    wrap: Any, cause: psycopg.Error, blames: bool, may: bool
) -> None:
    assert blames_rows(wrap(cause)) is blames
    assert may_blame_rows(wrap(cause)) is may


def test_a_connection_that_is_cut_a_few_times_costs_no_row() -> None:
    failures, cut = PassFailures(), psycopg.OperationalError()
    most = 2 * MOST_PASS_FAILURES - 1
    assert [failures.count(cut, jobs("a")) for _ in range(most)] == [False] * most
    assert failures.count(cut, jobs("a")), "alone, again and again"


def test_the_row_that_ends_every_connection_is_looked_for_by_halving() -> None:
    failures, cut = PassFailures(), psycopg.OperationalError()
    assert [failures.count(cut, jobs("a", "b")) for _ in range(MOST_PASS_FAILURES + 1)] == [
        False
    ] * MOST_PASS_FAILURES + [True]
    assert [failures.count(cut, jobs(each)) for each in "abbb"] == [False, False, False, True]
    failures.reset()
    assert not failures.count(cut, jobs("a", "b"))
