"""A broken rule is told in words for people, not in those of the library."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, ValidationError

from scheduler.domain.field_errors import field_errors


class _Order(BaseModel):
    count: int = Field(3, ge=1, le=1_000_000)
    share: float = Field(0.5, gt=0, lt=1, allow_inf_nan=False)
    code: str = Field("ab", min_length=2, max_length=4, pattern="^a")
    note: str = Field("x", min_length=1)
    rows: list[int] = Field([1, 2], min_length=2, max_length=3)
    size: Literal["small", "large"] = "small"
    gift: bool = False
    extras: dict[str, int] = {}
    at: datetime = datetime(2030, 1, 31, tzinfo=UTC)
    id: UUID = UUID(int=0)
    nothing: None = None


class _Shop(BaseModel):
    order: _Order


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("count", 0, "It must be at least 1"),
        ("count", 1_000_001, "It must be at most 1000000"),
        ("count", 1.5, "It must be a whole number"),
        ("count", "many", "It must be a whole number"),
        ("share", 0, "It must be more than 0"),
        ("share", 1, "It must be less than 1"),
        ("share", float("nan"), "It must be a finite number"),
        ("share", [], "It must be a number"),
        ("code", "a", "It must have at least 2 characters"),
        ("code", "abcde", "It must have at most 4 characters"),
        ("code", "ba", "It must match ^a"),
        ("code", None, "It must be a text"),
        ("note", "", "It must not be empty"),
        ("rows", [1], "There must be at least 2, not 1"),
        ("rows", [1, 2, 3, 4], "There may be at most 3, not 4"),
        ("rows", 7, "It must be a list"),
        ("size", "tiny", "It must be 'small' or 'large'"),
        ("gift", "perhaps", "It must be true or false"),
        ("extras", [], "It must be an object"),
        ("at", "soon", "It must be a time such as 2030-01-31T09:00:00Z"),
        ("id", "bell", "It must be an id, not a name"),
        ("nothing", 1, "It must be null"),
    ],
)
def test_a_broken_rule_is_told_in_plain_words(field: str, value: Any, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _Shop.model_validate({"order": {field: value}})
    (error,) = field_errors(caught.value)
    assert (error.field, error.message) == (f"order.{field}", said)


def test_what_is_missing_is_told_with_its_path() -> None:
    with pytest.raises(ValidationError) as caught:
        _Shop.model_validate({})
    (error,) = field_errors(caught.value, ("items", "3"))
    assert (error.field, error.rule, error.message) == ("items.3.order", "missing", "It is missing")
