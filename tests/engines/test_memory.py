"""How much memory there is, as Linux tells it: made-up trees of control groups."""

import os
from pathlib import Path

import numpy as np
import pytest

from pet_flows.engines.memory import left_in_control_groups

STAT = "anon 2000\nfile 6900\ninactive_file 4000\nactive_file 2500\n"
#: version 1 counts the groups below apart
STAT_1 = "inactive_file 1\nactive_file 1\ntotal_inactive_file 4000\ntotal_active_file 2500\n"
NO_LIMIT_1 = 9223372036854771712


def process(tmp_path: Path, cgroup: str, mounts: list[str]) -> Path:
    """A process's folder in /proc, with mounts given from their root on."""
    folder = tmp_path / "process"
    folder.mkdir()
    (folder / "cgroup").write_text(cgroup)
    rows = [f"31 23 0:{n} {mount}\n" for n, mount in enumerate(mounts)]
    (folder / "mountinfo").write_text("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + "".join(rows))
    return folder


def group(folder: Path, most: object, used: int = 9000, high: object = "max") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.high").write_text(f"{high}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(STAT)


def group_1(folder: Path, most: int, used: int = 9000) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.limit_in_bytes").write_text(f"{most}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(STAT_1)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A computer's /sys/fs/cgroup with a batch system's job, limits nowhere."""
    top = tmp_path / "cgroup"
    for part in ("slurm", "slurm/job_7", "slurm/job_7/step_0", "slurm/job_8"):
        group(top / part, "max")
    group(top / "slurm/job_8", 9001)  # a neighbour's limit is none of ours
    return top


@pytest.mark.parametrize("limited", ["slurm", "slurm/job_7", "slurm/job_7/step_0"])
def test_the_limit_of_a_group_around_it_holds(tmp_path: Path, tree: Path, limited: str) -> None:
    mount = f"/ {tree} rw,nosuid shared:4 - cgroup2 cgroup2 rw"
    mine = process(tmp_path, "0::/slurm/job_7/step_0\n", [mount])
    assert left_in_control_groups(mine) == np.inf
    group(tree / limited, 10000)  # what is read again each time is what the files say
    assert left_in_control_groups(mine) == 10000 - (9000 - 6500)
    group(tree / limited, 10000, used=9500)
    assert left_in_control_groups(mine) == 7000
    group(tree / limited, 10000, high=8000)
    assert left_in_control_groups(mine) == 5500
    group(tree / limited, 1000)
    assert left_in_control_groups(mine) == 0


@pytest.mark.parametrize(
    ("root", "path"), [("/", "/"), ("/docker/abc", "/docker/abc"), ("/", "/../other")]
)
def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path, root: str, path: str) -> None:
    top = tmp_path / "cgroup"
    group(top, 10000)
    mine = process(tmp_path, f"0::{path}\n", [f"{root} {top} ro - cgroup2 cgroup rw"])
    assert left_in_control_groups(mine) == 7500


def test_the_memory_controller_of_version_1(tmp_path: Path) -> None:
    top = tmp_path / "memory"
    for part, most in (("", NO_LIMIT_1), ("pbs", 10000), ("pbs/job", NO_LIMIT_1)):
        group_1(top / part, most)
    group(tmp_path / "unified", 1)  # not where this process is
    rows = "9:name=systemd:/\n4:memory,hugetlb:/pbs/job\n1:cpu:/\n"
    mounts = [
        f"/ {tmp_path / 'cpu'} rw - cgroup cgroup rw,cpu,cpuacct",
        f"/ {top} rw - cgroup cgroup rw,memory,hugetlb",
    ]
    assert left_in_control_groups(process(tmp_path, rows, mounts)) == 7500


def test_no_groups_no_limit(tmp_path: Path) -> None:
    assert left_in_control_groups(tmp_path / "nowhere") == np.inf
    half = process(tmp_path, "0::/a\n", [f"/ {tmp_path} rw - cgroup2 cgroup2 rw"])
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "memory.max").write_text("1000\n")  # and nothing that says what is used
    assert left_in_control_groups(half) == np.inf


def test_this_process_has_groups_where_linux_has_them() -> None:
    left = left_in_control_groups()
    assert left > 0
    assert os.path.exists("/proc/self/cgroup") or left == np.inf
