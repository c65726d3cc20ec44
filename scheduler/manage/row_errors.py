"""Collects the errors in the rows of a bulk request, so that all are reported, each with its row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from scheduler.domain.errors import Conflict, Forbidden, InvalidField, NotFound, ReveilleError
from scheduler.domain.field_errors import MAX_ERRORS, MESSAGE_LENGTH, FieldError, InvalidRequest

MOST_ROWS = 1000
ROWS = "items"
"""The field of the request that holds the rows."""


class ConflictingRows(Conflict):
    """What is there already does not allow some of the rows."""

    def __init__(self, errors: list[FieldError]) -> None:
        told = InvalidRequest(errors)
        super().__init__(told.message, field=told.field)
        self.errors = errors


class RowErrors:
    """Collects errors row by row."""

    def __init__(self) -> None:
        self._errors: list[FieldError] = []
        self._refused: set[int] = set()
        self._only_conflicts = True

    @contextmanager
    def of(self, index: int) -> Iterator[None]:
        """Records an error raised in the block for that row, and continues."""
        try:
            yield
        except (InvalidField, Conflict, NotFound, Forbidden) as error:
            self.note(index, error)

    def note(self, index: int, error: ReveilleError) -> None:
        """Records an error of a row."""
        self._refused.add(index)
        self._only_conflicts = self._only_conflicts and isinstance(error, Conflict)
        found = error.errors if isinstance(error, InvalidRequest) else [_as_field(error)]
        for each in found:
            path = ".".join(part for part in (ROWS, str(index), each.field) if part)
            self._errors.append(each.model_copy(update={"field": path[:MESSAGE_LENGTH]}))

    def has(self, index: int) -> bool:
        """Whether that row has an error already."""
        return index in self._refused

    def note_repeated(self, names: Iterable[object]) -> None:
        """Records an error for each row whose name occurs earlier; `names` are those of the rows, in order."""
        seen: dict[object, list[int]] = defaultdict(list)
        for index, name in enumerate(names):
            if seen[name]:
                text = f"The name is repeated: row {seen[name][0]} has it too."
                self.note(index, InvalidField(text, field="name"))
            seen[name].append(index)

    def raise_all(self) -> None:
        """Raises InvalidRequest, or ConflictingRows if there are only conflicts; does nothing without errors."""
        if self._errors:
            shown = sorted(self._errors, key=_row)[:MAX_ERRORS]
            raise ConflictingRows(shown) if self._only_conflicts else InvalidRequest(shown)


def _as_field(error: ReveilleError) -> FieldError:
    return FieldError(field=error.field or "", rule=error.problem, message=error.message[:MESSAGE_LENGTH])


def _row(error: FieldError) -> int:
    return int(error.field.split(".")[1])
