"""What the tests of `llm` agents share."""

from __future__ import annotations

import pytest

from scheduler.invocations import dispatch


@pytest.fixture(autouse=True)
def _patient_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run begins however long a busy machine took since its claim; tests/integration/invocations has the rule."""
    monkeypatch.setattr(dispatch, "STALE_SECONDS", 600.0)
