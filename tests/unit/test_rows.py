"""Rows passed between functions are typed: a dataclass, a NamedTuple or a table says which columns they have."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.storage.read_models.trigger_lists import ListedTrigger
from scheduler.storage.rows import reader

ROOT = Path(__file__).resolve().parents[2]


def annotated(tree: ast.AST) -> Iterator[ast.expr]:
    """Returns every annotation of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            yield node.annotation
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            yield node.returns


@pytest.mark.parametrize("package", ["api", "config", "scheduler"])
def test_no_function_takes_or_gives_a_row_without_names(package: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}:{each.lineno}"
        for path in (ROOT / package).rglob("*.py")
        for each in annotated(ast.parse(path.read_text()))
        if any(isinstance(part, ast.Name) and part.id == "Row" for part in ast.walk(each))
    }
    assert not found, "name its columns in a dataclass or NamedTuple, and read it by scheduler/storage/rows.py"


def test_a_row_without_a_column_that_is_named_is_refused() -> None:
    with pytest.raises(TypeError, match="agent_name"):
        reader(ListedTrigger, ["id", "agent_id"])(["1", "2"])
