"""Harmonic phonons of a batch of crystals, by central differences in float64."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from ase import Atoms
from phonopy.harmonic.dynamical_matrix import NacParams

from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.engines.potential import Potential
from pet_flows.errors import StructureError
from pet_flows.properties.batch import evaluate_each
from pet_flows.properties.outcome import Outcome, Progress, largest_spreads
from pet_flows.properties.phonon.cells import (
    BATCH_ATOMS,
    LIBRARY_ERRORS,
    NOT_RELAXED,
    displaced_systems,
    harmonic_crystal,
    no_phonons,
)
from pet_flows.properties.phonon.declaration import NonAnalytical, PhononSettings
from pet_flows.properties.phonon.force_constants import Harmonic, fit
from pet_flows.properties.phonon.nonanalytical import check_nac, primitive_nac
from pet_flows.properties.phonon.result import analyse, charges, measured
from pet_flows.properties.prepare import require_crystal
from pet_flows.properties.specimen import Specimen, specimens


@dataclass(frozen=True, eq=False)
class _Displaced:
    """One crystal between its displacements and its force constants."""

    given: Specimen
    primitive: Specimen
    """what is computed of it"""
    crystal: Harmonic
    systems: list[System]
    """the supercell without displacements first"""
    nac: NonAnalytical | None
    """as it was given"""
    charges: NacParams | None
    """of the primitive cell"""


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
        Result as :class:`.declaration.PhononResult`; ``supercell_matrix`` is phonopy's (columns),
        for the primitive cell, which is the outcome's ``atoms``. Blob ``phonon``: ``force_constants
        (n, N, 3, 3)`` eV/Å² compact, ``supercell_*`` and ``primitive_*`` cells, ``displacements``
        and ``forces`` they come from, ``mesh_*`` and ``band_*`` arrays (:mod:`.phonon.modes`),
        densities of states and ``thermal_displacements`` (:mod:`.phonon.density`), ``born_charges``
        and ``dielectric`` as they were used. Imaginary modes are results: the state is ``ok``.
    """
    settings = settings or PhononSettings()
    potential = potential.with_(dtype="float64")
    batch: list[_Displaced] = []
    waiting = 0
    ready = specimens(
        structures,
        potential,
        inherited,
        require=partial(require_crystal, what="A phonon spectrum"),
        symprec=settings.symprec,
    )
    for specimen in ready:
        if isinstance(specimen, Outcome):
            yield specimen
            continue
        try:
            own = settings.nac if nac is None else nac[specimen.index]
            displaced = _displaced(specimen, potential, settings, settings.max_atoms, own)
        except (StructureError, *LIBRARY_ERRORS) as error:
            yield specimen.failure(no_phonons(error))
            continue
        batch.append(displaced)
        waiting += sum(len(system) for system in displaced.systems)
        if waiting >= BATCH_ATOMS:
            yield from _run(batch, potential, settings, progress)
            batch, waiting = [], 0
    yield from _run(batch, potential, settings, progress)


def _displaced(
    specimen: Specimen,
    potential: Potential,
    settings: PhononSettings,
    max_atoms: int,
    nac: NonAnalytical | None,
) -> _Displaced:
    start = perf_counter()
    if nac is not None:
        check_nac(nac, len(specimen.atoms))
    primitive, crystal = harmonic_crystal(specimen, potential, settings, max_atoms)
    own = None
    if nac is not None:
        own, notes = primitive_nac(nac, specimen.atoms, crystal.cells[0])
        primitive.notes += notes
    systems = displaced_systems(
        potential, primitive.bound, crystal.group,
        crystal.supercell, crystal.matrix, crystal.displaced(),
    )  # fmt: skip
    primitive.wall_time = specimen.wall_time + perf_counter() - start
    return _Displaced(specimen, primitive, crystal, systems, nac, own)


def _run(
    batch: list[_Displaced],
    potential: Potential,
    settings: PhononSettings,
    progress: Progress | None,
) -> Iterator[Outcome]:
    """Evaluate the displaced cells of some crystals together."""
    start = perf_counter()
    results = iter(evaluate_each(potential.evaluator, [s for d in batch for s in d.systems]))
    elapsed = perf_counter() - start
    own = [[next(results) for _ in displaced.systems] for displaced in batch]
    cost = [_cost(displaced, mine) for displaced, mine in zip(batch, own, strict=True)]
    for displaced, mine, c in zip(batch, own, cost, strict=True):
        start = perf_counter()
        primitive = displaced.primitive
        primitive.wall_time += elapsed * c / sum(cost)
        if progress is not None:
            progress(primitive.index, len(mine) - 1, len(mine) - 1)
        error = next((r for r in mine if isinstance(r, StructureError)), None)
        if error is not None:
            smaller = _smaller(displaced, potential, settings, error)
            if smaller is not None:
                yield from _run([smaller], potential, settings, progress)
            else:
                yield primitive.failure(error)
            continue
        done = [r for r in mine if isinstance(r, Evaluation)]
        try:
            outcome = _outcome(displaced, done, settings)
        except LIBRARY_ERRORS as broken:
            yield primitive.failure(no_phonons(broken))
            continue
        yield replace(outcome, wall_time=primitive.wall_time + perf_counter() - start)


def _cost(displaced: _Displaced, results: Sequence[Evaluation | StructureError]) -> int:
    """Atoms × evaluations."""
    return len(displaced.crystal.supercell) * sum(
        r.n_evaluations if isinstance(r, Evaluation) else 1 for r in results
    )


def _smaller(
    displaced: _Displaced, potential: Potential, settings: PhononSettings, error: StructureError
) -> _Displaced | None:
    """The same crystal in a supercell of half the size, when memory is what was missing."""
    size = len(displaced.crystal.supercell)
    if error.reason != "out_of_memory" or size // 2 < len(displaced.crystal.primitive):
        return None
    note = f"A supercell of {size} atoms did not fit into memory; a smaller one was used."
    given = displaced.given
    again = replace(given, notes=(*given.notes, note), wall_time=displaced.primitive.wall_time)
    try:
        return _displaced(again, potential, settings, size // 2, displaced.nac)
    except (StructureError, *LIBRARY_ERRORS):
        return None


def _outcome(displaced: _Displaced, results: list[Evaluation], settings: PhononSettings) -> Outcome:
    crystal = displaced.crystal
    forces = np.array([r.forces for r in results])
    constants = fit(crystal, forces[1:], forces[0])
    dynamics = crystal.dynamics(constants, displaced.charges)
    result, arrays = analyse(dynamics, crystal.group, settings, crystal.standard)
    arrays |= measured(crystal, constants, forces) | charges(displaced.charges)
    residual = results[0].max_force
    return displaced.primitive.outcome(
        result={
            **result,
            "supercell_matrix": crystal.matrix.T.tolist(),
            "displacement": settings.displacement,
            "residual_force": residual,
        },
        atoms=crystal.primitive,
        blobs={"phonon": arrays},
        n_evaluations=sum(r.n_evaluations for r in results),
        warnings=_doubts(result, residual),
        **largest_spreads(results),
    )


def _doubts(result: dict[str, Any], residual: float) -> Iterator[str]:
    """What a reader of the record should know."""
    if residual > NOT_RELAXED:
        yield f"The structure is not relaxed: forces of {residual:.3f} eV/Å were subtracted."
    if result["has_imaginary_modes"]:
        yield "Thermal properties and zero-point energy leave out imaginary modes."
