"""The installed command. This module has a name of its own, so that it is found whatever hides our packages."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def main() -> None:
    """Runs the command, unless another project's package `scheduler` is imported in place of ours."""
    spec = importlib.util.find_spec("scheduler")
    origin = Path(spec.origin).resolve() if spec and spec.origin else None
    if origin != ROOT / "scheduler" / "__init__.py":
        sys.stderr.write(
            f"reveille: The package 'scheduler' of {origin or 'another project'} hides Reveille's own in {ROOT}: "
            "start it from another directory, without PYTHONPATH, or in an environment of its own (pipx, uv tool).\n"
        )
        sys.exit(2)
    from scheduler.cli import main as command

    command()
