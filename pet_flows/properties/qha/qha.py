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
from pet_flows.properties.batch import evaluate_each
from pet_flows.properties.outcome import Outcome, Progress
from pet_flows.properties.phonon.cells import (
    BATCH_ATOMS,
    LIBRARY_ERRORS,
    displaced_systems,
    harmonic_crystal,
    no_phonons,
)
from pet_flows.properties.phonon.force_constants import fit, strained
from pet_flows.properties.phonon.modes import ZERO, mesh_modes
from pet_flows.properties.prepare import FIXED_CELL, require_crystal, snapped
from pet_flows.properties.qha.declaration import QHASettings
from pet_flows.properties.qha.result import outcome
from pet_flows.properties.qha.volumes import (
    Displaced,
    Stable,
    Volume,
    VolumeSeries,
    VolumeStep,
    volume_of,
)
from pet_flows.properties.relax.optimize import Freedom, Optimization
from pet_flows.properties.specimen import Specimen, specimens


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
    state; phonons there, as :func:`~pet_flows.properties.phonon.phonon.phonon` computes them, give
    F(V, T), whose minimum is followed in temperature. All volumes share one crystal reference, one
    supercell matrix and one mesh. Displaced cells of all volumes of many crystals share batches.

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
        Result as :class:`.declaration.QHAResult`; ``atoms`` is the primitive cell at the volume
        given. Blob ``qha``: ``volumes (v,)`` Å³/atom, ``temperatures (t,)`` K, ``free_energies (t,
        v)`` eV/atom of lattice and phonons, ``entropies`` and ``heat_capacities (t, v)`` J/K/mol
        per atom, ``mesh_*`` with ``mesh_frequencies (v, q, 3n)`` THz, ``mode_gruneisen (q, 3n)``
        and ``gruneisen_frequencies (q, 3n)`` at the volume given. A volume with modes that are not
        real is left out, and so is what is stable beyond it; ``failed`` with ``imaginary_modes`` if
        fewer than five remain, with ``no_minimum`` if the free energy has none among them at the
        lowest temperature, with ``no_volume`` for slabs and molecules.
    """
    settings = settings or QHASettings()
    potential = potential.with_(dtype="float64")
    freedom: Freedom = "shape" if settings.relax == "shape" else "ions"
    criteria = settings.model_copy(update={"steps": 0}) if settings.relax == "none" else settings
    optimization = Optimization[VolumeStep](potential.evaluator, criteria, freedom)
    steps = range(-settings.n_compressed, settings.n_expanded + 1)
    ready = specimens(
        structures,
        potential,
        inherited,
        require=partial(require_crystal, what="Thermal expansion", cutoff=potential.cutoff),
        symprec=settings.symprec if settings.fix_symmetry else None,
    )
    for specimen in ready:
        if isinstance(specimen, Outcome):
            yield specimen
            continue
        try:
            series = _series(specimen, potential, settings)
        except (StructureError, *LIBRARY_ERRORS) as error:
            yield specimen.failure(no_phonons(error))
            continue
        primitive = series.primitive
        given = primitive.system.near()
        for step in steps:
            start = given.strained(np.cbrt(1.0 + step * settings.volume_step) * np.eye(3))
            optimization.add((series, step), start, primitive.group)
    batch: list[VolumeSeries] = []
    waiting = 0
    for relaxed in optimization:
        series, step = relaxed.owner
        series.volumes[step] = Volume(step, relaxed, relaxed.error)
        if progress is not None:
            progress(series.primitive.index, len(series.volumes), len(steps))
        if len(series.volumes) < len(steps):
            continue
        waiting += _displace(series, potential, settings)
        batch.append(series)
        if waiting >= BATCH_ATOMS:
            yield from _run(batch, potential, settings)
            batch, waiting = [], 0
    yield from _run(batch, potential, settings)


def _series(specimen: Specimen, potential: Potential, settings: QHASettings) -> VolumeSeries:
    """The crystal's primitive cell with its supercell, bound to the reference it came with."""
    start = perf_counter()
    primitive, crystal = harmonic_crystal(specimen, potential, settings)
    atoms, group, _ = snapped(primitive.atoms, FIXED_CELL)
    mesh = settings.mesh or length2mesh(
        settings.mesh_length,
        crystal.primitive.cell.array,
        rotations=crystal.group.columns[0],
    )
    a, b, c = (int(n) for n in mesh)
    primitive = replace(
        primitive,
        atoms=atoms,
        group=group if settings.fix_symmetry else None,
        wall_time=specimen.wall_time + perf_counter() - start,
    )
    return VolumeSeries(primitive, crystal, (a, b, c))


def _displace(series: VolumeSeries, potential: Potential, settings: QHASettings) -> int:
    """Make the displaced supercells of all volumes; how many atoms they have."""
    start = perf_counter()
    primitive, bound = series.primitive, series.primitive.bound
    for volume in series.volumes.values():
        if volume.error is not None:
            continue
        try:
            atoms = volume.relaxed.last.system.atoms
            crystal = strained(series.crystal, atoms, settings.displacement)
            matrix, positions = series.crystal.matrix, crystal.displaced()
            systems = displaced_systems(
                potential, bound, crystal.group, crystal.supercell, matrix, positions
            )
        except (StructureError, *LIBRARY_ERRORS) as error:
            volume.error = no_phonons(error)
            continue
        volume.displaced = Displaced(crystal, systems)
    primitive.wall_time += perf_counter() - start
    return _atoms(series)


def _atoms(series: VolumeSeries) -> int:
    """Of all displaced supercells."""
    return sum(len(system) for volume in series.volumes.values() for system in volume.systems)


def _run(
    batch: list[VolumeSeries], potential: Potential, settings: QHASettings
) -> Iterator[Outcome]:
    """Evaluate the displaced cells of some crystals together."""
    start = perf_counter()
    every = [s for series in batch for v in series.volumes.values() for s in v.systems]
    results = iter(evaluate_each(potential.evaluator, every))
    elapsed = perf_counter() - start
    total = max(1, sum(len(system) for system in every))
    own = [[[next(results) for _ in v.systems] for v in s.volumes.values()] for s in batch]
    for series, mine in zip(batch, own, strict=True):
        primitive = series.primitive
        primitive.wall_time += elapsed * _atoms(series) / total
        start = perf_counter()
        try:
            for volume, found in zip(series.volumes.values(), mine, strict=True):
                _vibrate(series, volume, found, settings)
            finished = outcome(series, settings)
        except LIBRARY_ERRORS as error:
            finished = primitive.failure(no_phonons(error))
        wall_time = primitive.wall_time + perf_counter() - start
        wall_time += sum(v.relaxed.wall_time for v in series.volumes.values())
        yield replace(finished, wall_time=wall_time)


def _vibrate(
    series: VolumeSeries,
    volume: Volume,
    results: list[Evaluation | StructureError],
    settings: QHASettings,
) -> None:
    """Force constants and mesh of one volume."""
    done = [r for r in results if isinstance(r, Evaluation)]
    series.n_evaluations += volume.relaxed.n_evaluations + sum(r.n_evaluations for r in done)
    volume.error = volume.error or next((r for r in results if isinstance(r, StructureError)), None)
    if volume.error is not None or volume.displaced is None:
        return
    crystal = volume.displaced.crystal
    forces = np.array([r.forces for r in done])
    dynamics = crystal.dynamics(fit(crystal, forces[1:], forces[0]))
    modes = mesh_modes(dynamics, crystal.group, series.mesh)
    # every mode must count at every volume: one left out would be a step in F(V)
    worst = modes.range[0]
    if worst < ZERO:
        volume.error = StructureError(
            "imaginary_modes",
            f"A mode of {worst:.2f} THz at {volume_of(volume.relaxed):.2f} Å³/atom leaves no free "
            "energy: leave this volume out, or relax the crystal first.",
        )
        return
    volume.stable = Stable(volume.step, volume.relaxed, dynamics, modes, done[0].max_force)
