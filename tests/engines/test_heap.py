"""Freed memory stays with the process."""

import os
import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from pet_flows.engines.heap import keep_freed

if {keep}:
    print(keep_freed())
def use():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.zeros(2**20, dtype=torch.float64) for _ in range(6)]  # 48 MiB
    del tensors
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
use(), use()
print(min(use() for _ in range(9)))  # a busy system takes pages of its own accord
"""


def faults(keep, environment=None):
    code = FAULTS.format(keep=keep)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env=environment)  # fmt: skip
    return done.stdout.split()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone has these settings")
def test_what_tensors_leave_is_used_again_without_the_system():
    said, kept = faults(True)
    (given_back,) = faults(False)
    assert said == "True"
    assert int(given_back) > 5_000  # of 12 288 pages, some of which glibc keeps by itself
    assert int(kept) < int(given_back) / 4


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone has these settings")
def test_settings_of_the_user_stay():
    said, _ = faults(True, {**os.environ, "MALLOC_TRIM_THRESHOLD_": "131072"})
    assert said == "False"
