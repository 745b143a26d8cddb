"""How much memory there is, as Linux tells it."""

from pathlib import Path

import numpy as np

from pet_flows.engines.memory import _left_in_control_group


def group(folder: Path, most: str, used: int, stat: str) -> Path:
    (folder / "memory.max").write_text(most + "\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(stat)
    return folder


def test_pages_of_files_are_not_lost_memory(tmp_path: Path) -> None:
    stat = "anon 2000\nfile 6900\ninactive_file 4000\nactive_file 2500\n"
    assert _left_in_control_group(group(tmp_path, "10000", 9000, stat)) == 7500


def test_groups_without_a_limit(tmp_path: Path) -> None:
    assert _left_in_control_group(tmp_path) == np.inf
    assert _left_in_control_group(group(tmp_path, "max", 9000, "anon 9000\n")) == np.inf
