"""Freed memory stays with the process."""

import os
import subprocess
import sys

import numpy as np
import pytest

from pet_flows.engines import heap

# blocks from malloc itself: beside a tensor's there are small ones, which may hold back the rest
FAULTS = """
import ctypes, resource
from pet_flows.engines.heap import keep_freed

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
if {keep}:
    print(keep_freed())
def use():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [libc.malloc(2**23) for _ in range(20)]  # 160 MiB
    for block in blocks:
        libc.memset(block, 1, 2**23)
    for block in blocks:
        libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
use(), use()
found = [use() for _ in range(9)]
print(min(found), max(found))  # a busy system takes pages of its own accord
"""


def faults(keep, environment=None):
    code = FAULTS.format(keep=keep)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env=environment)  # fmt: skip
    return done.stdout.split()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone has these settings")
def test_freed_memory_is_used_again_without_the_system():
    said, kept, _ = faults(True)
    _, given_back = faults(False)
    assert said == "True"
    assert int(given_back) > 10_000  # of 40 960 pages; glibc keeps up to 64 MiB by itself
    assert int(kept) < int(given_back) / 4


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MALLOC_TRIM_THRESHOLD_", "131072", True),
        ("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=131072", True),
        ("MALLOC_ARENA_MAX", "2", False),
        ("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=2000", False),
    ],
)
def test_thresholds_of_the_user_stay_and_other_settings_do_not_matter(
    monkeypatch, name, value, said
):
    for each in [key for key in os.environ if key.startswith(("MALLOC_", "GLIBC_TUNABLES"))]:
        monkeypatch.delenv(each)
    assert not heap.is_set_by_user()
    monkeypatch.setenv(name, value)
    assert heap.is_set_by_user() is said
    if said:
        assert not heap.keep_freed.__wrapped__()  # whatever was found before


def test_a_container_that_has_little_keeps_little(monkeypatch):
    monkeypatch.setattr(heap, "left_in_control_groups", lambda: 1.6e9)
    assert heap.kept_at_most() <= 1e8
    monkeypatch.setattr(heap, "left_in_control_groups", lambda: np.inf)
    assert 1e8 < heap.kept_at_most() <= heap.MOST
