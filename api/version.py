"""Which version of Reveille this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("reveille")
except PackageNotFoundError:
    VERSION = "0"
