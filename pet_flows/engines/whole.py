"""Raw models over potentials that give a structure's energy, forces and stress, and no more.

The energy is shared out evenly among the atoms, which is exact wherever a copy's atoms have equal
weights: with ``none``, ``grid`` and ``crystal``, never with ``ecse``. Stresses are given symmetric;
what they leave out, the torque of a potential that is not invariant, is taken from differences of
energies of rotated copies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from scipy.spatial.transform import Rotation

from pet_flows.engines.graphs import Graphs
from pet_flows.engines.metatomic import MetatomicRaw
from pet_flows.engines.raw import Copies, RawResult
from pet_flows.engines.surroundings import Lists
from pet_flows.geometry.ragged import sum_by

#: rad, of the differences for the torque, fourth order
ANGLE = 5e-3


@dataclass(frozen=True)
class Whole:
    """What is said of one structure."""

    energy: float
    """eV"""
    forces: np.ndarray | None
    """(n, 3) eV/Å"""
    stress: np.ndarray | None
    """(3, 3) eV/Å³, tension positive; None without a cell volume"""


#: what is said of structures, in order; forces and stress only where they are wanted
Calculate = Callable[[Sequence[Atoms], bool], list[Whole]]


class WholeRaw:
    """A potential that is asked structure by structure, or in batches of whole structures.

    Parameters
    ----------
    calculate
        Asks the potential.
    cutoff
        Å, within which its neighbours lie, as far as it says.
    n_layers
        Message passings.
    atomic_types
        Atomic numbers that it knows.
    is_invariant
        Whether its energy is known not to depend on the orientation, so that it has no torque.
    dtype, device
        In which it computes.
    """

    hops: int | None = None
    lists: Lists = ()
    general: MetatomicRaw | None = None

    def __init__(
        self,
        calculate: Calculate,
        cutoff: float,
        n_layers: int,
        atomic_types: frozenset[int],
        is_invariant: bool,
        dtype: torch.dtype = torch.float64,
        device: torch.device | None = None,
    ):
        self._calculate = calculate
        self.cutoff = cutoff
        self.n_layers = n_layers
        self.atomic_types = atomic_types
        self.is_invariant = is_invariant
        self._with_torque = False
        self.dtype = dtype
        self.device = device or torch.device("cpu")

    def with_torque(self) -> WholeRaw:
        """The same for strategies whose rotations follow the structure: those feel its torque."""
        found = copy(self)
        found._with_torque = not self.is_invariant
        return found

    def invariant(self, graphs: Graphs) -> RawResult | None:
        """Nothing: all terms are inside the potential."""
        return None

    def evaluate(self, copies: Copies, gradients: bool = True) -> RawResult:
        """Ask for all copies given."""
        structures = _structures(copies)
        found = self._calculate(structures, gradients)
        sizes = copies.sizes
        share = np.repeat([w.energy / n for w, n in zip(found, sizes, strict=True)], sizes)
        energies = torch.from_numpy(share)
        if not gradients:
            return RawResult(energies, None, None)
        weights = sum_by(copies.of_row.numpy(), copies.weights.numpy(), len(sizes)) / sizes
        slopes, virials = [], np.zeros((len(found), 3, 3))
        for c, (one, atoms) in enumerate(zip(found, structures, strict=True)):
            assert one.forces is not None
            slopes.append(-weights[c] * one.forces)
            if one.stress is not None:
                virials[c] = weights[c] * abs(atoms.cell.volume) * one.stress
        if self._with_torque:
            virials += weights[:, None, None] * self._torques(structures)
        back = copies.rotations.mT
        dx = torch.bmm(torch.from_numpy(np.concatenate(slopes))[:, None], back[copies.of_row])
        return RawResult(energies, dx[:, 0], copies.rotations @ torch.from_numpy(virials) @ back)

    def _torques(self, structures: Sequence[Atoms]) -> np.ndarray:
        """(C, 3, 3) eV, antisymmetric part of ∂E/∂ε for x → x(1+ε)."""
        steps, factors = (-2, -1, 1, 2), np.array([1.0, -8.0, 8.0, -1.0]) / (12 * ANGLE)
        found = np.zeros((len(structures), 3, 3))
        for axis in np.eye(3):
            matrices = [Rotation.from_rotvec(step * ANGLE * axis).as_matrix().T for step in steps]
            copies = [_rotated(atoms, matrix) for atoms in structures for matrix in matrices]
            energies = [one.energy for one in self._calculate(copies, False)]
            slope = np.reshape(energies, (-1, 4)) @ factors
            # x exp(a Wᵀ) ≈ x + a x Wᵀ, and dE/da is the sum of ∂E/∂ε ∘ Wᵀ
            generator = np.cross(axis, np.eye(3))
            found += 0.5 * slope[:, None, None] * generator
        return found


def _rotated(atoms: Atoms, matrix: np.ndarray) -> Atoms:
    return Atoms(
        numbers=atoms.numbers, positions=atoms.positions @ matrix, cell=atoms.cell.array @ matrix,
        pbc=atoms.pbc,
    )  # fmt: skip


def _structures(copies: Copies) -> list[Atoms]:
    """Rotated copies as structures."""
    graphs, q = copies.graphs, copies.rotations
    x = torch.bmm(graphs.positions[copies.atoms][:, None], q[copies.of_row])[:, 0]
    cells = (graphs.cells[torch.from_numpy(copies.owners)] @ q).numpy()
    numbers, pbc = graphs.numbers[copies.atoms].numpy(), graphs.pbc.numpy()
    ends = np.cumsum(copies.sizes)[:-1]
    return [
        Atoms(numbers=z, positions=own, cell=cell, pbc=pbc[s])
        for z, own, cell, s in zip(
            np.split(numbers, ends), np.split(x.numpy(), ends), cells, copies.owners.tolist(),
            strict=True,
        )
    ]  # fmt: skip
