"""What tests of exported files share: the in-process result, and cells of a crystal."""

import numpy as np
from ase.build import bulk

from pet_flows.engines.evaluation import System
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.pet import PETRaw
from pet_flows.symmetrization.strategies import parse_strategy
from tests.rough import rough_model
from tests.symmetrization.systems import sheared


def in_process(spec, atoms, inherited=None):
    """Evaluation by the in-process evaluator."""
    raw = PETRaw(rough_model())
    strategy = parse_strategy(spec).configure(raw.cutoff, raw.n_layers)
    bound = strategy.bind(atoms, inherited)
    return Evaluator(raw, strategy).evaluate([System.of(atoms, bound)])[0]


def crystal_cells():
    """Strained cells that are multiples P of silicon's: name → atoms, P; a file finds P itself."""
    skewed = bulk("Si") * (1, 1, 2)
    skewed.set_cell(np.array([[1, 0, 0], [1, 1, 0], [-1, 0, 1]]) @ skewed.cell.array)
    permuted = bulk("Si", cubic=True) * (2, 1, 1)
    permuted.set_cell(permuted.cell.array[[1, 2, 0]] * [[1], [-1], [1]])
    vacancy = bulk("Si", cubic=True) * (2, 1, 1)
    del vacancy[3]
    cells = {
        "conventional": bulk("Si", cubic=True),  # not that of the reference
        "2×1×1": bulk("Si") * (2, 1, 1),
        "skewed": skewed,
        "permuted": permuted,
        "vacancy": vacancy,
    }
    found = {}
    for n, (name, atoms) in enumerate(cells.items()):
        multiple = atoms.cell.array @ np.linalg.inv(bulk("Si").cell.array)
        strained = sheared(atoms, seed=n)
        # where atoms are missing, the volume tells how many cells there are
        ratio = (atoms.get_volume() / strained.get_volume()) ** (1 / 3)
        strained.set_cell(strained.cell.array * ratio, True)
        found[name] = strained, multiple
    return found
