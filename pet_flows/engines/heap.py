"""Memory that tensors leave stays with the process, for the next evaluation.

The C library gives freed memory back to the system at once, which clears each page of it again when
the next evaluation asks for as much: a tenth to a quarter of the CPU time of models on a CPU
(`benchmarks/heap.py`).
"""

from __future__ import annotations

import ctypes
import os
from functools import cache

#: numbers of ``mallopt`` in glibc's malloc.h
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
#: bytes above which glibc always asks the system; it takes no larger value
LARGEST = 32 * 1024**2
#: part of the computer's memory that is kept at most, and how many bytes
SHARE, MOST = 1 / 16, 1024**3


@cache
def keep_freed() -> bool:
    """Keep freed memory in this process, once; False where that is not to be had or not wanted.

    A C library other than glibc has its own ways, and who sets glibc's in the environment
    (``MALLOC_TRIM_THRESHOLD_``, ``GLIBC_TUNABLES``) knows better.
    """
    set_by_user = any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_by_user or mallopt is None:
        return False
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    kept = int(min(MOST, SHARE * memory))
    # with either, glibc no longer goes by its own rule: both are needed
    return bool(mallopt(MMAP_THRESHOLD, LARGEST) and mallopt(TRIM_THRESHOLD, kept))
