"""Detects packages of another project that hide ours: `api` and `config` are common names."""

from __future__ import annotations

import importlib.util
from pathlib import Path

PACKAGES = ("api", "config")
ROOT = Path(__file__).resolve().parents[2]


def shadowed() -> str | None:
    """Returns a message when another project's package is imported in place of one of ours, else None."""
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve() if spec and spec.origin else None
        if found != ROOT / name / "__init__.py":
            return (
                f"The package {name!r} of {found or 'another project'} hides "
                f"Reveille's own in {ROOT}: start it from another directory, without PYTHONPATH, "
                "or in an environment of its own (pipx, uv tool)."
            )
    return None
