"""Which versions of PostgreSQL are refused, and how."""

from __future__ import annotations

import pytest

from scheduler.domain.errors import ConfigurationError
from scheduler.storage.migrate import check_version


@pytest.mark.parametrize("number", [140000, 150018, 180001])
def test_every_version_from_14_on_is_accepted(number: int) -> None:
    check_version(number)


@pytest.mark.parametrize(("number", "named"), [(130022, "13.22"), (120000, "12.0"), (90624, "9.624")])
def test_an_older_one_is_refused_in_one_line(number: int, named: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_version(number)
    assert refused.value.message == (
        f"The server at DATABASE_URL is PostgreSQL {named}, but Reveille needs 14 or newer: upgrade the server."
    )
