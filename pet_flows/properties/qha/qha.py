"""Quasi-harmonic approximation: phonons at several volumes, thermodynamics at constant pressure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from ase import Atoms
from phonopy.phonon.grid import length2mesh

from pet_flows.engines.evaluation import Evaluation
from pet_flows.engines.potential import Potential
from pet_flows.errors import StructureError
from pet_flows.properties.batch import Job, Progress, capacity_of, evaluate_each, failure, jobs
from pet_flows.properties.bodies import body_of
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.phonon.cells import (
    BATCH_ATOMS,
    LIBRARY_ERRORS,
    cells_of,
    displaced_systems,
    no_phonons,
)
from pet_flows.properties.phonon.force_constants import fit, strained
from pet_flows.properties.phonon.modes import ZERO, mesh_modes
from pet_flows.properties.prepare import FIXED_CELL, as_crystal, snapped
from pet_flows.properties.qha.declaration import QHASettings
from pet_flows.properties.qha.result import outcome
from pet_flows.properties.qha.volumes import Task, Volume
from pet_flows.properties.relax.optimize import Freedom, Optimization


def qha(
    structures: Sequence[Atoms],
    potential: Potential,
    settings: QHASettings | None = None,
    inherited: Sequence[dict[str, Any] | None] | None = None,
    *,
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Thermal expansion and what goes with it, for a batch of crystals.

    At each volume ions and shape relax under the symmetry that is kept, as for an equation of
    state; phonons there, as :func:`.phonons.phonon.phonon` computes them, give F(V, T),
    whose minimum is followed in temperature. All volumes share one crystal reference, one supercell
    matrix and one mesh. Displaced cells of all volumes of many crystals share batches.

    Parameters
    ----------
    structures
        Three periodic axes, relaxed; never changed. Reduced to their primitive cells.
    potential
        Evaluated in float64 whatever its own dtype.
    settings
        Volumes, supercell, mesh, temperatures.
    inherited
        Per structure, ``Bound.as_dict()`` of its relaxation.
    progress
        Called with (index, volumes relaxed, volumes).

    Yields
    ------
    Outcome
        Result as in ``RECORDS``; ``atoms`` is the primitive cell at the volume given. Blob ``qha``:
        ``volumes (v,)`` Å³/atom, ``temperatures (t,)`` K, ``free_energies (t, v)`` eV/atom of
        lattice and phonons, ``entropies`` and ``heat_capacities (t, v)`` J/K/mol per atom,
        ``mesh_*`` with ``mesh_frequencies (v, q, 3n)`` THz, ``mode_gruneisen (q, 3n)`` and
        ``gruneisen_frequencies (q, 3n)`` at the volume given. A volume with modes that are not
        real is left out, and so is what is stable beyond it; ``failed`` with ``imaginary_modes``
        if fewer than five remain, with ``no_minimum`` if the free energy has none among them at
        the lowest temperature, with ``no_volume`` for slabs and molecules.
    """
    settings = settings or QHASettings()
    if potential.spec.dtype != "float64":
        potential = potential.with_(dtype="float64")
    freedom: Freedom = "shape" if settings.relax == "shape" else "ions"
    criteria = settings.model_copy(update={"steps": 0}) if settings.relax == "none" else settings
    optimization = Optimization(
        partial(evaluate_each, potential.evaluator), criteria, freedom, capacity_of(potential)
    )
    steps = range(-settings.n_compressed, settings.n_expanded + 1)
    prepare = partial(
        as_crystal,
        what="Thermal expansion",
        symprec=settings.symprec if settings.fix_symmetry else None,
        cutoff=potential.cutoff,
    )
    for job in jobs(structures, potential, inherited, prepare):
        if isinstance(job, Outcome):
            yield job
            continue
        try:
            task = _task(job, potential, settings)
        except StructureError as error:
            yield failure(job.index, error, job.wall_time)
            continue
        except LIBRARY_ERRORS as error:
            yield failure(job.index, no_phonons(error), job.wall_time)
            continue
        for step in steps:
            atoms = task.job.atoms.copy()
            ratio = 1.0 + step * settings.volume_step
            atoms.set_cell(atoms.cell.array * ratio ** (1 / 3), scale_atoms=True)
            optimization.add((task, step), body_of(atoms, task.job))
    ready: list[Task] = []
    waiting = 0
    for optimized in optimization:
        task, step = optimized.tag
        task.volumes[step] = Volume(step, optimized, error=optimized.error)
        if progress is not None:
            progress(task.job.index, len(task.volumes), len(steps))
        if len(task.volumes) < len(steps):
            continue
        waiting += _displace(task, potential, settings)
        ready.append(task)
        if waiting >= BATCH_ATOMS:
            yield from _run(ready, potential, settings)
            ready, waiting = [], 0
    yield from _run(ready, potential, settings)


def _task(job: Job, potential: Potential, settings: QHASettings) -> Task:
    """The crystal's primitive cell with its supercell, bound to the reference it came with."""
    start = perf_counter()
    cells = cells_of(job, potential, settings)
    crystal = cells.crystal
    prepared = snapped(crystal.primitive, FIXED_CELL)
    primitive = replace(
        job,
        atoms=prepared.atoms,
        bound=cells.bound,
        notes=job.notes + cells.notes,
        group=prepared.group if settings.fix_symmetry else None,
        wall_time=job.wall_time + perf_counter() - start,
    )
    mesh = settings.mesh or length2mesh(
        settings.mesh_length,
        crystal.primitive.cell.array,
        rotations=crystal.group.columns[0],
    )
    a, b, c = (int(n) for n in mesh)
    return Task(primitive, crystal, (a, b, c))


def _displace(task: Task, potential: Potential, settings: QHASettings) -> int:
    """Make the displaced supercells of all volumes; how many atoms they have."""
    start = perf_counter()
    atoms = 0
    for volume in task.volumes.values():
        if volume.error is not None:
            continue
        try:
            crystal = strained(task.crystal, volume.atoms, settings.displacement)
            volume.systems = displaced_systems(
                potential,
                task.job.bound,
                crystal.supercell,
                task.crystal.matrix,
                crystal.displaced(),
            )
        except StructureError as error:
            volume.error = error
            continue
        except LIBRARY_ERRORS as error:
            volume.error = no_phonons(error)
            continue
        volume.crystal = crystal
        atoms += sum(len(s.numbers) for s in volume.systems)
    task.job.wall_time += perf_counter() - start
    return atoms


def _run(tasks: list[Task], potential: Potential, settings: QHASettings) -> Iterator[Outcome]:
    """Evaluate the displaced cells of some crystals together."""
    start = perf_counter()
    every = [s for t in tasks for v in t.volumes.values() for s in v.systems]
    results = iter(evaluate_each(potential.evaluator, every))
    elapsed = perf_counter() - start
    own = [[[next(results) for _ in v.systems] for v in t.volumes.values()] for t in tasks]
    for task, mine in zip(tasks, own, strict=True):
        share = sum(len(s.numbers) for v in task.volumes.values() for s in v.systems)
        task.job.wall_time += elapsed * share / max(1, sum(len(s.numbers) for s in every))
        start = perf_counter()
        try:
            for volume, forces in zip(task.volumes.values(), mine, strict=True):
                _vibrate(task, volume, forces, settings)
            finished = outcome(task, settings)
        except LIBRARY_ERRORS as error:
            finished = failure(task.job.index, no_phonons(error))
        wall_time = task.job.wall_time + perf_counter() - start
        wall_time += sum(v.optimized.body.wall_time for v in task.volumes.values())
        yield replace(finished, wall_time=wall_time)


def _vibrate(
    task: Task,
    volume: Volume,
    results: list[Evaluation | StructureError],
    settings: QHASettings,
) -> None:
    """Force constants and mesh of one volume."""
    task.n_evaluations += volume.optimized.body.n_evaluations
    if volume.error is not None:
        return
    done = [r for r in results if isinstance(r, Evaluation)]
    task.n_evaluations += sum(r.n_evaluations for r in done)
    volume.error = next((r for r in results if isinstance(r, StructureError)), None)
    if volume.error is not None:
        return
    assert volume.crystal is not None
    forces = np.array([r.forces for r in done])
    volume.residual = float(np.sqrt((forces[0] ** 2).sum(1).max()))
    phonopy = volume.crystal.phonopy
    phonopy.force_constants = fit(volume.crystal, forces[1:], forces[0])
    mesh = mesh_modes(phonopy, volume.crystal.group, task.mesh)
    # every mode must count at every volume: one left out would be a step in F(V)
    worst = mesh.range[0]
    if worst < ZERO:
        volume.error = StructureError(
            "imaginary_modes",
            f"A mode of {worst:.2f} THz at {volume.volume:.2f} Å³/atom leaves no free energy.",
        )
        return
    volume.modes = mesh
