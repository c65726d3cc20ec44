"""The processor time of a test: what it takes says nothing of who else keeps the machine busy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def spends_less_than(seconds: float) -> Iterator[None]:
    """Fails if this thread works for longer."""
    before = time.thread_time()
    yield
    spent = time.thread_time() - before
    assert spent < seconds, f"it took {spent:.2f} s of the processor"
