"""The volumes of one crystal: which of them a free energy may be fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ase import Atoms

from pet_flows.engines.evaluation import System
from pet_flows.errors import StructureError
from pet_flows.properties.batch import Job
from pet_flows.properties.bodies import final_atoms
from pet_flows.properties.phonon.force_constants import Harmonic
from pet_flows.properties.phonon.modes import MeshModes
from pet_flows.properties.relax.optimize import Optimized

#: volumes that a fit of four parameters and polynomials of fourth degree need
FEWEST = 5


@dataclass
class Volume:
    """One volume of one crystal."""

    step: int
    """place on the grid, 0 the volume given"""
    optimized: Optimized
    crystal: Harmonic | None = None
    systems: list[System] = field(default_factory=list)
    """the supercell without displacements first"""
    modes: MeshModes | None = None
    residual: float = 0.0
    """eV/Å, largest force in the supercell without displacements"""
    error: StructureError | None = None

    @property
    def atoms(self) -> Atoms:
        """Relaxed primitive cell at this volume."""
        return final_atoms(self.optimized.body)

    @property
    def volume(self) -> float:
        """Å³/atom."""
        return float(self.atoms.get_volume() / len(self.atoms))

    @property
    def energy(self) -> float:
        """eV/atom, of the static lattice."""
        latest = self.optimized.body.latest
        assert latest is not None
        return latest[2].energy / len(self.optimized.body)


@dataclass
class Task:
    """One crystal with its volumes."""

    job: Job
    """of the primitive cell"""
    crystal: Harmonic
    """at the volume given"""
    mesh: tuple[int, int, int]
    """of all volumes"""
    volumes: dict[int, Volume] = field(default_factory=dict)
    n_evaluations: int = 0


def keep_one_branch(volumes: Sequence[Volume]) -> None:
    """Leave out what lies beyond an instability, seen from the largest part that is stable.

    Where modes are not real the crystal is no state at all, and F(V) has a hole that no fit may
    bridge: what is stable on its other side is another branch. A volume whose calculation failed
    does not part its neighbours.

    Parameters
    ----------
    volumes
        In ascending order, with their modes or errors; those left out lose their modes for an
        error. Of parts equally large the one with the volume given is kept.
    """
    parts: list[list[Volume]] = [[]]
    for volume in volumes:
        if volume.error is not None and volume.error.reason == "imaginary_modes":
            parts.append([])
        elif volume.modes is not None:
            parts[-1].append(volume)
    kept = max(parts, key=lambda part: (len(part), any(v.step == 0 for v in part)))
    for part in parts:
        if part is kept:
            continue
        for volume in part:
            volume.modes = None
            volume.error = StructureError(
                "other_branch",
                f"At {volume.volume:.2f} Å³/atom all modes are real, but between it and the "
                "volumes that were fitted some are not.",
            )
