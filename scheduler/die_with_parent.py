"""Runs COMMAND and asks it to stop when PARENT is gone: `python die_with_parent.py PARENT COMMAND…`.

Linux keeps the wish (PR_SET_PDEATHSIG, prctl(2)) over an exec; elsewhere this only runs the command.
A program of its own, for it is not safe to run Python between fork and exec while there are threads.
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
    if os.getppid() != int(parent):  # it was gone before the wish was made
        sys.exit(1)
os.execvp(command[0], command)  # noqa: S606  # no shell is the point
