"""Which version of Reveille this is."""

from __future__ import annotations

from config.installation import installed_version

VERSION = installed_version() or "0"
