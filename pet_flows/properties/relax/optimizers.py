"""Optimizers of batches: L-BFGS of ours, and torch-sim's others, corrected where these need it.

Each has ``start`` (a state of fresh structures), ``join`` (structures enter a running batch),
``step`` and ``memory`` (what it holds besides the structures). torch-sim pads what an optimizer
remembers to the largest structure of a batch; when a larger one enters, its own padding puts new
rows in the wrong place (after the cell's), so ``join`` pads here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import torch

from pet_flows.engines.moving import MovingSystem
from pet_flows.engines.quiet import torch_sim as ts
from pet_flows.engines.torchsim import BatchedModel
from pet_flows.properties.relax.lbfgs import HISTORY, STIFFNESS, Walk

Freedom = Literal["cell", "shape", "volume", "ions"]
"""what moves besides the atoms: the whole cell, its shape alone, its volume alone, nothing"""


class Optimizer(Protocol):
    """What the loop over a stream of structures needs."""

    patience: int
    """steps without progress after which there will be none"""

    def start(
        self, model: BatchedModel, moving: Sequence[MovingSystem], freedom: Freedom, pressure: float
    ) -> Any:
        """State of structures that enter, evaluated; ``pressure`` in eV/Å³."""
        ...

    def join(self, state: Any, fresh: Any) -> Any:
        """One state of a running one and of fresh structures."""
        ...

    def step(self, state: Any, model: BatchedModel) -> None:
        """One step of all structures, in place."""
        ...

    def memory(self, n_systems: int, largest: int) -> int:
        """Bytes for so many structures, the largest of so many atoms."""
        ...


def _filter(state: ts.SimState, freedom: Freedom, pressure: float) -> dict[str, Any]:
    """torch-sim's keywords for what moves.

    The cell's coordinate is √N log F: its curvature, of the order of B V / N, is then that of an
    atom, whatever the size of the cell.
    """
    if freedom == "ions":
        return {"cell_filter": None}
    return {
        "cell_filter": ts.CellFilter.frechet,
        "cell_factor": state.n_atoms_per_system.to(torch.float64).sqrt(),
        "constant_volume": freedom == "shape",
        "hydrostatic_strain": freedom == "volume",
        "scalar_pressure": pressure,
    }


class LBFGS:
    """Ours: see :mod:`.lbfgs`."""

    patience = 20

    def start(
        self, model: BatchedModel, moving: Sequence[MovingSystem], freedom: Freedom, pressure: float
    ) -> Walk:
        """See :class:`Optimizer`."""
        fresh = Walk(model.register(moving), list(moving), freedom, pressure)
        fresh.evaluate(model)
        return fresh

    def join(self, state: Walk, fresh: Walk) -> Walk:
        """See :class:`Optimizer`."""
        state.join(fresh)
        return state

    def step(self, state: Walk, model: BatchedModel) -> None:
        """See :class:`Optimizer`."""
        state.step(model)

    def memory(self, n_systems: int, largest: int) -> int:
        """See :class:`Optimizer`."""
        return 8 * 2 * HISTORY * n_systems * 3 * (largest + 3)


class BFGS:
    """BFGS with the whole Hessian of each structure, for cells of up to some hundred atoms.

    torch-sim takes the Hessian of a structure smaller than the largest of its batch from the wrong
    rows (its cell's come after the padding), so that its cell would never move; here every one is
    as large as the largest, with rows of their own for atoms that it has not.
    """

    patience = 20

    def start(
        self, model: BatchedModel, moving: Sequence[MovingSystem], freedom: Freedom, pressure: float
    ) -> ts.SimState:
        """See :class:`Optimizer`."""
        state = model.enter(moving)
        fresh = ts.bfgs_init(state, model, alpha=STIFFNESS, **_filter(state, freedom, pressure))
        return self._level(fresh)

    def join(self, state: ts.SimState, fresh: ts.SimState) -> ts.SimState:
        """See :class:`Optimizer`."""
        extra = 9 if hasattr(state, "cell_positions") else 0
        width = max(state.hessian.shape[1], fresh.hessian.shape[1])
        for each in (state, fresh):
            each.hessian = _widen_hessian(each.hessian, width, extra)
        return self._level(ts.concatenate_states([state, fresh]))

    def step(self, state: Any, model: BatchedModel) -> None:
        """See :class:`Optimizer`."""
        ts.bfgs_step(state, model)

    def memory(self, n_systems: int, largest: int) -> int:
        """See :class:`Optimizer`."""
        return 8 * n_systems * (3 * largest + 9) ** 2

    def _level(self, state: Any) -> Any:
        extra = 9 if hasattr(state, "cell_positions") else 0
        state.max_atoms = torch.full_like(state.max_atoms, (state.hessian.shape[1] - extra) // 3)
        return state


class FIRE:
    """FIRE, every structure starting at rest whoever else is in the batch."""

    patience = 100

    def start(
        self, model: BatchedModel, moving: Sequence[MovingSystem], freedom: Freedom, pressure: float
    ) -> ts.SimState:
        """See :class:`Optimizer`."""
        state = model.enter(moving)
        fresh = ts.fire_init(state, model, **_filter(state, freedom, pressure))
        fresh.velocities.zero_()
        if hasattr(fresh, "cell_velocities"):
            fresh.cell_velocities.zero_()
        return fresh

    def join(self, state: ts.SimState, fresh: ts.SimState) -> ts.SimState:
        """See :class:`Optimizer`."""
        return ts.concatenate_states([state, fresh])

    def step(self, state: Any, model: BatchedModel) -> None:
        """See :class:`Optimizer`."""
        ts.fire_step(state, model)

    def memory(self, n_systems: int, largest: int) -> int:
        """See :class:`Optimizer`; nothing is padded."""
        return 0


OPTIMIZERS: dict[str, type[Optimizer]] = {"lbfgs": LBFGS, "bfgs": BFGS, "fire": FIRE}


def _widen_hessian(hessian: torch.Tensor, width: int, extra: int) -> torch.Tensor:
    """Hessians (S, D, D) of ``width``, the last ``extra`` rows and columns staying last."""
    old = hessian.shape[1]
    if old == width:
        return hessian
    wide = STIFFNESS * torch.eye(width, dtype=hessian.dtype).repeat(len(hessian), 1, 1)
    rows = torch.cat([torch.arange(old - extra), torch.arange(width - extra, width)])
    wide[:, rows[:, None], rows[None, :]] = hessian
    return wide
