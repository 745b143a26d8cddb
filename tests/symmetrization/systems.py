"""Crystals, molecules and the model on which exactness is shown."""

from functools import lru_cache

import numpy as np
from ase import Atoms
from ase.build import bulk, diamond100, molecule
from ase.spacegroup import crystal
from scipy.spatial.transform import Rotation

from pet_flows.engines.evaluation import System
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.pet import PETRaw
from pet_flows.symmetrization.strategies import parse_strategy
from tests.rough import rough_model

AXIS = np.array([0.2, -0.6, 0.77])
AXIS /= np.linalg.norm(AXIS)
SIDE = np.cross(AXIS, [1, 0, 0])
SIDE /= np.linalg.norm(SIDE)


def crystals():
    """Name → perfect crystal and the evaluations |H|/|P| that it needs."""
    rhombohedral = Atoms(
        "Ge2", cell=[4.2] * 3 + [66] * 3, pbc=True,
        scaled_positions=[[0.235] * 3, [0.765] * 3],
    )  # fmt: skip
    p4mm = crystal(
        ["Ba", "Ti", "O", "O"],
        [(0, 0, 0), (0.5, 0.5, 0.515), (0.5, 0.5, -0.02), (0.5, 0, 0.49)],
        spacegroup=99, cellpar=[3.99, 3.99, 4.04, 90, 90, 90],
    )  # fmt: skip
    perovskite = crystal(
        ["Ba", "Ti", "O"], [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0)],
        spacegroup=221, cellpar=[4.0] * 3 + [90] * 3,
    )  # fmt: skip
    quartz = crystal(
        ["Si", "O"], [(0.4697, 0, 0), (0.4135, 0.2669, 0.1191)],
        spacegroup=152, cellpar=[4.916, 4.916, 5.405, 90, 90, 120],
    )  # fmt: skip
    pyrite = crystal(
        ["Fe", "S"], [(0, 0, 0), (0.385, 0.385, 0.385)],
        spacegroup=205, cellpar=[5.42] * 3 + [90] * 3,
    )  # fmt: skip
    monoclinic = crystal(
        ["Ti", "O", "O"], [(0.1, 0.25, 0.2), (0.35, 0.1, 0.6), (0.7, 0.6, 0.15)],
        spacegroup=14, cellpar=[4.6, 5.3, 4.9, 90, 99, 90],
    )  # fmt: skip
    triclinic = Atoms(
        "SiO2Al", cell=[[3.9, 0, 0], [0.7, 4.3, 0], [-0.5, 0.9, 5.1]], pbc=True,
        scaled_positions=[[0.05, 0.1, 0.07], [0.5, 0.33, 0.2], [0.2, 0.7, 0.6], [0.7, 0.6, 0.75]],
    )  # fmt: skip
    found = {
        "fcc": (bulk("Cu", a=3.61), 1),
        "bcc": (bulk("Fe", a=2.87), 1),
        "hcp": (bulk("Zn", "hcp", a=2.66, c=4.95), 1),
        "diamond": (bulk("Si", a=5.43), 1),
        "rocksalt": (bulk("NaCl", "rocksalt", a=5.64), 1),
        "zincblende": (bulk("ZnO", "zincblende", a=4.6), 2),
        "wurtzite": (bulk("ZnO", "wurtzite", a=3.25, c=5.2, u=0.38), 2),
        "perovskite": (perovskite, 1),
        "P4mm": (p4mm, 6),
        "quartz": (quartz, 4),
        "pyrite": (pyrite, 2),
        "triclinic": (triclinic, 2),
        "rhombohedral": (rhombohedral, 1),
        "monoclinic": (monoclinic, 1),
    }
    for atoms, _ in found.values():
        atoms.pbc = True
        atoms.info.clear()
    return found


def molecules():
    """Name → molecule, slab or box without lattice symmetry, for ecse."""

    def trimer(degrees):
        angle = np.radians(degrees)
        last = 1.2 * (np.cos(angle) * AXIS + np.sin(angle) * SIDE)
        return Atoms("OCO", [-1.16 * AXIS, 0 * AXIS, last])

    ethanol = molecule("CH3CH2OH")
    ethanol.rattle(0.03, seed=1)
    silicon = sheared(bulk("Si", a=5.45), rattle=0.08)
    slab = diamond100("Si", (1, 1, 3), vacuum=6)
    slab.rattle(0.1, seed=2)
    melt = bulk("Al", a=4.2, cubic=True)
    melt.rattle(0.45, seed=8)
    return {
        "ethanol": ethanol,
        "water": molecule("H2O"),
        "dimer": Atoms("CO", [[0, 0, 0], [0.3, 0.5, 1.0]]),
        "linear": trimer(0.0),
        "bent0.5": trimer(0.5),
        "bent25": trimer(25.0),
        "tail": Atoms("HOCH", [[0, 0, 0], [3.9, 0.3, 0.2], [4.9, 0.9, 0.3], [4.3, -0.9, 0.9]]),
        "silicon": silicon,
        "slab": slab,
        "melt": melt,
        "atom": Atoms("O", [[0.1, 0.2, 0.3]]),
    }


def orthogonal(seed):
    """Random orthogonal matrix, improper for odd seeds."""
    return Rotation.random(random_state=seed).as_matrix() * (-1) ** seed


def turned(atoms, q):
    """``x → x q``."""
    new = atoms.copy()
    new.set_cell(atoms.cell.array @ q, scale_atoms=False)
    new.positions = atoms.positions @ q
    return new


def sheared(atoms, strain=0.05, rattle=0.05, seed=7):
    """Shear of the given size and a rattle."""
    new = atoms.copy()
    shear = np.random.default_rng(seed).uniform(-1, 1, (3, 3))
    new.set_cell(atoms.cell.array @ (np.eye(3) + strain * shear / abs(shear).max()), True)
    new.rattle(rattle, seed=seed)
    return new


@lru_cache(maxsize=4)
def raw(**kwargs):
    """Rough random PET in float64."""
    return PETRaw(rough_model(**kwargs))


def strategy_of(spec):
    """Strategy of a spec or a strategy, configured for the rough model."""
    made = parse_strategy(spec) if isinstance(spec, str) else spec
    return made.configure(raw().cutoff, raw().n_layers)


def evaluate(spec, atoms, inherited=None, bound=None, model=None, forces=True):
    """Evaluation of one structure; ``spec`` may be a strategy."""
    strategy = strategy_of(spec)
    bound = bound or strategy.bind(atoms, inherited)
    evaluator = Evaluator(model or raw(), strategy)
    return evaluator.evaluate([System.of(atoms, bound)], forces)[0]
