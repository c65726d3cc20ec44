"""Runs COMMAND and sends it SIGTERM when PARENT dies: `python die_with_parent.py PARENT COMMAND…`.

On Linux the request (PR_SET_PDEATHSIG, prctl(2)) survives exec; on other systems this only runs the command. It is
a program of its own because running Python between fork and exec is not safe in a threaded process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

parent, *command = sys.argv[1:]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):  # the parent died before the request took effect
        sys.exit(1)
os.execvp(command[0], command)  # noqa: S606  # no shell is the point
