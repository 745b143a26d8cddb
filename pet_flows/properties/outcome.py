"""What every property yields for every structure, in the order in which they finish."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from ase import Atoms
from ase.units import GPa

from pet_flows.errors import StructureError

if TYPE_CHECKING:
    from pet_flows.engines.evaluation import Evaluation
    from pet_flows.engines.moving import MovingSystem

#: called with (index of the structure, done, total) in the property's own units
Progress = Callable[[int, int, int], None]
State = Literal["ok", "unconverged", "failed"]


@dataclass(frozen=True)
class Outcome:
    """The result of one property of one structure, before it becomes a record."""

    index: int
    """position of the structure in the batch that was given"""
    state: State
    result: dict[str, Any] = field(default_factory=dict)
    """the ``result`` of this property's record (JSON numbers and lists)"""
    atoms: Atoms | None = None
    """final geometry; None where there is none"""
    reason: str | None = None
    message: str | None = None
    retryable: bool = False
    blobs: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    """large arrays by blob name, each a dict of arrays"""
    n_evaluations: int = 0
    energy_spread: float | None = None
    """eV/atom"""
    force_spread: float | None = None
    """eV/Å"""
    uncertainty: dict[str, float | None] | None = None
    """what the model itself says of its error: ``energy_per_atom`` (eV), ``forces`` (eV/Å) and
    ``stress`` (GPa); None where it says nothing"""
    reference_digest: str | None = None
    inherited: dict[str, Any] = field(default_factory=dict)
    """``Bound.as_dict()`` of the structure, for properties that start from this one"""
    warnings: tuple[str, ...] = ()
    wall_time: float = 0.0
    """s, this structure's share of its batch"""


def failure(index: int, error: StructureError, wall_time: float = 0.0, **known: Any) -> Outcome:
    """Failed Outcome of a StructureError."""
    return Outcome(
        index=index,
        state="failed",
        reason=error.reason,
        message=error.message,
        retryable=error.retryable,
        wall_time=wall_time,
        **known,
    )


def missing_points(
    errors: Iterable[StructureError | None], n: int, what: str
) -> StructureError | None:
    """What a result says that lacks points which another attempt may give; None if it lacks none.

    A fit over the rest would be stored as done, and nobody would ever compute what is missing.

    Parameters
    ----------
    errors
        Of the points.
    n, what
        How many points there should be, and of what.
    """
    again = [error for error in errors if error is not None and error.retryable]
    if not again:
        return None
    return StructureError(
        again[0].reason,
        f"{len(again)} of {n} {what} are missing: {again[0].message}",
        retryable=True,
    )


def spent(moving: Iterable[MovingSystem]) -> dict[str, Any]:
    """Of an outcome: the evaluations and the wall time (s) that systems took together."""
    every = list(moving)
    return {
        "n_evaluations": sum(m.n_evaluations for m in every),
        "wall_time": sum(m.wall_time for m in every),
    }


def largest_spreads(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """``energy_spread`` (eV/atom) and ``force_spread`` (eV/Å) of what has several evaluations."""
    energies = [e.energy_spread for e in evaluations if e.energy_spread is not None]
    forces = [e.force_spread for e in evaluations if e.force_spread is not None]
    return {
        "energy_spread": max(energies, default=None),
        "force_spread": max(forces, default=None),
    }


def lattice(atoms: Atoms) -> dict[str, float]:
    """Lengths (Å) and angles (°) of the cell."""
    names = ("a", "b", "c", "alpha", "beta", "gamma")
    return dict(zip(names, map(float, atoms.cell.cellpar()), strict=True))


def stress_in_gpa(stress: np.ndarray | None) -> list[list[float]] | None:
    """(3, 3) stress from eV/Å³ to GPa."""
    return None if stress is None else (stress / GPa).tolist()


def pressure_in_gpa(stress: np.ndarray | None) -> float | None:
    """Pressure, minus a third of the trace of the stress (eV/Å³), in GPa."""
    return None if stress is None else float(-np.trace(stress) / 3 / GPa)
