"""Memory that tensors leave stays with the process, for the next evaluation.

The C library gives freed memory back to the system at once, which clears each page of it again when
the next evaluation asks for as much: a tenth to a quarter of the CPU time of models on a CPU
(`benchmarks/heap.py`).
"""

from __future__ import annotations

import ctypes
import os
from functools import cache

from pet_flows.engines.memory import left_in_control_groups

#: numbers of ``mallopt`` in glibc's malloc.h
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
#: bytes above which glibc always asks the system; it takes no larger value
LARGEST = 32 * 1024**2
#: part of the computer's memory that is kept at most, and how many bytes
SHARE, MOST = 1 / 16, 1024**3
#: what a user sets who knows better; other settings of malloc (arenas) do not matter here
SETTINGS = ("TRIM_THRESHOLD", "TOP_PAD", "MMAP_THRESHOLD", "MMAP_MAX")


@cache
def keep_freed() -> bool:
    """Keep freed memory in this process, once; False where that is not to be had or not wanted.

    A C library other than glibc has its own ways, and who sets glibc's in the environment
    (``MALLOC_TRIM_THRESHOLD_``, ``GLIBC_TUNABLES=glibc.malloc.trim_threshold=…``) knows better.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if is_set_by_user() or mallopt is None:
        return False
    # with either, glibc no longer goes by its own rule: both are needed
    return bool(mallopt(MMAP_THRESHOLD, LARGEST) and mallopt(TRIM_THRESHOLD, kept_at_most()))


def is_set_by_user() -> bool:
    """Whether the environment says what glibc is to keep."""
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    return any(
        f"MALLOC_{name}_" in os.environ or f"glibc.malloc.{name.lower()}=" in tunables
        for name in SETTINGS
    )


def kept_at_most() -> int:
    """Bytes; containers and batch systems may leave a process less than the computer has."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(min(MOST, SHARE * min(memory, left_in_control_groups())))
