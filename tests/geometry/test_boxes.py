"""Where vesin dies, asked of vesin itself in processes of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from pet_flows.errors import StructureError
from pet_flows.geometry.boxes import refuse_unsearchable

#: searches each case in a child; prints the signal it died of, SIGALRM where it was endless
SEARCHES = """
import json, os, signal, sys
import numpy as np, vesin

for cell, pbc, positions, cutoff in json.load(sys.stdin):
    child = os.fork()
    if not child:
        signal.alarm(3)
        vesin.NeighborList(cutoff=cutoff, full_list=True).compute(
            points=np.array(positions), box=np.array(cell), periodic=np.array(pbc), quantities="ij"
        )
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0)
"""
ALL, SLAB, NONE = (True, True, True), (True, True, False), (False, False, False)
Case = tuple[list[list[float]], tuple[bool, bool, bool], list[list[float]], float]


def case(lengths: tuple[float, float, float], pbc: tuple[bool, bool, bool], cutoff: float) -> Case:
    """Two atoms at opposite corners of a box."""
    cell = np.diag(lengths).astype(float)
    return cell.tolist(), pbc, [[0.0, 0.0, 0.0], (0.98 * cell.sum(0)).tolist()], cutoff


def fates(cases: list[Case]) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", SEARCHES],
        input=json.dumps(cases), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [int(line) for line in done.stdout.split()]


def refused(one: Case) -> bool:
    cell, pbc, positions, _ = one
    try:
        refuse_unsearchable(np.array(cell), np.array(pbc), np.array(positions))
    except StructureError as error:
        return error.reason == "not_searchable"
    return False


DEADLY = [
    case((1.0, 1e3, 1e4), ALL, 3.5),
    case((1.0, 1.0, 1e6), NONE, 3.5),  # a molecule
    case((2.46, 2.46, 1e6), SLAB, 3.5),
    case((2.46, 2.46, 1e5), SLAB, 3.5),
]
#: graphene with much vacuum, a thick wire, a large molecule
VALID = [
    case((2.46, 2.46, 500.0), ALL, 3.5),
    case((2.46, 2.46, 5000.0), ALL, 3.5),
    case((2.46, 2.46, 2000.0), SLAB, 3.5),
    case((200.0, 200.0, 3.0), (False, False, True), 3.5),
    case((300.0, 300.0, 300.0), NONE, 3.5),
    case((80.0, 80.0, 500.0), ALL, 3.5),
]


def test_vesin_comes_back_from_all_that_is_let_through() -> None:
    rng = np.random.default_rng(3)
    # strained by 3 %, as a relaxation may, and searched at whatever cutoff a model has
    known = 10 ** rng.uniform(0.3, 5.0, (50, 3))
    asked = [refused(case(tuple(lengths), ALL, 3.5)) for lengths in known]
    strained = known * rng.uniform(0.97, 1.03, known.shape)
    searched = [case(tuple(d), ALL, float(rng.uniform(3.5, 12.0))) for d in strained]
    died = [bool(signal) for signal in fates([*searched, *DEADLY, *VALID])]
    assert died[-len(VALID) :] == [False] * len(VALID)
    assert died[50 : 50 + len(DEADLY)] == [True] * len(DEADLY)
    assert sum(died[:50]) > 4
    assert asked.count(False) > 15
    assert not any(dead and not no for dead, no in zip(died, asked, strict=False))


def test_what_ends_the_process_is_refused_and_vacuum_is_not() -> None:
    assert all(refused(one) for one in DEADLY)
    assert not any(refused(one) for one in VALID)


def test_an_atom_at_the_end_of_the_world_is_refused() -> None:
    with pytest.raises(StructureError, match=r"3.0e\+09 Å from the origin"):
        refuse_unsearchable(np.eye(3) * 4, np.array(ALL), np.array([[0.0, 3e9, 0.0]]))
