"""Harmonic phonons of a batch of crystals, by central differences in float64."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from ase import Atoms

from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.engines.potential import Potential
from pet_flows.errors import StructureError
from pet_flows.properties.batch import (
    Job,
    Prepared,
    Progress,
    evaluate_each,
    failure,
    jobs,
    snapped,
)
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.phonons.force_constants import Harmonic, fit, harmonic
from pet_flows.properties.phonons.nonanalytical import check_nac, primitive_nac
from pet_flows.properties.phonons.result import analyse, measured
from pet_flows.properties.phonons.settings import NonAnalytical, PhononSettings
from pet_flows.symmetry.crystal import carried_for_supercell
from pet_flows.symmetry.exact import find_primitive
from pet_flows.symmetry.strategy import Bound

#: eV/Å; forces that a relaxed structure does not have
NOT_RELAXED = 0.02
#: atoms of displaced cells evaluated together; the evaluator bounds memory by itself
BATCH_ATOMS = 4000
#: what phonopy, symfc and spglib raise for a cell that they cannot handle
LIBRARY_ERRORS = (
    np.linalg.LinAlgError, ArithmeticError, AssertionError, LookupError, RuntimeError, ValueError,
)  # fmt: skip

logger = logging.getLogger(__name__)


@dataclass
class _Task:
    """One crystal between its displacements and its force constants."""

    job: Job
    crystal: Harmonic
    bound: Bound
    """of the primitive cell"""
    systems: list[System]
    """the supercell without displacements first"""
    nac: NonAnalytical | None
    max_atoms: int
    """that the supercell was allowed"""
    notes: tuple[str, ...]
    """warnings"""


def phonon(
    structures: Sequence[Atoms],
    potential: Potential,
    settings: PhononSettings | None = None,
    carried: Sequence[dict[str, Any] | None] | None = None,
    *,
    nac: Sequence[NonAnalytical | None] | None = None,
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Compute phonons of relaxed crystals.

    Displaced supercells of many crystals share batches. They keep the crystal reference of the
    structure they come from; residual forces are subtracted, and displacements come with their
    opposites unless symmetry provides them; the force constants obey space group, permutation and
    acoustic sum rules to round-off.

    Parameters
    ----------
    structures
        Three periodic axes; never changed. Reduced to their primitive cells.
    potential
        Evaluated in float64 whatever its own dtype.
    settings
        Supercell, displacement, mesh, tolerance.
    carried
        Per structure, ``Bound.as_dict()`` of its relaxation.
    nac
        Per structure, its Born charges and dielectric tensor; instead of ``settings.nac``, which
        is for a single one.
    progress
        Called with (index, displaced cells done, displaced cells) when a crystal is done.

    Yields
    ------
    Outcome
        Result as in ``RECORDS``; ``supercell_matrix`` is phonopy's (columns), for the primitive
        cell, which is the outcome's ``atoms``. Blob ``phonon``: ``force_constants (n, N, 3, 3)``
        eV/Å² compact, ``supercell_*`` and ``primitive_*`` cells, ``displacements`` and ``forces``
        they come from, ``mesh_*`` and ``band_*`` arrays (:mod:`.phonons.modes`), densities of
        states and ``thermal_displacements`` (:mod:`.phonons.density`), ``born_charges`` and
        ``dielectric`` as they were used. Imaginary modes are results: the state is ``ok``.
    """
    settings = settings or PhononSettings()
    if potential.spec.dtype != "float64":
        potential = potential.with_(dtype="float64")
    tasks: list[_Task] = []
    waiting = 0
    for job in jobs(structures, potential, carried, partial(_crystal, settings)):
        if isinstance(job, Outcome):
            yield job
            continue
        try:
            given = settings.nac if nac is None else nac[job.index]
            task = _task(job, potential, settings, settings.max_atoms, given)
        except StructureError as error:
            yield failure(job.index, error, job.wall_time)
            continue
        except LIBRARY_ERRORS as error:
            yield failure(job.index, no_phonons(error), job.wall_time)
            continue
        tasks.append(task)
        waiting += sum(len(s.numbers) for s in task.systems)
        if waiting >= BATCH_ATOMS:
            yield from _run(tasks, potential, settings, progress)
            tasks, waiting = [], 0
    yield from _run(tasks, potential, settings, progress)


def _crystal(settings: PhononSettings, atoms: Atoms) -> Prepared:
    """The structure made exactly symmetric."""
    if not atoms.pbc.all():
        raise StructureError(
            "not_periodic", "Phonons need a crystal that is periodic along three axes."
        )
    return snapped(atoms, settings.symprec)


def _task(
    job: Job,
    potential: Potential,
    settings: PhononSettings,
    max_atoms: int,
    nac: NonAnalytical | None,
) -> _Task:
    start = perf_counter()
    if nac is not None:
        check_nac(nac, len(job.atoms))
    primitive = primitive_of(job.atoms)
    crystal = harmonic(primitive, settings.displacement, settings.min_length, max_atoms)
    notes: tuple[str, ...] = ()
    if nac is not None:
        crystal.phonopy.nac_params, notes = primitive_nac(nac, job.atoms, crystal.phonopy.primitive)
    notes += feels_its_images(crystal, potential)
    bound = potential.bind(crystal.primitive, carried_for_primitive(job, crystal.primitive))
    supercell = crystal.supercell
    larger = potential.bind(supercell, carried_for_supercell(bound.as_dict(), crystal.matrix))
    cell = supercell.cell.array
    systems = [
        System(supercell.numbers, positions, cell, supercell.pbc, larger)
        for positions in (supercell.positions, *crystal.displaced())
    ]
    job.wall_time += perf_counter() - start
    return _Task(job, crystal, bound, systems, nac, max_atoms, notes)


def feels_its_images(crystal: Harmonic, potential: Potential) -> tuple[str, ...]:
    """A warning if the model reaches across the supercell."""
    if crystal.shortest >= potential.reach:
        return ()
    return (
        f"The model reaches {potential.reach:.1f} Å, and atoms of a supercell of "
        f"{crystal.shortest:.1f} Å feel their own images: sound velocities and weak "
        "instabilities need a larger min_length.",
    )


def primitive_of(atoms: Atoms) -> Atoms:
    """Primitive cell of a crystal whose symmetry is exact, neither turned nor shifted."""
    found = find_primitive(atoms.numbers, atoms.cell.array, atoms.positions)
    return Atoms(
        numbers=atoms.numbers[found.atoms],
        positions=atoms.positions[found.atoms],
        cell=found.basis @ atoms.cell.array,
        pbc=True,
    )


def no_phonons(error: Exception) -> StructureError:
    """What a library's error becomes; its traceback goes to the log."""
    logger.error("no phonons for one structure of a batch", exc_info=error)
    return StructureError(
        "no_force_constants",
        f"Supercell or force constants could not be made ({type(error).__name__}: {error}); check "
        "that the structure is a sensible crystal.",
    )


def carried_for_primitive(job: Job, primitive: Atoms) -> dict[str, Any] | None:
    """What the primitive cell takes along: N is known from how it was cut, never searched.

    None for a crystal that has become more symmetric than its reference knows: that lattice has
    no setting of the smaller cell.
    """
    carried = job.bound.as_dict()
    if "N" not in carried:
        return carried
    matrix = primitive.cell.array @ np.linalg.inv(job.atoms.cell.array)
    exact = matrix @ np.array(carried["N"])
    setting = np.rint(exact).astype(int)
    if np.abs(exact - setting).max() > 1e-3:
        job.notes += (
            "The crystal has a smaller primitive cell than the reference of its relaxation, whose "
            "lattice cannot describe it: the reference was derived anew.",
        )
        return None
    return {"reference": carried["reference"], "N": setting.tolist()}


def _run(
    tasks: list[_Task], potential: Potential, settings: PhononSettings, progress: Progress | None
) -> Iterator[Outcome]:
    """Evaluate the displaced cells of some crystals together."""
    start = perf_counter()
    results = iter(evaluate_each(potential.evaluator, [s for t in tasks for s in t.systems]))
    elapsed = perf_counter() - start
    own = [[next(results) for _ in task.systems] for task in tasks]
    cost = [_cost(task, mine) for task, mine in zip(tasks, own, strict=True)]
    for task, mine, c in zip(tasks, own, cost, strict=True):
        start = perf_counter()
        wall_time = task.job.wall_time + elapsed * c / sum(cost)
        if progress is not None:
            progress(task.job.index, len(mine) - 1, len(mine) - 1)
        error = next((r for r in mine if isinstance(r, StructureError)), None)
        if error is not None:
            task.job.wall_time = wall_time
            smaller = _smaller(task, potential, settings, error)
            if smaller is not None:
                yield from _run([smaller], potential, settings, progress)
            else:
                yield failure(task.job.index, error, wall_time)
            continue
        done = [r for r in mine if isinstance(r, Evaluation)]
        try:
            outcome = _outcome(task, done, settings)
        except LIBRARY_ERRORS as broken:
            yield failure(task.job.index, no_phonons(broken), wall_time)
            continue
        yield replace(outcome, wall_time=wall_time + perf_counter() - start)


def _cost(task: _Task, results: Sequence[Evaluation | StructureError]) -> int:
    """Atoms × evaluations."""
    return len(task.crystal.supercell) * sum(
        r.n_evaluations if isinstance(r, Evaluation) else 1 for r in results
    )


def _smaller(
    task: _Task, potential: Potential, settings: PhononSettings, error: StructureError
) -> _Task | None:
    """The same crystal in a supercell of half the size, when memory is what was missing."""
    size = len(task.crystal.supercell)
    if error.reason != "out_of_memory" or size // 2 < len(task.crystal.primitive):
        return None
    task.job.notes += (
        f"A supercell of {size} atoms did not fit into memory; a smaller one was used.",
    )
    return _task(task.job, potential, settings, size // 2, task.nac)


def _outcome(task: _Task, results: list[Evaluation], settings: PhononSettings) -> Outcome:
    crystal, job = task.crystal, task.job
    forces = np.array([r.forces for r in results])
    crystal.phonopy.force_constants = fit(crystal, forces[1:], forces[0])
    result, arrays = analyse(crystal, settings)
    residual = float(np.sqrt((forces[0] ** 2).sum(1).max()))
    spreads = [(r.energy_spread, r.force_spread) for r in results if r.force_spread is not None]
    return Outcome(
        index=job.index,
        state="ok",
        result={
            **result,
            "supercell_matrix": crystal.matrix.T.tolist(),
            "displacement": settings.displacement,
            "residual_force": residual,
        },
        atoms=crystal.primitive,
        blobs={"phonon": {**measured(crystal, forces), **arrays}},
        n_evaluations=sum(r.n_evaluations for r in results),
        energy_spread=max((s[0] for s in spreads if s[0] is not None), default=None),
        force_spread=max((s[1] for s in spreads if s[1] is not None), default=None),
        reference_digest=job.bound.reference_digest,
        carried=task.bound.as_dict(),
        warnings=tuple(_warnings(task, settings, result, residual)),
    )


def _warnings(
    task: _Task, settings: PhononSettings, result: dict[str, Any], residual: float
) -> Iterator[str]:
    """What a reader of the record should know."""
    yield from (*task.job.bound.warnings, *task.job.notes, *task.notes)
    if residual > NOT_RELAXED:
        yield f"The structure is not relaxed: forces of {residual:.3f} eV/Å were subtracted."
    if task.crystal.shortest < settings.min_length - 1e-6:
        yield (
            f"The supercell's shortest vector is {task.crystal.shortest:.1f} Å, less than the "
            f"{settings.min_length:g} Å asked for, to stay within {task.max_atoms} atoms."
        )
    if result["has_imaginary_modes"]:
        yield "Thermal properties and zero-point energy leave out imaginary modes."
