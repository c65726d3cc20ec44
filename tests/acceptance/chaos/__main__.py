"""`python -m tests.acceptance.chaos [SECONDS] [SEED]`: each fault once, then random ones until SECONDS (default 600)
are over.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

from tests.acceptance.chaos.run import run_chaos


def main(arguments: list[str]) -> int:
    """Runs the test for SECONDS (default 600) with SEED (default: a new one)."""
    seconds = float(arguments[0]) if arguments else 600.0
    seed = int(arguments[1]) if len(arguments) > 1 else random.SystemRandom().randrange(10**6)
    print(f"chaos for {seconds:.0f} s with seed {seed}", flush=True)  # noqa: T201
    with tempfile.TemporaryDirectory(prefix="reveille-chaos-") as directory:
        Path(directory).chmod(0o755)
        report = run_chaos(Path(directory), seed=seed, seconds=seconds)
    print("\n".join(report.lines()))  # noqa: T201
    return 1 if report.failures() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
