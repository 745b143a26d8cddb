"""Locks between processes, which the system frees however their holder ends.

A lock is the system's (``flock``, by the filelock package), on a file that stays beside what it
protects and says who has it.
"""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from pathlib import Path

from filelock import FileLock, Timeout

#: s; enough for a second try where the last holder removed the file just when it was opened
PATIENCE = 0.1


class Held(Exception):
    """Another process has the lock; says which."""


def take(path: Path) -> FileLock:
    """Take a lock for this process, now or not at all; ``release()`` gives it back.

    Parameters
    ----------
    path
        Of the file, which is made where it is missing; its folder too.

    Raises
    ------
    Held
        Its message is the holder: ``process 71 on node3 (pet-flows screen, since ...)``.
    OSError
        There cannot be such a file, or the file system has no locks.
    """
    # any thread may release it: a generator is closed where it is forgotten
    lock = FileLock(path, timeout=PATIENCE, thread_local=False, on_acquired=_sign)
    try:
        lock.acquire()
    except Timeout:
        raise Held(_holder(path)) from None
    return lock


def _sign(file: int) -> None:
    """Write who holds the lock into its file."""
    started = [Path(sys.argv[0]).name or "python", *sys.argv[1:]] if sys.argv else ["python"]
    command, since = shlex.join(started)[:200], time.strftime("%Y-%m-%d %H:%M")
    said = f"process {os.getpid()} on {platform.node()} ({command}, since {since})\n"
    os.ftruncate(file, 0)
    os.pwrite(file, said.encode(), 0)


def _holder(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip() or "another process"
    except OSError:
        return "another process"
