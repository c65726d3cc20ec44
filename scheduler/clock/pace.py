"""The size of full passes: beside other tenants a pass is short, so that theirs do not wait for it."""

from __future__ import annotations

from collections.abc import Callable

SHORT_SECONDS = 0.05
"""How long a full pass takes beside other tenants, whose work shares the interpreter, PostgreSQL and the processors
with it.
"""
FIRST_ROWS, FEWEST_ROWS = 500, 100
"""The rows of the first pass of a burst, before it is known how long they take, and the fewest of any.

A pass has about twenty statements, so smaller ones would mostly be overhead.
"""


class Pace:
    """Decides how many rows the next pass may claim, up to `most`. `now` returns seconds."""

    def __init__(self, most: int, now: Callable[[], float]) -> None:
        self._most = most
        self._now = now
        self._began_at = now()
        self.rows = min(FIRST_ROWS, most)

    def begin(self) -> None:
        """Notes that a pass begins."""
        self._began_at = self._now()

    def end(self, rows: int, *, is_full: bool, has_neighbours: bool) -> None:
        """Notes that the pass has committed `rows`, or that its write goes on while the next one is claimed."""
        if not is_full:
            self.rows = min(FIRST_ROWS, self._most)
        elif not has_neighbours:
            self.rows = self._most
        else:
            fitting = round(rows * SHORT_SECONDS / max(self._now() - self._began_at, 0.001))
            # At most doubled or halved, because a single pass may be slow for another reason.
            self.rows = min(max(fitting, rows // 2, FEWEST_ROWS), rows * 2, self._most)
