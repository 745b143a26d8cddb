"""Structures, strategies and models of ``benchmarks/symmetry.py``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import numpy as np
from ase import Atoms
from ase.build import bulk, diamond111
from ase.calculators.calculator import Calculator

from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.potential import get_potential
from pet_flows.engines.raw import RawModel
from pet_flows.models.load import load_model
from pet_flows.models.spec import PotentialSpec
from pet_flows.symmetrization.strategies import parse_strategy

GRIDS = [
    f"grid:{group}{tail}"
    for tail in ("", ":inversion")
    for group in ("tetrahedral", "octahedral", "icosahedral")
]
LEBEDEV = [f"grid:lebedev:{degree}" for degree in range(1, 6)]
CRYSTAL = ["crystal:orientation", "crystal", "crystal:tetrahedral", "crystal:icosahedral"]
ECSE = [
    f"ecse{scope}{group}"
    for scope in ("", ":atom", ":structure")
    for group in ("", ":tetrahedral", ":icosahedral")
]
STRATEGIES = ["none", *GRIDS, *LEBEDEV, *CRYSTAL, *ECSE]
#: names of the peers: metatomic's own calculators on the same exported model
PEERS = ["metatomic plain", *(f"metatomic l_max {degree}" for degree in range(1, 6))]

#: Å, silicon in the diamond structure
LATTICE_CONSTANT = 5.46
#: Å³ per atom of liquid silicon (2.57 g/cm³)
MELT_VOLUME = 18.1


def structures() -> dict[str, Atoms]:
    """One of each kind, of silicon, small enough for every strategy; name → structure."""
    perfect = bulk("Si", "diamond", a=LATTICE_CONSTANT)
    rattled = perfect * (2, 1, 1)
    rattled.set_cell(rattled.cell.array @ (np.eye(3) + _shear(0.01)), scale_atoms=True)
    rattled.rattle(0.05, seed=0)
    slab = diamond111("Si", (1, 1, 6), a=LATTICE_CONSTANT, vacuum=6.0)
    slab.pbc = (True, True, False)
    slab.rattle(0.03, seed=1)
    return {
        "crystal": perfect,
        "rattled": rattled,
        "molecule": cluster(),
        "slab": Atoms(slab.numbers, slab.positions, cell=slab.cell, pbc=slab.pbc),
        "melt": melt(6, seed=2),
    }


def cluster() -> Atoms:
    """An atom, its four neighbours and one more, distorted: no symmetry left."""
    bond = LATTICE_CONSTANT / 4
    tetrahedron = bond * np.array(
        [[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1], [2, 2, 0]]
    )
    atoms = Atoms("Si6", tetrahedron.astype(float))
    atoms.rattle(0.1, seed=3)
    return atoms


def melt(n: int, seed: int, nearest: float = 2.25) -> Atoms:
    """Random atoms at the density of the liquid, pushed apart to ``nearest`` (Å)."""
    rng = np.random.default_rng(seed)
    edge = (n * MELT_VOLUME) ** (1 / 3)
    atoms = Atoms(f"Si{n}", rng.uniform(0, edge, (n, 3)), cell=[edge] * 3, pbc=True)
    for _ in range(2000):
        vectors = atoms.get_all_distances(mic=True, vector=True)
        lengths = np.linalg.norm(vectors, axis=-1) + 10.0 * np.eye(n)
        short = np.maximum(nearest - lengths, 0.0)
        if not short.any():
            return atoms
        atoms.positions -= 0.55 * ((short / lengths)[..., None] * vectors).sum(1)
    raise RuntimeError(f"{n} atoms with seed {seed} cannot be pushed apart to {nearest} Å")


def _shear(size: float) -> np.ndarray:
    return size * np.array([[0.5, 1.0, 0.3], [0.0, -0.4, 0.6], [0.0, 0.0, 0.2]])


def turned(atoms: Atoms, matrix: np.ndarray) -> Atoms:
    """The structure with every row vector x replaced by ``x @ matrix``."""
    copy = atoms.copy()
    copy.set_cell(atoms.cell.array @ matrix)
    copy.positions = atoms.positions @ matrix
    return copy


def turns(n: int, seed: int = 11) -> list[np.ndarray]:
    """Random orthogonal matrices, every second one improper, an improper one first."""
    from scipy.spatial.transform import Rotation

    matrices = Rotation.random(n, random_state=seed).as_matrix()
    return [(-1.0) ** (i + 1) * q for i, q in enumerate(matrices)]


def trained(
    model: str, dtype: Literal["float32", "float64"], trust: bool
) -> tuple[RawModel, PotentialSpec]:
    """Raw model on the fast path where it is supported, and its resolved spec."""
    spec = PotentialSpec(model=model, symmetrization="none", dtype=dtype, device="cpu")
    potential = get_potential(spec, trust=trust)
    return potential.raw, potential.spec


def rough() -> RawModel:
    """The deliberately rough random PET of the tests, float64."""
    from pet_flows.engines.pet import PETRaw

    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from rough import rough_model

    return PETRaw(rough_model(seed=0))


def evaluator(raw: RawModel, strategy: str, chunk_atoms: int | None = None) -> Evaluator:
    """Evaluator of a spec string."""
    configured = parse_strategy(strategy).configure(raw.cutoff, raw.n_layers)
    return Evaluator(raw, configured, chunk_atoms)


def peer(name: str, spec: PotentialSpec) -> tuple[Calculator, int]:
    """Metatomic's calculator of this name, and its evaluations per call."""
    from metatomic_ase import MetatomicCalculator, SymmetrizedCalculator

    plain = MetatomicCalculator(load_model(spec), device="cpu")
    if name == "metatomic plain":
        return plain, 1
    calculator = SymmetrizedCalculator(plain, l_max=int(name.split()[-1]))
    # it also evaluates the structure as it stands, before the rotated ones
    return calculator, 1 + len(calculator.quadrature_rotations)
