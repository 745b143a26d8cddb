"""torch-sim's view of a potential: batches whose systems may leave and enter at any step.

torch-sim reorders systems when it swaps them. Each system therefore carries the number of its
:class:`Body` in ``state.system_extras["body"]``; the body holds what must travel with it: the
bound strategy, the symmetry to keep, and the tally of what it has cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import torch

from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.engines.quiet import torch_sim as ts
from pet_flows.errors import StructureError
from pet_flows.symmetrization.strategy import Bound

if TYPE_CHECKING:
    from pet_flows.crystallography.group import SpaceGroup

#: evaluates a batch; a structure that cannot be done gives its error instead of a result
EvaluateEach = Callable[[Sequence[System]], Sequence[Evaluation | StructureError]]

_KEY = "body"


@dataclass
class Body:
    """One structure on its way through an optimizer or an integrator."""

    numbers: np.ndarray
    """(N,)"""
    positions: np.ndarray
    """(N, 3) Å, as it started"""
    cell: np.ndarray
    """(3, 3) Å, as it started"""
    pbc: np.ndarray
    """(3,) bool"""
    bound: Bound
    group: SpaceGroup | None = None
    """geometry, forces and stress are projected on it"""
    max_strain: float = np.inf
    """largest |log principal stretch| against the first cell"""
    n_evaluations: int = 0
    wall_time: float = 0.0
    """s, its share of the evaluations"""
    latest: tuple[np.ndarray, np.ndarray, Evaluation] | None = None
    """positions, cell and result of the last evaluation"""
    first_energy: float | None = None
    """eV, of the first evaluation"""
    error: StructureError | None = None
    _given: tuple[np.ndarray, np.ndarray] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.numbers)

    @cached_property
    def hand(self) -> float:
        """-1 for a left-handed cell, whose negative torch-sim sees: it takes det h for a volume."""
        return -1.0 if self.pbc.all() and np.linalg.det(self.cell) < 0 else 1.0

    def place(self, positions: np.ndarray, cell: np.ndarray) -> System:
        """System at a geometry, projected on the symmetry that is kept.

        Raises
        ------
        StructureError
            ``cell_runaway``: the cell has left its range, or nothing is finite any more.
        """
        if not (np.isfinite(positions).all() and np.isfinite(cell).all()):
            raise StructureError("cell_runaway", "Positions or cell grew beyond any number.")
        if self.pbc.all():
            self._guard(cell)
        if self.group is not None:
            cell = self.group.project_cell(cell)
            positions = self.group.project_positions(positions, cell)
        return System(self.numbers, positions, cell, self.pbc, self.bound)

    def _guard(self, cell: np.ndarray) -> None:
        """Refuse a cell that has left its range."""
        stretch = np.abs(np.log(np.linalg.svd(np.linalg.solve(self.cell, cell))[1] + 1e-300))
        if stretch.max() > self.max_strain:
            ratio = abs(np.linalg.det(cell) / np.linalg.det(self.cell))
            raise StructureError(
                "cell_runaway",
                f"The cell did not stay near its start: it went to {ratio:.2f} times the first "
                f"volume with a principal stretch of {np.exp(stretch.max()):.2f} or its inverse; "
                "the structure may be unstable with this model under these conditions, or far "
                "outside what it was trained on.",
            )

    def symmetrized(self, evaluation: Evaluation, cell: np.ndarray) -> Evaluation:
        """The evaluation with forces and stress averaged over the symmetry that is kept."""
        if self.group is None:
            return evaluation
        stress = evaluation.stress
        return Evaluation(
            energy=evaluation.energy,
            energies=evaluation.energies,
            forces=self.group.symmetrize_forces(evaluation.forces, cell),
            stress=None if stress is None else self.group.symmetrize_stress(stress, cell),
            n_evaluations=evaluation.n_evaluations,
            energy_spread=evaluation.energy_spread,
            force_spread=evaluation.force_spread,
        )


class BatchedModel(ts.models.interface.ModelInterface):
    """A potential as torch-sim sees it; geometry is float64 on the CPU whatever the model is.

    A system that cannot be evaluated gets zero forces and its ``Body.error``: the driver takes it
    out, and the others of its batch do not notice.

    Parameters
    ----------
    evaluate
        Batch evaluation with failures kept apart.

    Attributes
    ----------
    bodies
        Structures inside, by number.
    evaluation_time
        s, spent in ``evaluate`` so far.
    """

    def __init__(self, evaluate: EvaluateEach):
        super().__init__()
        self._evaluate = evaluate
        self._device = torch.device("cpu")
        self._dtype = torch.float64
        self._compute_forces = True
        self._compute_stress = True
        self._memory_scales_with = "n_atoms"
        self.bodies: dict[int, Body] = {}
        self.evaluation_time = 0.0
        self._next = 0

    def enter(self, body: Body) -> int:
        """Number under which the model will know a structure."""
        self._next += 1
        self.bodies[self._next] = body
        return self._next

    def leave(self, number: int) -> Body:
        """Forget a structure and give it back."""
        return self.bodies.pop(number)

    def state(self, numbers: Sequence[int]) -> ts.SimState:
        """torch-sim state of structures that have entered, at their first geometries."""
        bodies = [self.bodies[n] for n in numbers]
        sizes = torch.tensor([len(b) for b in bodies])
        kinds = torch.from_numpy(np.concatenate([b.numbers for b in bodies]).astype(np.int64))
        return ts.SimState(
            positions=torch.from_numpy(np.concatenate([b.positions for b in bodies])),
            masses=_masses()[kinds],
            cell=torch.from_numpy(np.stack([b.hand * b.cell.T for b in bodies])),
            pbc=True,  # ours are in the bodies; torch-sim's own are never looked at
            atomic_numbers=kinds,
            system_idx=torch.repeat_interleave(torch.arange(len(bodies)), sizes),
            _system_extras={_KEY: torch.tensor(list(numbers), dtype=torch.int64)},
        )

    def forward(self, state: ts.SimState, **_: object) -> dict[str, torch.Tensor]:
        """Energies (S,) eV, forces (N, 3) eV/Å and stresses (S, 3, 3) eV/Å³ of a state."""
        numbers = numbers_of(state)
        counts = state.n_atoms_per_system.tolist()
        positions = [p.numpy() for p in torch.split(state.positions.detach(), counts)]
        cells = state.row_vector_cell.detach().numpy()
        self._refresh(numbers, positions, cells)
        energy = np.zeros(len(numbers))
        stress = np.zeros((len(numbers), 3, 3))
        forces = [np.zeros((n, 3)) for n in counts]
        for s, number in enumerate(numbers):
            body = self.bodies[number]
            if body.error is not None or body.latest is None:
                continue
            result = body.latest[2]
            energy[s], forces[s] = result.energy, result.forces
            if result.stress is not None:
                stress[s] = result.stress
        return {
            "energy": torch.from_numpy(energy),
            "forces": torch.from_numpy(np.concatenate(forces)),
            "stress": torch.from_numpy(stress),
        }

    def _refresh(self, numbers: list[int], positions: list[np.ndarray], cells: np.ndarray) -> None:
        """Evaluate every system whose geometry is new since its last evaluation."""
        fresh: list[tuple[Body, System]] = []
        for number, r, h in zip(numbers, positions, cells, strict=True):
            body = self.bodies[number]
            if body.error is not None or _same(body._given, r, h):
                continue
            body._given = (r.copy(), h.copy())
            try:
                fresh.append((body, body.place(r.copy(), body.hand * h)))
            except StructureError as error:
                body.error = error
        if not fresh:
            return
        start = perf_counter()
        results = self._evaluate([system for _, system in fresh])
        elapsed = perf_counter() - start
        self.evaluation_time += elapsed
        cost = [
            len(body) * (result.n_evaluations if isinstance(result, Evaluation) else 1)
            for (body, _), result in zip(fresh, results, strict=True)
        ]
        for (body, system), result, c in zip(fresh, results, cost, strict=True):
            body.wall_time += elapsed * c / sum(cost)
            if isinstance(result, StructureError):
                body.error = result
                continue
            body.n_evaluations += result.n_evaluations
            if body.first_energy is None:
                body.first_energy = result.energy
            result = body.symmetrized(result, system.cell)
            body.latest = (system.positions, system.cell, result)


def numbers_of(state: ts.SimState) -> list[int]:
    """The numbers of the bodies in a state, in its order."""
    return [int(n) for n in state.system_extras[_KEY]]


def evaluation_cost(body: Body) -> int:
    """Atoms × evaluations of one step of a structure: what memory and time go with."""
    with torch.no_grad():
        plan = body.bound.plan(torch.from_numpy(body.positions), torch.from_numpy(body.cell))
    n = len(body) if plan.atoms is None else len(plan.atoms)
    return n * len(plan.rotations)


def _same(given: tuple[np.ndarray, np.ndarray] | None, r: np.ndarray, h: np.ndarray) -> bool:
    return given is not None and np.array_equal(given[0], r) and np.array_equal(given[1], h)


def _masses() -> torch.Tensor:
    """(Z,) atomic masses in u."""
    from ase.data import atomic_masses

    return torch.from_numpy(np.asarray(atomic_masses, dtype=np.float64))
