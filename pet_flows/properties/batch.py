"""What every property shares: structures bound once, batches whose failures stay alone."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.units import GPa

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.memory import is_out_of_memory
from pet_flows.engines.potential import Potential
from pet_flows.errors import StructureError
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.prepare import Prepared, as_given, check
from pet_flows.symmetrization.crystal import inherited_by_supercell
from pet_flows.symmetrization.strategy import Bound

logger = logging.getLogger(__name__)

#: batches hold this many chunks of the evaluator: enough that the time beside them is small
CHUNKS_IN_FLIGHT = 4
#: what the errors of devices say, CUDA's and those of its libraries, in small letters
DEVICE_WORDS = (
    "cuda error", "cuda driver", "cublas", "cudnn", "cusolver", "cusparse", "cufft", "nvrtc",
    "hip error", "hipblas", "miopen", "xpu error", "mps backend",
)  # fmt: skip
#: what PyTorch raises, scripted models, whose errors are no RuntimeErrors, and linear algebra
BREAKDOWNS = (MemoryError, RuntimeError, torch.jit.Error, np.linalg.LinAlgError)
#: how TorchScript begins the line that says what was wrong
SCRIPTED = re.compile(r"[\w.]*(Error|Exception): ")

#: called with (index of the structure, done, total) in the property's own units
Progress = Callable[[int, int, int], None]


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


def jobs(
    structures: Sequence[Atoms],
    potential: Potential,
    inherited: Sequence[dict[str, Any] | None] | None,
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
    inherited
        Per structure, an earlier ``Bound.as_dict()`` or None.
    prepare
        Gives what is computed (a copy, a copy snapped to its symmetry, ...).
    repeats
        How often that is repeated along each axis before it is bound; what is ``inherited``
        follows.
    """
    for index, atoms in enumerate(structures):
        started = perf_counter()
        try:
            check(atoms, potential.elements)
            potential.evaluator.refuse_too_large(atoms)
            prepared = prepare(atoms)
            copy = prepared.atoms
            known = None if inherited is None else inherited[index]
            if repeats is not None:
                n = repeats(copy)
                copy = copy.repeat(n)
                known = None if known is None else inherited_by_supercell(known, np.diag(n))
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


def capacity_of(potential: Potential) -> int:
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
    except (StructureError, *BREAKDOWNS) as error:
        if len(systems) == 1:
            if isinstance(error, StructureError):
                return [error]
            if is_out_of_memory(error):
                return [_too_large(len(systems[0].numbers))]
            return [_broken(error)]
        middle = len(systems) // 2
        return [
            *evaluate_each(evaluator, systems[:middle], forces),
            *evaluate_each(evaluator, systems[middle:], forces),
        ]


def is_device_error(error: BaseException) -> bool:
    """Whether a device failed, and not the model that ran on it: older PyTorch says it in words."""
    kind = getattr(torch, "AcceleratorError", None)
    if kind is not None and isinstance(error, kind):
        return True
    text = str(error).lower()
    return any(words in text for words in DEVICE_WORDS)


def _broken(error: BaseException) -> StructureError:
    """What an error of PyTorch becomes: a device may recover, a model refuses again."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # TorchScript begins with a traceback of its own, and names the error after it
    named = [line for line in lines if SCRIPTED.match(line)]
    said = next(iter(named[-1:] or lines[:1]), type(error).__name__)[:400]
    if is_device_error(error):
        message = f"The device broke down on this structure: {said}"
        return StructureError("device_error", message, retryable=True)
    logger.error("the model broke down on one structure of a batch", exc_info=error)
    return StructureError("model_error", f"The model cannot do this structure: {said}")


def _too_large(n_atoms: int) -> StructureError:
    return StructureError(
        "out_of_memory",
        f"{n_atoms} atoms do not fit into memory; use a larger device or a smaller cell.",
        retryable=True,
    )


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
