"""Densities of states and thermal displacements: sums over a mesh of modes and their vectors."""

from __future__ import annotations

import numpy as np
from ase.units import _amu, _hbar, _hplanck, _k
from phonopy.phonon.spectrum import TetrahedronDOSAccumulator
from phonopy.structure.atoms import PhonopyAtoms

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.properties.phonon.modes import ZERO, MeshModes

#: widths from a Gaussian's middle beyond which it is below round-off of its height
FAR = 8.5
#: numbers held at once by a sum over modes and frequencies
_AT_ONCE = 4_000_000


def density_of_states(
    modes: MeshModes, group: SpaceGroup, spacing: float, sigma: float | None
) -> dict[str, np.ndarray]:
    """Density of states of the primitive cell, and what each of its atoms has of it.

    Parameters
    ----------
    modes
        With eigenvectors, on a mesh reduced by symmetry, and with tetrahedra where those are used.
    group
        Of the primitive cell.
    spacing
        THz, between frequencies.
    sigma
        THz, width of the Gaussian that stands for a mode; None for the linear tetrahedron method,
        sharper on a dense mesh, and wrong where bands are flat or an axis has one q-point.

    Returns
    -------
    dict
        ``frequency_points (f,)`` THz, ``total_dos (f,)`` and ``projected_dos (n, f)`` in states
        per THz and primitive cell: the total integrates to 3n, imaginary modes at negative
        frequencies.
    """
    margin = 5.0 * (sigma or 0.0) + spacing
    low, high = modes.frequencies.min() - margin, modes.frequencies.max() + margin
    points = np.arange(np.floor(low / spacing), np.ceil(high / spacing) + 1) * spacing
    parts = _weights_of_atoms(modes)
    if sigma is None:
        density = _tetrahedra(modes, parts, points)
    else:
        density = _gaussians(modes, parts, points, sigma)
    # an atom has the same share as those that symmetry takes it to; a mesh that symmetry has
    # reduced knows only their sum
    projected = density[group.permutations].mean(0)
    return {
        "frequency_points": points,
        "total_dos": projected.sum(0),
        "projected_dos": projected,
    }


def thermal_displacements(
    modes: MeshModes, group: SpaceGroup, primitive: PhonopyAtoms, temperatures: tuple[float, ...]
) -> np.ndarray:
    """Mean-square displacements ``⟨u_a u_b⟩`` of each atom, in Å².

    ``ħ / (2 m N) Σ coth(ħω / 2kT) / ω Re e_a e_b*`` over the real modes of the mesh, the
    translations left out (M. Born and K. Huang, Dynamical Theory of Crystal Lattices, 1954).

    Parameters
    ----------
    modes
        With eigenvectors, on a mesh reduced by symmetry.
    group
        Of the primitive cell.
    primitive
        That cell.
    temperatures
        K.

    Returns
    -------
    ndarray
        ``(T, n, 3, 3)``, Cartesian; a trace is an atom's ``⟨u²⟩``.
    """
    vectors, masses = _vectors(modes), primitive.masses
    real = (modes.frequencies > ZERO) & ~modes.acoustic
    omega = 2e12 * np.pi * np.where(real, modes.frequencies, 1.0)
    share = np.where(real, modes.weights[:, None] / modes.weights.sum(), 0.0)
    quantum = _hplanck * omega / (2 * np.pi)
    pairs = np.einsum("qnam,qnbm->qmnab", vectors, vectors.conj()).real
    amplitudes = []
    for temperature in temperatures:
        amplitude = share * _hbar / (2 * omega)
        if temperature > 0.0:
            amplitude /= np.tanh(np.minimum(quantum / (2 * _k * temperature), 50.0))
        amplitudes.append(amplitude)
    shares = np.array(amplitudes).reshape(-1, real.size)  # of no temperature at all too
    squares = (shares @ pairs.reshape(real.size, -1)).reshape(-1, len(masses), 3, 3)
    per_mass = squares / (masses * _amu)[:, None, None] * 1e20
    rotated = np.zeros_like(per_mass)
    for q, permutation in zip(group.operations(primitive.cell), group.permutations, strict=True):
        rotated[:, permutation] += q.T @ per_mass @ q
    return rotated / len(group)


def _vectors(modes: MeshModes) -> np.ndarray:
    """Eigenvectors ``(q, n, 3, 3n)``, the last index the mode."""
    if modes.eigenvectors is None:
        raise ValueError("these modes were computed without eigenvectors")
    q, components, bands = modes.eigenvectors.shape
    return modes.eigenvectors.reshape(q, components // 3, 3, bands)


def _weights_of_atoms(modes: MeshModes) -> np.ndarray:
    """Share of each atom in each mode, ``(q, 3n, n)``."""
    return (np.abs(_vectors(modes)) ** 2).sum(2).swapaxes(1, 2)


def _gaussians(modes: MeshModes, parts: np.ndarray, points: np.ndarray, sigma: float) -> np.ndarray:
    weighted = parts * (modes.weights / modes.weights.sum())[:, None, None]
    weighted = weighted.reshape(-1, parts.shape[-1]).T
    frequencies = modes.frequencies.ravel()
    spacing = points[1] - points[0]
    first = np.floor((frequencies - FAR * sigma - points[0]) / spacing).astype(int)
    near = np.arange(2 * int(np.ceil(FAR * sigma / spacing)) + 2)
    density = np.zeros((len(weighted), len(points)))
    step = max(1, _AT_ONCE // len(near))
    for start in range(0, len(frequencies), step):
        some = slice(start, start + step)
        places = first[some, None] + near
        apart = (points[0] + spacing * places - frequencies[some, None]) / sigma
        heights = np.exp(-0.5 * apart**2)
        inside = (places >= 0) & (places < len(points))
        places = np.where(inside, places, 0).ravel()
        for atom, weights in enumerate(weighted[:, some]):
            share = np.where(inside, heights * weights[:, None], 0.0).ravel()
            density[atom] += np.bincount(places, share, len(points))
    return density / (sigma * np.sqrt(2 * np.pi))


def _tetrahedra(modes: MeshModes, parts: np.ndarray, points: np.ndarray) -> np.ndarray:
    mesh = modes.phonopy_mesh
    if mesh is None:
        raise ValueError("these modes were computed without tetrahedra")
    found = TetrahedronDOSAccumulator(
        modes.frequencies,
        mesh.bz_grid,
        mode_property=parts[None],
        ir_grid_points=mesh.ir_grid_points,
        ir_grid_weights=mesh.weights,
        ir_grid_map=mesh.grid_mapping_table,
        sampling_points=points,
        symmetrize_tetrahedra=True,
    )
    return found.result.density[0].T
