"""What a process is called where others look for it: leases, locks, a worker's folder."""

from __future__ import annotations

import os
import platform
import uuid
from functools import cache


def name_of_process() -> str:
    """Host, number and a random part: containers may share the former, and numbers come again."""
    return _name(os.getpid())


@cache
def _name(process: int) -> str:
    """Of this process; that of a forked one is another, because its number is."""
    return f"{platform.node()}-{process}-{uuid.uuid4().hex[:8]}"
