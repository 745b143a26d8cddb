"""Harmonic phonons of a batch of crystals, by central differences in float64."""

from __future__ import annotations

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
from pet_flows.properties.batch import Job, Progress, evaluate_each, failure, jobs, largest_spreads
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.phonon.cells import (
    BATCH_ATOMS,
    LIBRARY_ERRORS,
    NOT_RELAXED,
    cells_of,
    displaced_systems,
    no_phonons,
)
from pet_flows.properties.phonon.declaration import NonAnalytical, PhononSettings
from pet_flows.properties.phonon.force_constants import Harmonic, fit
from pet_flows.properties.phonon.nonanalytical import check_nac, primitive_nac
from pet_flows.properties.phonon.result import analyse, measured
from pet_flows.properties.prepare import as_crystal
from pet_flows.symmetrization.strategy import Bound


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
    inherited: Sequence[dict[str, Any] | None] | None = None,
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
    inherited
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
    prepare = partial(as_crystal, what="A phonon spectrum", symprec=settings.symprec)
    for job in jobs(structures, potential, inherited, prepare):
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
    cells = cells_of(job, potential, settings, max_atoms)
    crystal, notes = cells.crystal, cells.notes
    if nac is not None:
        crystal.phonopy.nac_params, said = primitive_nac(nac, job.atoms, crystal.phonopy.primitive)
        notes += said
    systems = displaced_systems(
        potential, cells.bound, crystal.supercell, crystal.matrix, crystal.displaced()
    )
    job.wall_time += perf_counter() - start
    return _Task(job, crystal, cells.bound, systems, nac, max_atoms, notes)


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
    try:
        return _task(task.job, potential, settings, size // 2, task.nac)
    except (StructureError, *LIBRARY_ERRORS):
        return None


def _outcome(task: _Task, results: list[Evaluation], settings: PhononSettings) -> Outcome:
    crystal, job = task.crystal, task.job
    forces = np.array([r.forces for r in results])
    crystal.phonopy.force_constants = fit(crystal, forces[1:], forces[0])
    result, arrays = analyse(crystal, settings)
    residual = float(np.sqrt((forces[0] ** 2).sum(1).max()))
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
        **largest_spreads(results),
        reference_digest=job.bound.reference_digest,
        inherited=task.bound.as_dict(),
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
