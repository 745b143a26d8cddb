"""What force constants say: mesh frequencies, stability, thermal properties, bands."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import seekpath
from ase.units import _e, _hplanck
from phonopy import Phonopy
from phonopy.phonon.mesh import Mesh
from phonopy.phonon.thermal_properties import ThermalProperties

#: THz; the acoustic modes at Γ are zero by the sum rule, others below this are left out of the
#: thermal properties with the imaginary ones
ZERO = 1e-3
#: imaginary modes that a record lists, the worst first
LISTED = 30

_EV_PER_THZ = _hplanck * 1e12 / _e


@dataclass(frozen=True)
class MeshModes:
    """Phonons on the irreducible q-points of a Γ-centred mesh.

    Attributes
    ----------
    mesh
        ``(3,)`` int.
    qpoints
        ``(q, 3)``, fractions of the primitive reciprocal vectors.
    weights
        ``(q,)`` int.
    frequencies
        ``(q, 3n)`` THz, ascending; imaginary ones negative.
    acoustic
        ``(q, 3n)`` bool, the three modes at Γ that are translations.
    """

    mesh: np.ndarray
    qpoints: np.ndarray
    weights: np.ndarray
    frequencies: np.ndarray
    acoustic: np.ndarray
    _mesh: Mesh

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest frequency in THz, the translations left out."""
        rest = self.frequencies[~self.acoustic]
        if rest.size == 0:
            return 0.0, 0.0
        return float(rest.min()), float(rest.max())

    def imaginary(self, tolerance: float) -> list[dict[str, Any]]:
        """Modes below ``-tolerance`` THz, the worst first, at most :data:`LISTED`."""
        below = (self.frequencies < -tolerance) & ~self.acoustic
        where = np.argwhere(below)
        order = np.argsort(self.frequencies[below], kind="stable")[:LISTED]
        return [
            {
                "q": self.qpoints[q].tolist(),
                "frequency": float(self.frequencies[q, band]),
                "irrep": None,
            }
            for q, band in where[order]
        ]

    def zero_point_energy(self) -> float:
        """EV per atom, half a quantum for each real mode."""
        real = np.where(self.frequencies > ZERO, self.frequencies, 0.0)
        n_atoms = self.frequencies.shape[1] / 3
        total = 0.5 * _EV_PER_THZ * (self.weights @ real.sum(1)) / self.weights.sum()
        return float(total / n_atoms)

    def thermal(self, temperatures: tuple[float, ...]) -> list[dict[str, float]]:
        """Heat capacity, entropy (J/K/mol) and free energy (kJ/mol) per atom, real modes only."""
        found = ThermalProperties(self._mesh, cutoff_frequency=ZERO)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of modes below the cutoff; the record says so itself
            found.temperatures = np.array(temperatures)
            found.run()
        table = np.array(found.thermal_properties, dtype=float).T
        table[:, 1:] /= self.frequencies.shape[1] / 3
        return [dict(zip(("T", "f", "s", "cv"), map(float, row), strict=True)) for row in table]


def mesh_modes(
    phonopy: Phonopy, rotations: np.ndarray, mesh: tuple[int, int, int] | float
) -> MeshModes:
    """Phonons on a mesh, given as numbers or as a length in Å.

    Parameters
    ----------
    phonopy
        With force constants.
    rotations
        ``(m, 3, 3)`` int, point operations of the primitive cell.
    """
    assert phonopy.dynamical_matrix is not None
    modes = Mesh(
        phonopy.dynamical_matrix,
        mesh,
        rotations=np.ascontiguousarray(rotations, dtype="int64"),
        is_gamma_center=True,
        factor=phonopy.unit_conversion_factor,
    )
    modes.run()
    frequencies = np.array(modes.frequencies)
    acoustic = np.zeros(frequencies.shape, dtype=bool)
    gamma = np.argwhere((np.abs(modes.qpoints) < 1e-9).all(1))
    for (q,) in gamma:
        acoustic[q, np.argsort(np.abs(frequencies[q]), kind="stable")[:3]] = True
    return MeshModes(
        mesh=np.array(modes.mesh_numbers),
        qpoints=np.array(modes.qpoints),
        weights=np.array(modes.weights),
        frequencies=frequencies,
        acoustic=acoustic,
        _mesh=modes,
    )


def bands(phonopy: Phonopy, spacing: float) -> dict[str, np.ndarray]:
    """Band structure along seekpath's path, in the setting of the primitive cell given.

    Parameters
    ----------
    spacing
        1/Å, distance of neighbouring q-points (with 2π).

    Returns
    -------
    dict
        ``band_qpoints (q, 3)``, ``band_distances (q,)`` 1/Å, ``band_frequencies (q, 3n)`` THz,
        ``band_segments (s, 2)`` first and last index of each straight line, ``band_labels
        (s, 2)`` the names of its ends.
    """
    cell = phonopy.primitive
    path = seekpath.get_path_orig_cell((cell.cell, cell.scaled_positions, cell.numbers))
    reciprocal = 2 * np.pi * np.linalg.inv(cell.cell).T
    qpoints, distances, segments, labels = [], [], [], []
    travelled, count = 0.0, 0
    for start, end in path["path"]:
        a, b = np.array(path["point_coords"][start]), np.array(path["point_coords"][end])
        length = float(np.linalg.norm((b - a) @ reciprocal))
        n = max(2, round(length / spacing) + 1)
        steps = np.linspace(0.0, 1.0, n)
        qpoints.append(a + steps[:, None] * (b - a))
        distances.append(travelled + steps * length)
        segments.append((count, count + n - 1))
        labels.append((start, end))
        travelled, count = travelled + length, count + n
    every = np.concatenate(qpoints)
    phonopy.run_qpoints(every)
    return {
        "band_qpoints": every,
        "band_distances": np.concatenate(distances),
        "band_frequencies": np.array(phonopy.get_qpoints_dict()["frequencies"]),
        "band_segments": np.array(segments),
        "band_labels": np.array(labels),
    }
