"""torch-sim's view of a potential: batches whose systems may leave and enter at any step.

torch-sim reorders systems when it swaps them. Each therefore has a number in
``state.system_extras``, under which the model holds its :class:`~.moving.MovingSystem`: what must
travel with it, the bound strategy, the symmetry to keep, and the tally of what it has cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import torch

from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.engines.moving import MovingSystem
from pet_flows.engines.moving_batch import MovingBatch
from pet_flows.engines.quiet import torch_sim as ts
from pet_flows.errors import StructureError

#: evaluates a batch; a structure that cannot be done gives its error instead of a result
EvaluateEach = Callable[[Sequence[System]], Sequence[Evaluation | StructureError]]

_KEY = "number"


class State(Protocol):
    """Systems in the order of an optimizer, torch-sim's or ours, each under its number."""

    @property
    def system_extras(self) -> Mapping[str, Any]:
        """``number``: ``(S,)`` int."""
        ...

    def pop(self, places: list[int]) -> Any:
        """Take some out."""
        ...


class BatchedModel[M: MovingSystem](ts.models.interface.ModelInterface):
    """A potential as torch-sim sees it; geometry is float64 on the CPU whatever the model is.

    A system that cannot be evaluated gets zero forces and its error: the driver takes it out, and
    the others of its batch do not notice.

    Parameters
    ----------
    evaluate
        Batch evaluation with failures kept apart.

    Attributes
    ----------
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
        self.evaluation_time = 0.0
        self._inside: dict[int, M] = {}
        self._next = 0
        self._batch: MovingBatch | None = None

    def register(self, moving: Sequence[M]) -> np.ndarray:
        """Numbers ``(S,)`` of systems that enter; the model knows them from here on."""
        first = self._next + 1
        self._next += len(moving)
        numbers = np.arange(first, self._next + 1)
        self._inside.update(zip(numbers.tolist(), moving, strict=True))
        return numbers

    def enter(self, moving: Sequence[M]) -> ts.SimState:
        """torch-sim's state of systems where they start."""
        numbers = self.register(moving)
        starts = [m.start for m in moving]
        sizes = torch.tensor([len(s) for s in starts])
        kinds = torch.from_numpy(np.concatenate([s.numbers for s in starts]).astype(np.int64))
        return ts.SimState(
            positions=torch.from_numpy(np.concatenate([s.positions for s in starts])),
            masses=_masses()[kinds],
            cell=torch.from_numpy(np.stack([m.hand * m.start.cell.T for m in moving])),
            pbc=True,  # ours are in the systems; torch-sim's own are never looked at
            atomic_numbers=kinds,
            system_idx=torch.repeat_interleave(torch.arange(len(starts)), sizes),
            _system_extras={_KEY: torch.from_numpy(numbers)},
        )

    @property
    def held(self) -> list[M]:
        """All systems that have entered and not left."""
        return list(self._inside.values())

    def inside(self, state: State | None) -> list[M]:
        """The systems of a state, in its order."""
        return [] if state is None else [self._inside[n] for n in _numbers(state)]

    def leave[S: State](self, state: S, places: Sequence[int]) -> S | None:
        """What is left of a state without the systems at some places, which are forgotten."""
        numbers = _numbers(state)
        for place in places:
            del self._inside[numbers[place]]
        if len(places) == len(numbers):
            return None
        if places:
            state.pop(list(places))
        return state

    def forward(self, state: ts.SimState, **_: object) -> dict[str, torch.Tensor]:
        """Energies (S,) eV, forces (N, 3) eV/Å and stresses (S, 3, 3) eV/Å³ of a state."""
        hands = np.array([moving.hand for moving in self.inside(state)])[:, None, None]
        cells = hands * state.row_vector_cell.detach().numpy()
        found = self.evaluate_at(state, state.positions.detach().numpy(), cells)
        names = ("energy", "forces", "stress")
        return {name: torch.from_numpy(each) for name, each in zip(names, found, strict=True)}

    def evaluate_at(
        self, state: State, positions: np.ndarray, cells: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Energies ``(S,)`` eV, forces ``(N, 3)`` eV/Å, stresses ``(S, 3, 3)`` eV/Å³.

        Parameters
        ----------
        state
            Whose systems they are.
        positions, cells
            ``(N, 3)`` and ``(S, 3, 3)`` Å.
        """
        inside = self.inside(state)
        if self._batch is None or self._batch.members != inside:
            self._batch = MovingBatch(inside)
        self._refresh(self._batch, positions, cells)
        results = [None if moving.error is not None else moving.last for moving in inside]
        none = np.zeros((3, 3))
        return (
            np.array([0.0 if r is None else r.energy for r in results]),
            np.concatenate([
                np.zeros((len(moving), 3)) if r is None else r.forces
                for moving, r in zip(inside, results, strict=True)
            ]),
            np.stack([none if r is None or r.stress is None else r.stress for r in results]),
        )  # fmt: skip

    def _refresh(self, batch: MovingBatch, positions: np.ndarray, cells: np.ndarray) -> None:
        """Evaluate every system whose geometry is new since its last evaluation."""
        placed = batch.place(positions, cells, batch.new(positions, cells))
        if not placed:
            return
        start = perf_counter()
        results = self._evaluate([system for _, system in placed.values()])
        elapsed = perf_counter() - start
        self.evaluation_time += elapsed
        cost = [
            len(moving) * (result.n_evaluations if isinstance(result, Evaluation) else 1)
            for (moving, _), result in zip(placed.values(), results, strict=True)
        ]
        found: dict[int, Evaluation] = {}
        each = elapsed / sum(cost)
        for (s, (moving, _)), result, c in zip(placed.items(), results, cost, strict=True):
            moving.wall_time += each * c
            if isinstance(result, StructureError):
                moving.error = result
            else:
                found[s] = result
        for s, evaluation in batch.symmetrized(found).items():
            placed[s][0].take(evaluation)


def _numbers(state: State) -> list[int]:
    """The numbers of the systems in a state, in its order."""
    numbers: list[int] = state.system_extras[_KEY].tolist()
    return numbers


def _masses() -> torch.Tensor:
    """(Z,) atomic masses in u."""
    from ase.data import atomic_masses

    return torch.from_numpy(np.asarray(atomic_masses, dtype=np.float64))
