"""Equation of state: energy against volume, all volumes of all structures in one stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from ase import Atoms

from pet_flows.engines.potential import Potential
from pet_flows.errors import StructureError
from pet_flows.properties.batch import (
    Job,
    Progress,
    capacity_of,
    evaluate_each,
    failure,
    jobs,
    missing_points,
)
from pet_flows.properties.bodies import body_of, final_atoms
from pet_flows.properties.eos import birch_murnaghan
from pet_flows.properties.eos.declaration import EOSSettings
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.prepare import as_crystal
from pet_flows.properties.relax.optimize import Freedom, Optimization, Optimized

#: eV/atom; a larger residual of the fit is worth a warning
ROUGH = 1e-3


@dataclass
class _Curve:
    """E(V) of one structure while it grows."""

    job: Job
    points: dict[int, Optimized] = field(default_factory=dict)
    """by step on the volume grid, 0 the volume given"""
    open: set[int] = field(default_factory=set)
    error: StructureError | None = None


def eos(
    structures: Sequence[Atoms],
    potential: Potential,
    settings: EOSSettings | None = None,
    inherited: Sequence[dict[str, Any] | None] | None = None,
    *,
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Fit equations of state of a batch of crystals.

    At each volume the ions, and the shape of the cell, relax under the symmetry that is kept;
    where that leaves no freedom (fcc, diamond, ...) the first evaluation is already converged and
    the volume costs a single point. One crystal reference serves all volumes. A range that does
    not hold the minimum is moved towards it.

    Parameters
    ----------
    structures, potential, settings, inherited
        As for :func:`.relaxation.relax.relax`; structures should be relaxed.
    progress
        Called with (index, volumes done, volumes known to be needed).

    Yields
    ------
    Outcome
        Result as in ``RECORDS``, with ``volumes`` (Å³/atom), ``energies`` (eV/atom) and the
        ``residual`` (eV/atom) of the fit; ``atoms`` is the structure at the volume nearest the
        minimum. ``unconverged`` if a volume did not relax (``steps_exhausted``); ``failed`` with
        ``no_minimum`` if the energy has none within reach, with ``no_volume`` for slabs, chains
        and molecules, whose cell is mostly vacuum.
    """
    settings = settings or EOSSettings()
    freedom: Freedom = "shape" if settings.relax == "shape" else "ions"
    criteria = settings.model_copy(update={"steps": 0}) if settings.relax == "none" else settings
    optimization = Optimization(
        partial(evaluate_each, potential.evaluator), criteria, freedom, capacity_of(potential)
    )
    half = settings.n_volumes // 2
    prepare = partial(
        as_crystal,
        what="An equation of state",
        symprec=settings.symprec if settings.fix_symmetry else None,
        cutoff=potential.cutoff,
    )
    for job in jobs(structures, potential, inherited, prepare):
        if isinstance(job, Outcome):
            yield job
            continue
        curve = _Curve(job)
        _ask(optimization, curve, range(-half, settings.n_volumes - half), settings)
    for optimized in optimization:
        curve, step = optimized.tag
        curve.open.discard(step)
        curve.points[step] = optimized
        if optimized.error is not None:
            curve.error = optimized.error
        if progress is not None:
            done = len(curve.points)
            progress(curve.job.index, done, done + len(curve.open))
        if curve.open:
            continue
        wanted = _window(curve, settings)
        missing = [n for n in wanted if n not in curve.points]
        if missing and curve.error is None:
            _ask(optimization, curve, missing, settings)
        else:
            yield _outcome(curve, wanted, settings)


def _ratio(step: int, settings: EOSSettings) -> float:
    """V / V_given of a step on the grid of equally spaced volumes."""
    low, high = (1 - settings.strain) ** 3, (1 + settings.strain) ** 3
    return 1.0 + step * (high - low) / (settings.n_volumes - 1)


def _ask(
    optimization: Optimization, curve: _Curve, steps: Sequence[int] | range, settings: EOSSettings
) -> None:
    for step in steps:
        atoms = curve.job.atoms.copy()
        atoms.set_cell(atoms.cell.array * _ratio(step, settings) ** (1 / 3), scale_atoms=True)
        curve.open.add(step)
        optimization.add((curve, step), body_of(atoms, curve.job))


def _energy(point: Optimized) -> float:
    """eV/atom."""
    assert point.body.latest is not None
    return point.body.latest[2].energy / len(point.body)


def _volume(point: Optimized) -> float:
    """Å³/atom."""
    assert point.body.latest is not None
    return abs(float(np.linalg.det(point.body.latest[1]))) / len(point.body)


def _window(curve: _Curve, settings: EOSSettings) -> list[int]:
    """The ``n_volumes`` steps that should be fitted: those given, or moved towards the minimum."""
    good = {n: p for n, p in curve.points.items() if p.error is None}
    if not good:
        return []
    half = settings.n_volumes // 2
    first = range(-half, settings.n_volumes - half)
    lowest = min(good, key=lambda n: _energy(good[n]))
    if first[1] <= lowest <= first[-2]:
        centre = 0
    else:
        reach = int(settings.max_volume_change / (_ratio(1, settings) - 1.0))
        centre = max(-reach + half, min(reach - half, lowest))
    return [centre + n for n in first]


def _outcome(curve: _Curve, wanted: list[int], settings: EOSSettings) -> Outcome:
    job = curve.job
    every = [p.body for p in curve.points.values()]
    wall_time = job.wall_time + sum(b.wall_time for b in every)
    known: dict[str, Any] = {
        "n_evaluations": sum(b.n_evaluations for b in every),
        "reference_digest": job.bound.reference_digest,
    }
    chosen = [curve.points[n] for n in wanted if n in curve.points]
    points = sorted((p for p in chosen if p.error is None), key=_volume)
    volumes = np.array([_volume(p) for p in points])
    energies = np.array([_energy(p) for p in points])
    points_only = {"volumes": volumes.tolist(), "energies": energies.tolist()}
    missing = missing_points((p.error for p in curve.points.values()), len(curve.points), "volumes")
    if missing is not None and len(points) < len(wanted):
        return failure(job.index, missing, wall_time, result=points_only, **known)
    if len(points) < 5:
        assert curve.error is not None
        return failure(job.index, curve.error, wall_time, **known)
    found = birch_murnaghan.fit(volumes, energies)
    if found is None:
        falls = "smaller" if energies[0] < energies[-1] else "larger"
        error = StructureError(
            "no_minimum",
            f"The energy has no minimum between {volumes[0]:.2f} and {volumes[-1]:.2f} Å³/atom "
            f"and falls towards {falls} volumes; relax the structure first, or the phase is "
            "unstable with this model.",
        )
        return failure(job.index, error, wall_time, result=points_only, **known)
    warnings = [*job.bound.warnings, *job.notes]
    if found.residual > ROUGH:
        warnings.append(
            f"E(V) is rough: the fit misses its points by {1000 * found.residual:.1f} meV/atom."
        )
    if len(points) < len(wanted):
        warnings.append(f"{len(wanted) - len(points)} of {len(wanted)} volumes failed.")
    loose = [p for p in points if not p.converged] if settings.relax != "none" else []
    nearest = points[int(np.argmin(np.abs(volumes - found.v0)))]
    assert nearest.body.latest is not None
    return Outcome(
        index=job.index,
        state="unconverged" if loose else "ok",
        result={
            "v0_per_atom": found.v0,
            "e0_per_atom": found.e0,
            "b0": found.b0,
            "b0_prime": found.b0_prime,
            "residual": found.residual,
            "volumes": volumes.tolist(),
            "energies": energies.tolist(),
        },
        atoms=final_atoms(nearest.body),
        reason="steps_exhausted" if loose else None,
        message=(
            f"{len(loose)} of {len(points)} volumes were not converged after {settings.steps} "
            "steps; allow more steps."
            if loose
            else None
        ),
        energy_spread=nearest.body.latest[2].energy_spread,
        force_spread=nearest.body.latest[2].force_spread,
        inherited=job.bound.as_dict(),
        warnings=tuple(warnings),
        wall_time=wall_time,
        **known,
    )
