"""What every property shares: structures checked once, failures kept to themselves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import vesin
from ase import Atoms
from ase.data import chemical_symbols
from ase.units import GPa

from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.memory import is_out_of_memory
from pet_flows.engines.potential import Potential
from pet_flows.errors import StructureError
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.settings import OVERLAP
from pet_flows.symmetry.crystal import carried_for_supercell
from pet_flows.symmetry.group import SpaceGroup
from pet_flows.symmetry.strategy import Bound

logger = logging.getLogger(__name__)

#: batches hold this many chunks of the evaluator: enough that the time beside them is small
CHUNKS_IN_FLIGHT = 4
#: Å³; a periodic cell with less room than this for each atom is not a crystal
LEAST_VOLUME = 1.0

#: called with (index of the structure, done, total) in the property's own units
Progress = Callable[[int, int, int], None]


@dataclass(frozen=True)
class Prepared:
    """What is computed in place of a structure that was given."""

    atoms: Atoms
    group: SpaceGroup | None = None
    """its exact symmetry, where that is to be kept"""
    notes: tuple[str, ...] = ()
    """warnings"""


@dataclass
class Job:
    """One structure that passed the checks, with its bound strategy."""

    index: int
    atoms: Atoms
    bound: Bound
    started: float
    group: SpaceGroup | None = None
    """symmetry that is kept"""
    wall_time: float = 0.0
    """s, its share of batches so far"""
    rebound: int = 0
    """how often it had to be bound anew on the way"""
    notes: tuple[str, ...] = ()
    """warnings beside those of the binding"""


def check(atoms: Atoms, elements: Iterable[int] | None = None) -> None:
    """Refuse what no potential can evaluate.

    Parameters
    ----------
    atoms
        The structure.
    elements
        Atomic numbers the model knows, or None for all.

    Raises
    ------
    StructureError
        ``empty``, ``not_finite_input``, ``unknown_element``, ``degenerate_cell`` or
        ``overlapping_atoms``.
    """
    if len(atoms) == 0:
        raise StructureError("empty", "The structure has no atoms.")
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise StructureError(
            "not_finite_input", "A position or lattice vector is not a number; check the file."
        )
    if elements is not None:
        unknown = sorted(set(atoms.numbers.tolist()) - set(elements))
        if unknown:
            names = ", ".join(chemical_symbols[z] for z in unknown)
            raise StructureError(
                "unknown_element",
                f"The model was not trained on {names}; choose a model that knows every element.",
            )
    if atoms.pbc.any():
        axes = atoms.cell.array[atoms.pbc]
        content = float(np.sqrt(max(0.0, np.linalg.det(axes @ axes.T))))
        if content < 1e-3 or (atoms.pbc.all() and content / len(atoms) < LEAST_VOLUME):
            raise StructureError(
                "degenerate_cell",
                f"The lattice vectors enclose {content:.3g} Å^{int(atoms.pbc.sum())} for "
                f"{len(atoms)} atoms; check the cell and its units.",
            )
    i, j, d = closest_pair(atoms)
    if d < OVERLAP:
        what = f"atoms {i} and {j} are" if i != j else f"atom {i} and its own image are"
        raise StructureError(
            "overlapping_atoms",
            f"Two atoms lie on top of each other: {what} {d:.3f} Å apart "
            f"({atoms.symbols[i]}, {atoms.symbols[j]}).",
        )


def closest_pair(atoms: Atoms, cutoff: float = OVERLAP) -> tuple[int, int, float]:
    """Two atoms (or images) nearest to each other within ``cutoff`` Å; distance inf if none."""
    periodic = atoms.pbc
    cell = np.where(periodic[:, None], atoms.cell.array, 0.0)
    if periodic.any() and not periodic.all():
        from ase.geometry import complete_cell

        cell = complete_cell(cell)
    search = vesin.NeighborList(cutoff=cutoff, full_list=False)
    i, j, d = search.compute(
        points=atoms.positions.astype(float), box=cell, periodic=periodic, quantities="ijd"
    )
    if len(d) == 0:
        return 0, 0, np.inf
    nearest = int(np.argmin(d))
    return int(i[nearest]), int(j[nearest]), float(d[nearest])


def clean(atoms: Atoms) -> Atoms:
    """Copy with species, positions, cell and periodicity only, in float64."""
    return Atoms(
        numbers=atoms.numbers,
        positions=np.array(atoms.positions, dtype=np.float64),
        cell=np.array(atoms.cell.array, dtype=np.float64),
        pbc=atoms.pbc,
    )


#: Å; a snap that moves less is round-off or the last digits of a file
WORTH_SAYING = 1e-4


def as_given(atoms: Atoms) -> Prepared:
    """A clean copy and nothing else."""
    return Prepared(clean(atoms))


def snapped(atoms: Atoms, symprec: float) -> Prepared:
    """Copy that has the symmetry found at ``symprec`` (Å) exactly, with that symmetry."""
    copy = clean(atoms)
    if not copy.pbc.all():
        return Prepared(copy)
    try:
        group = SpaceGroup.find(copy, symprec)
    except StructureError as error:
        return Prepared(copy, notes=(f"No symmetry was kept. {error.message}",))
    exact = group.snap(copy)
    move = float(np.abs(exact.positions - copy.positions).max())
    stretch = float(np.abs(exact.cell.array - copy.cell.array).max())
    notes: tuple[str, ...] = ()
    if max(move, stretch) > WORTH_SAYING:
        notes = (
            f"Made exactly symmetric ({group.international}) at symprec {symprec:g} Å: atoms moved "
            f"by up to {move:.1e} Å, lattice vectors by up to {stretch:.1e} Å.",
        )
    return Prepared(exact, group, notes)


def jobs(
    structures: Sequence[Atoms],
    potential: Potential,
    carried: Sequence[dict[str, Any] | None] | None,
    prepare: Callable[[Atoms], Prepared] = as_given,
    repeats: Callable[[Atoms], tuple[int, int, int]] | None = None,
) -> Iterator[Job | Outcome]:
    """Check, copy and bind each structure; one that cannot be done gives its failed Outcome.

    Parameters
    ----------
    structures
        The batch; never changed.
    potential
        Whose elements are known and whose strategy is bound.
    carried
        Per structure, an earlier ``Bound.as_dict()`` or None.
    prepare
        Gives what is computed (a copy, a copy snapped to its symmetry, ...).
    repeats
        How often that is repeated along each axis before it is bound; what is ``carried``
        follows.
    """
    for index, atoms in enumerate(structures):
        started = perf_counter()
        try:
            check(atoms, potential.elements)
            potential.evaluator.refuse_too_large(atoms)
            prepared = prepare(atoms)
            copy = prepared.atoms
            known = None if carried is None else carried[index]
            if repeats is not None:
                n = repeats(copy)
                copy = copy.repeat(n)
                known = None if known is None else carried_for_supercell(known, np.diag(n))
            bound = potential.bind(copy, known)
        except StructureError as error:
            yield failure(index, error, perf_counter() - started)
            continue
        except MemoryError:
            yield failure(index, _too_large(len(atoms)), perf_counter() - started)
            continue
        except (np.linalg.LinAlgError, ArithmeticError, ValueError) as error:
            logger.exception("structure %d of a batch cannot be prepared", index)
            wrong = StructureError(
                "not_prepared", f"The structure broke its own preparation: {error}."
            )
            yield failure(index, wrong, perf_counter() - started)
            continue
        yield Job(
            index, copy, bound, started, prepared.group,
            wall_time=perf_counter() - started, notes=prepared.notes,
        )  # fmt: skip


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


def room_of(potential: Potential) -> int:
    """Atoms × evaluations in flight."""
    return CHUNKS_IN_FLIGHT * potential.evaluator.chunk_atoms


def evaluate_each(
    evaluator: Evaluator, systems: Sequence[System], forces: bool = True
) -> list[Evaluation | StructureError]:
    """Evaluate a batch; a structure that cannot be done gives its error, the others a result.

    The batch is halved until the one at fault is alone; so it is when memory runs out.
    """
    if not systems:
        return []
    try:
        return list(evaluator.evaluate(systems, forces=forces))
    except (StructureError, MemoryError, RuntimeError) as error:  # torch's own are RuntimeErrors
        if len(systems) == 1:
            if isinstance(error, StructureError):
                return [error]
            if is_out_of_memory(error):
                return [_too_large(len(systems[0].numbers))]
            first = (str(error).splitlines() or [type(error).__name__])[0][:400]
            message = f"The device or the model broke down on this structure: {first}"
            return [StructureError("device_error", message, retryable=True)]
        middle = len(systems) // 2
        return [
            *evaluate_each(evaluator, systems[:middle], forces),
            *evaluate_each(evaluator, systems[middle:], forces),
        ]


def _too_large(n_atoms: int) -> StructureError:
    return StructureError(
        "out_of_memory",
        f"{n_atoms} atoms do not fit into memory; use a larger device or a smaller cell.",
        retryable=True,
    )


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
