"""Equation of state: energy against volume, all volumes of all structures in one stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from ase import Atoms

from pet_flows.engines.evaluation import System
from pet_flows.engines.potential import Potential
from pet_flows.errors import StructureError
from pet_flows.properties.eos import birch_murnaghan
from pet_flows.properties.eos.declaration import EOSSettings
from pet_flows.properties.outcome import Outcome, Progress, missing_points, spent
from pet_flows.properties.prepare import require_crystal
from pet_flows.properties.relax.optimize import (
    Descent,
    Freedom,
    Optimization,
    unconverged,
)
from pet_flows.properties.specimen import Specimen, specimens

#: eV/atom; a larger residual of the fit is worth a warning
ROUGH = 1e-3


@dataclass(eq=False)
class _Curve:
    """E(V) of one structure while it grows."""

    specimen: Specimen
    given: System
    points: dict[int, _Point] = field(default_factory=dict)
    """by step on the volume grid, 0 the volume given, in the order in which they came"""
    waiting: set[int] = field(default_factory=set)
    """steps that are asked for"""

    @property
    def errors(self) -> list[StructureError]:
        """Of the volumes that failed."""
        return [point.error for point in self.points.values() if point.error is not None]


#: which step of which curve a volume is
type _Step = tuple[_Curve, int]
type _Point = Descent[_Step]


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
        As for :func:`~pet_flows.properties.relax.relax.relax`; structures should be relaxed.
    progress
        Called with (index, volumes done, volumes known to be needed).

    Yields
    ------
    Outcome
        Result as :class:`.declaration.EOSResult`, with ``volumes`` (Å³/atom), ``energies``
        (eV/atom) and the ``residual`` (eV/atom) of the fit; ``atoms`` is the structure at the
        volume nearest the minimum. ``unconverged`` if a volume did not relax (``steps_exhausted``);
        ``failed`` with ``no_minimum`` if the energy has none between them, with ``no_volume`` for
        slabs, chains and molecules, whose cell is mostly vacuum.
    """
    settings = settings or EOSSettings()
    freedom: Freedom = "shape" if settings.relax == "shape" else "ions"
    criteria = settings.model_copy(update={"steps": 0}) if settings.relax == "none" else settings
    optimization = Optimization[_Step](potential.evaluator, criteria, freedom)
    half = settings.n_volumes // 2
    ready = specimens(
        structures,
        potential,
        inherited,
        require=partial(require_crystal, what="An equation of state", cutoff=potential.cutoff),
        symprec=settings.symprec if settings.fix_symmetry else None,
    )
    for specimen in ready:
        if isinstance(specimen, Outcome):
            yield specimen
            continue
        _ask(
            optimization,
            _Curve(specimen, specimen.system.near()),
            range(-half, settings.n_volumes - half),
            settings,
        )
    for point in optimization:
        curve, step = point.owner
        curve.waiting.discard(step)
        curve.points[step] = point
        if progress is not None:
            done = len(curve.points)
            progress(curve.specimen.index, done, done + len(curve.waiting))
        if curve.waiting:
            continue
        wanted = _window(curve, settings)
        missing = [n for n in wanted if n not in curve.points]
        if missing and not curve.errors:
            _ask(optimization, curve, missing, settings)
        else:
            yield _outcome(curve, wanted, settings)


def _ratio(step: int, settings: EOSSettings) -> float:
    """V / V_given of a step on the grid of equally spaced volumes."""
    low, high = (1 - settings.strain) ** 3, (1 + settings.strain) ** 3
    return 1.0 + step * (high - low) / (settings.n_volumes - 1)


def _ask(
    optimization: Optimization[_Step], curve: _Curve, steps: Iterable[int], settings: EOSSettings
) -> None:
    for step in steps:
        curve.waiting.add(step)
        system = curve.given.strained(np.cbrt(_ratio(step, settings)) * np.eye(3))
        optimization.add((curve, step), system, curve.specimen.group)


def _volume(point: _Point) -> float:
    """Å³/atom."""
    return point.last.system.volume / len(point)


def _window(curve: _Curve, settings: EOSSettings) -> list[int]:
    """The ``n_volumes`` steps that should be fitted: those given, or moved towards the minimum."""
    good = {n: p for n, p in curve.points.items() if p.error is None}
    if not good:
        return []
    half = settings.n_volumes // 2
    first = range(-half, settings.n_volumes - half)
    lowest = min(good, key=lambda n: good[n].last.energy_per_atom)
    if first[1] <= lowest <= first[-2]:
        centre = 0
    else:
        farthest = int(settings.max_volume_change / (_ratio(1, settings) - 1.0))
        centre = max(-farthest + half, min(farthest - half, lowest))
    return [centre + n for n in first]


def _outcome(curve: _Curve, wanted: list[int], settings: EOSSettings) -> Outcome:
    specimen, every = curve.specimen, curve.points.values()
    cost = spent(every)
    chosen = [curve.points[n] for n in wanted if n in curve.points]
    points = sorted((p for p in chosen if p.error is None), key=_volume)
    volumes = np.array([_volume(p) for p in points])
    energies = np.array([p.last.energy_per_atom for p in points])
    measured: dict[str, Any] = {"volumes": volumes.tolist(), "energies": energies.tolist()}
    missing = missing_points((p.error for p in every), len(every), "volumes")
    if missing is not None and len(points) < len(wanted):
        return specimen.failure(missing, result=measured, **cost)
    if len(points) < 5:
        return specimen.failure(curve.errors[-1], **cost)
    found = birch_murnaghan.fit(volumes, energies)
    if found is None:
        falls = "smaller" if energies[0] < energies[-1] else "larger"
        error = StructureError(
            "no_minimum",
            f"The energy has no minimum between {volumes[0]:.2f} and {volumes[-1]:.2f} Å³/atom "
            f"and falls towards {falls} volumes; relax the structure first, or raise "
            "max_volume_change; if it still has none, the phase is unstable with this model.",
        )
        return specimen.failure(error, result=measured, **cost)
    warnings = []
    if found.residual > ROUGH:
        warnings.append(
            f"E(V) is rough: the fit misses its points by {1000 * found.residual:.1f} meV/atom."
        )
    if len(points) < len(wanted):
        warnings.append(f"{len(wanted) - len(points)} of {len(wanted)} volumes failed.")
    nearest = points[int(np.argmin(np.abs(volumes - found.v0)))].last
    return specimen.outcome(
        result={
            "v0_per_atom": found.v0,
            "e0_per_atom": found.e0,
            "b0": found.b0,
            "b0_prime": found.b0_prime,
            "residual": found.residual,
            **measured,
        },
        atoms=nearest.system.atoms,
        energy_spread=nearest.energy_spread,
        force_spread=nearest.force_spread,
        warnings=warnings,
        **({} if settings.relax == "none" else unconverged(points, "volumes", settings.steps)),
        **cost,
    )
