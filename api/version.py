"""The version of Reveille."""

from __future__ import annotations

from config.installation import installed_version

VERSION = installed_version() or "0"
