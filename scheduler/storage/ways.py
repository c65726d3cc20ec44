"""Lets transactions give the right of way to small work, or take it for theirs."""

from __future__ import annotations

from sqlalchemy import Connection

from scheduler.domain.right_of_way import WAY

GIVES_WAY, TAKES_WAY = "gives_way", "takes_way"
"""Execution options of a connection; the second one in seconds."""


def give_way(conn: Connection) -> None:
    """Lets each further statement on `conn` wait while small work is in progress. Its transaction stays open."""
    conn.execution_options(**{GIVES_WAY: True})


def take_way(conn: Connection, seconds: float) -> None:
    """Takes the right of way for small work, for so many seconds from now and from each further statement on `conn`:
    however slow the machine is, it lasts for the whole transaction.
    """
    WAY.take(seconds)
    conn.execution_options(**{TAKES_WAY: seconds})


def heed_right_of_way(conn: Connection, *_: object) -> None:
    """Gives or takes the right of way, before something is sent on `conn`."""
    options = conn.get_execution_options()
    if TAKES_WAY in options:
        WAY.take(options[TAKES_WAY])
    elif GIVES_WAY in options:
        WAY.give()
