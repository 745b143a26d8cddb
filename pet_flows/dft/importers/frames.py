"""Frames of molecular dynamics as others write them, and what they do not say themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import units
from ase.data import atomic_masses, chemical_symbols
from pymatgen.core import Lattice, Structure

from pet_flows.crystallography.primitive import find_primitive
from pet_flows.properties.md.declaration import degrees_of_freedom

#: frames that are kept, evenly spaced; averages are over all of them
KEPT = 1000
#: fs between frames up to which velocities are known from them: of a vibration of 15 THz the
#: kinetic energy is then right within 3 %
DENSE = 10.0
#: Å; mean positions of equal atoms in a solid are as near to where the lattice has them
SAME_SITE = 0.3


@dataclass(frozen=True)
class Frames:
    """A trajectory as it was read.

    Parameters
    ----------
    numbers
        ``(N,)`` atomic numbers.
    cells, positions
        ``(T, 3, 3)`` and ``(T, N, 3)`` Å; positions may be wrapped.
    energies
        ``(T,)`` eV.
    forces
        ``(T, N, 3)`` eV/Å.
    stresses
        ``(T, 3, 3)`` eV/Å³, tension positive, without the kinetic part; None where not known.
    momenta
        ``(T, N, 3)`` in ASE's units; None where not known.
    kinetic
        ``(T,)`` eV; None where not known.
    """

    numbers: np.ndarray
    cells: np.ndarray
    positions: np.ndarray
    energies: np.ndarray
    forces: np.ndarray
    stresses: np.ndarray | None = None
    momenta: np.ndarray | None = None
    kinetic: np.ndarray | None = None

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.positions)


@dataclass(frozen=True)
class Motion:
    """Frames with what was found out of them.

    Parameters
    ----------
    frames
        As they were read.
    positions, momenta
        ``(T, N, 3)`` Å, never wrapped, and in ASE's units, zero where nobody knows them.
    kinetic
        ``(T,)`` eV.
    """

    frames: Frames
    positions: np.ndarray
    momenta: np.ndarray
    kinetic: np.ndarray


def unwrapped(frames: Frames) -> np.ndarray:
    """Positions ``(T, N, 3)`` that no atom leaves through a side of the cell."""
    scaled = np.einsum("tni,tij->tnj", frames.positions, np.linalg.inv(frames.cells))
    moved = np.diff(scaled, axis=0)
    scaled[1:] = scaled[0] + np.cumsum(moved - np.rint(moved), axis=0)
    unwrapped: np.ndarray = np.einsum("tni,tij->tnj", scaled, frames.cells)
    return unwrapped


def momenta_of(
    frames: Frames, positions: np.ndarray, spacing: float
) -> tuple[np.ndarray | None, bool]:
    """Momenta ``(T, N, 3)``, and whether the first and last frame have none."""
    if frames.momenta is not None:
        return frames.momenta, False
    if spacing > DENSE or len(frames) < 4:
        return None, False
    masses = atomic_masses[frames.numbers][:, None]
    step = spacing * units.fs
    momenta = np.zeros_like(positions)
    # in a cell that changes its shape, of the atoms within it
    scaled = np.einsum("tni,tij->tnj", positions, np.linalg.inv(frames.cells))
    velocity = np.einsum("tni,tij->tnj", scaled[2:] - scaled[:-2], frames.cells[1:-1]) / (2 * step)
    change = (frames.forces[2:] - frames.forces[:-2]) / masses
    momenta[1:-1] = masses * (velocity - step * change / 12.0)
    return momenta, True


def kinetic_of(frames: Frames, momenta: np.ndarray | None, temperature: float | None) -> np.ndarray:
    """Kinetic energies ``(T,)`` eV; those of the given temperature where nobody knows."""
    if frames.kinetic is not None:
        return frames.kinetic
    if momenta is None:
        assert temperature is not None
        each = degrees(frames) / 2.0 * units.kB * temperature
        return np.full(len(frames), each)
    squares: np.ndarray = (momenta**2).sum(2) @ (0.5 / atomic_masses[frames.numbers])
    return squares


def degrees(frames: Frames) -> int:
    """Of the momenta; the centre of mass is at rest."""
    return degrees_of_freedom("nve", len(frames.numbers))


def kept(motion: Motion, timestep: float, stride: int) -> dict[str, np.ndarray]:
    """Blob ``trajectory``, as `pet_flows.properties.md.trajectory.read_trajectory` reads it."""
    frames = motion.frames
    some = np.unique(np.linspace(0, len(frames) - 1, min(KEPT, len(frames))).round().astype(int))
    step = some * stride
    stresses = frames.stresses
    return {
        "numbers": frames.numbers,
        "pbc": np.ones(3, dtype=bool),
        "time": step * timestep * 1e-3,
        "step": step,
        "potential": frames.energies[some],
        "kinetic": motion.kinetic[some],
        "conserved": (frames.energies + motion.kinetic)[some],
        "stress": np.full((len(some), 3, 3), np.nan) if stresses is None else stresses[some],
        "cell": frames.cells[some],
        "positions": motion.positions[some],
        "momenta": motion.momenta[some],
        "forces": frames.forces[some],
    }


def crystal_of(motion: Motion, first: int) -> Structure:
    """Crystal that was heated: the first frame, or of a solid the mean of all, where that repeats.

    A run that goes on from another one begins with atoms that are on their sites only on average.

    Parameters
    ----------
    motion
        All frames.
    first
        Where the mean begins.
    """
    numbers, cells = motion.frames.numbers, motion.frames.cells
    start = _averaged(numbers, cells[0], motion.positions[0], 0.01)
    inverse = np.linalg.inv(cells[first:])
    scaled = np.einsum("tni,tij->tnj", motion.positions[first:], inverse)
    cell = cells[first:].mean(0)
    mean = _averaged(numbers, cell, scaled.mean(0) @ cell, SAME_SITE)
    return mean if len(mean) < len(start) else start


def _averaged(
    numbers: np.ndarray, cell: np.ndarray, positions: np.ndarray, tolerance: float
) -> Structure:
    """Primitive cell, its atoms the means of their translated copies."""
    found = find_primitive(numbers, cell, positions, tolerance)
    lattice = found.basis @ cell
    home = positions[found.atoms][found.image]
    apart = (positions - home) @ np.linalg.inv(lattice)
    apart -= np.rint(apart)
    sums = np.zeros((len(found.atoms), 3))
    np.add.at(sums, found.image, apart)
    copies = np.bincount(found.image)[:, None]
    placed = positions[found.atoms] + (sums / copies) @ lattice
    symbols = [chemical_symbols[z] for z in numbers[found.atoms]]
    return Structure(Lattice(lattice), symbols, placed, coords_are_cartesian=True)
