"""The volumes of one crystal: which of them a free energy may be fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from phonopy.harmonic.dynamical_matrix import DynamicalMatrix

from pet_flows.engines.evaluation import System
from pet_flows.errors import StructureError
from pet_flows.properties.phonon.force_constants import Harmonic
from pet_flows.properties.phonon.modes import MeshModes
from pet_flows.properties.relax.optimize import Descent
from pet_flows.properties.specimen import Specimen

#: volumes that a fit of four parameters and polynomials of fourth degree need
FEWEST = 5


@dataclass(frozen=True, eq=False)
class Displaced:
    """The supercell of one volume and what is evaluated of it."""

    crystal: Harmonic
    systems: list[System]
    """without displacements first"""


@dataclass(frozen=True, eq=False)
class Stable:
    """A volume at which all modes are real, so that it has a free energy."""

    step: int
    relaxed: Descent[VolumeStep]
    dynamics: DynamicalMatrix
    """of its force constants"""
    modes: MeshModes
    residual: float
    """eV/Å, largest force in the supercell without displacements"""

    @property
    def volume(self) -> float:
        """Å³/atom."""
        return volume_of(self.relaxed)

    @property
    def energy(self) -> float:
        """eV/atom, of the static lattice."""
        return self.relaxed.last.energy_per_atom


@dataclass(eq=False)
class Volume:
    """One volume of one crystal, from its relaxation to its phonons."""

    step: int
    """place on the grid, 0 the volume given"""
    relaxed: Descent[VolumeStep]
    error: StructureError | None
    """why it has no free energy"""
    displaced: Displaced | None = None
    stable: Stable | None = None

    @property
    def systems(self) -> list[System]:
        """What is evaluated for its phonons."""
        return [] if self.displaced is None else self.displaced.systems


@dataclass(eq=False)
class VolumeSeries:
    """One crystal with its volumes."""

    primitive: Specimen
    """what is computed of it"""
    crystal: Harmonic
    """at the volume given"""
    mesh: tuple[int, int, int]
    """of all volumes"""
    volumes: dict[int, Volume] = field(default_factory=dict)
    """by step, in the order in which they relaxed"""
    n_evaluations: int = 0


#: a crystal, and which of its volumes
type VolumeStep = tuple[VolumeSeries, int]


def volume_of(relaxed: Descent[VolumeStep]) -> float:
    """Å³/atom of a relaxed primitive cell."""
    return relaxed.last.system.volume / len(relaxed)


def keep_one_branch(volumes: Sequence[Volume]) -> list[Stable]:
    """Leave out what lies beyond an instability, seen from the largest part that is stable.

    Where modes are not real the crystal is no state at all, and F(V) has a hole that no fit may
    bridge: what is stable on its other side is another branch. A volume whose calculation failed
    does not part its neighbours.

    Parameters
    ----------
    volumes
        In ascending order; those left out get an error. Of parts equally large the one with the
        volume given is kept.
    """
    parts: list[list[Stable]] = [[]]
    for volume in volumes:
        if volume.error is not None and volume.error.reason == "imaginary_modes":
            parts.append([])
        elif volume.stable is not None:
            parts[-1].append(volume.stable)
    kept = max(parts, key=lambda part: (len(part), any(v.step == 0 for v in part)))
    for volume in volumes:
        if volume.stable is not None and volume.stable not in kept:
            volume.error = StructureError(
                "other_branch",
                f"At {volume.stable.volume:.2f} Å³/atom all modes are real, but between it and "
                "the volumes that were fitted some are not: choose volumes on one side.",
            )
    return kept
