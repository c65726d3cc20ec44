"""Migrations only expand, so that processes of the previous version keep running while a release migrates and
replaces them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

VERSIONS = Path(__file__).parents[2] / "scheduler/storage/migrations/versions"
MIGRATIONS = sorted(VERSIONS.glob("[0-9]*.py"))
UNRELEASED = {
    "0004_messages.py": ["a unique index goes"],
    "0013_events_of_senders.py": ["a unique index goes"],
}
"""Migrations from before the first release, when there was no previous version."""

CONTRACTING = {
    "a table, column, type or function goes": r"\bDROP\s+(TABLE|COLUMN|TYPE|FUNCTION|VIEW|SEQUENCE)\b",
    "a trigger goes": r"\bDROP\s+TRIGGER\b",
    "a unique index goes": r"\bDROP\s+INDEX\s+(CONCURRENTLY\s+)?(IF\s+EXISTS\s+)?(uq|pk)_",
    "something is renamed": r"\bRENAME\b",
    "a column is changed": r"\bALTER\s+(COLUMN\s+)?\w+\s+(SET\s+NOT\s+NULL|TYPE|SET\s+DATA\s+TYPE|DROP\s+DEFAULT)\b",
    "a column is needed that the version before does not write": (
        r"\bADD\s+COLUMN\s+(?![^,;]*\bDEFAULT\b)[^,;]*\bNOT\s+NULL\b"
    ),
    "rows are deleted": r"\bDELETE\s+FROM\b|\bTRUNCATE\b",
}
CALLS = {"drop_table", "drop_column", "alter_column", "rename_table", "drop_constraint"}


BEFORE_BUILDS = 38
"""The last migration that might still build an index while it kept requests from writing."""
INDEX = re.compile(r"\bCREATE\s+(?:UNIQUE\s+)?INDEX\s+(?:IF\s+NOT\s+EXISTS\s+)?\w+\s+ON\s+(\w+)", re.IGNORECASE)


def contractions(source: str) -> list[str]:
    """Returns what a migration's upgrade takes away from the previous version."""
    tree = ast.parse(source)
    tree.body = [each for each in tree.body if not _is_way_down(each)]
    found = {
        name
        for sql in _texts(tree)
        for name, pattern in CONTRACTING.items()
        if re.search(pattern, sql, re.IGNORECASE)
    }
    found |= {
        f"op.{call.func.attr}"
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in CALLS
    }
    return sorted(found)


def _is_way_down(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.FunctionDef):
        return statement.name == "downgrade"
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return any(isinstance(each, ast.Name) and each.id == "DOWN" for each in targets)


def _texts(tree: ast.AST) -> Iterator[str]:
    """Returns strings, including f-strings as a whole, without SQL's comments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [each.value if isinstance(each, ast.Constant) else "x" for each in node.values]
            yield re.sub(r"--.*", "", "".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"--.*", "", node.value)


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.name)
def test_a_migration_takes_nothing_away(path: Path) -> None:
    assert contractions(path.read_text()) == UNRELEASED.get(path.name, [])


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE agents DROP COLUMN name",
        "DROP TABLE agents",
        "ALTER TABLE agents RENAME name TO title",
        "ALTER TABLE agents ALTER COLUMN name SET NOT NULL",
        "ALTER TABLE agents ALTER name TYPE text",
        "ALTER TABLE agents ADD COLUMN a text, ADD COLUMN b text NOT NULL",
        "DROP INDEX uq_agents_name",
        "DELETE FROM jobs",
    ],
    ids=str,
)
def test_what_takes_something_away_is_seen(statement: str) -> None:
    assert contractions(f'def upgrade():\n    op.execute("{statement}")\n')
    assert contractions(f'def downgrade():\n    op.execute("{statement}")\n') == []


def test_what_only_adds_is_let_pass() -> None:
    good = (
        "ALTER TABLE a ADD COLUMN b int NOT NULL DEFAULT 0, ADD COLUMN c int DEFAULT 1 NOT NULL, ADD COLUMN d text"
    )
    assert contractions(f'def upgrade():\n    op.execute("{good}")\n') == []
    assert contractions('def upgrade():\n    op.drop_column("agents", "name")\n') == ["op.drop_column"]


def blocking_indexes(source: str) -> set[str]:
    """Returns the tables of other migrations to which a migration keeps requests from writing while it builds."""
    tree = ast.parse(source)
    tree.body = [each for each in tree.body if not _is_way_down(each)]
    texts = list(_texts(tree))
    made = {name for sql in texts for name in re.findall(r"\bCREATE\s+TABLE\s+(\w+)", sql, re.IGNORECASE)}
    return {name for sql in texts for name in INDEX.findall(sql)} - made


@pytest.mark.parametrize("path", MIGRATIONS[BEFORE_BUILDS:], ids=lambda path: path.name)
def test_a_migration_builds_indexes_beside_requests(path: Path) -> None:
    """With `build_index`, unless the table is new."""
    assert blocking_indexes(path.read_text()) == set()


def test_an_index_that_keeps_requests_from_writing_is_seen() -> None:
    upgrade = 'def upgrade():\n    op.execute("""{}""")\n'
    assert blocking_indexes(upgrade.format("CREATE INDEX ix_a ON a (b)")) == {"a"}
    assert blocking_indexes(upgrade.format("CREATE TABLE a (b int); CREATE UNIQUE INDEX uq_a ON a (b)")) == set()
    assert blocking_indexes('def upgrade():\n    build_index("ix_a", "a (b)")\n') == set()
