"""What force constants say: mesh frequencies, stability, thermal properties, bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.units import _e, _hplanck
from phonopy.harmonic.dynamical_matrix import DynamicalMatrix, DynamicalMatrixNAC
from phonopy.phonon.mesh import Mesh
from phonopy.phonon.qpoints import QpointsPhonon
from phonopy.physical_units import get_physical_units

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.crystallography.standard import StandardCell
from pet_flows.properties.phonon.mesh import reduced_mesh
from pet_flows.properties.phonon.path import band_path

#: THz; the acoustic modes at Γ are zero by the sum rule, others below this are left out of the
#: thermal properties with the imaginary ones
ZERO = 1e-3
#: imaginary modes that a record lists, the worst first
LISTED = 30
#: THz; modes of one q-point closer than this are degenerate
_DEGENERATE = 1e-4

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
    eigenvectors
        ``(q, 3n, 3n)`` complex, a mode in each column, if they were asked for.
    phonopy_mesh
        phonopy's own object, if tetrahedra were asked for.
    """

    mesh: np.ndarray
    qpoints: np.ndarray
    weights: np.ndarray
    frequencies: np.ndarray
    acoustic: np.ndarray
    eigenvectors: np.ndarray | None
    phonopy_mesh: Mesh | None

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest frequency in THz, the translations left out."""
        rest = self.frequencies[~self.acoustic]
        if rest.size == 0:
            return 0.0, 0.0
        return float(rest.min()), float(rest.max())

    def imaginary(self, tolerance: float) -> list[dict[str, Any]]:
        """Modes below ``-tolerance`` THz, the worst first, at most :data:`LISTED`.

        Degenerate ones are one entry; ``irrep`` is for :func:`.irreps.label`.
        """
        below = (self.frequencies < -tolerance) & ~self.acoustic
        found: list[dict[str, Any]] = []
        for q in np.nonzero(below.any(1))[0]:
            values = self.frequencies[q, below[q]]
            starts = np.concatenate([[0], np.nonzero(np.diff(values) > _DEGENERATE)[0] + 1])
            for group in np.split(values, starts[1:]):
                found.append(
                    {
                        "q": self.qpoints[q].tolist(),
                        "frequency": float(group[0]),
                        "degeneracy": len(group),
                        "irrep": None,
                    }
                )
        return sorted(found, key=lambda mode: mode["frequency"])[:LISTED]

    def zero_point_energy(self) -> float:
        """EV per atom, half a quantum for each real mode."""
        real = np.where(self.frequencies > ZERO, self.frequencies, 0.0)
        n_atoms = self.frequencies.shape[1] / 3
        total = 0.5 * _EV_PER_THZ * (self.weights @ real.sum(1)) / self.weights.sum()
        return float(total / n_atoms)

    def thermal(self, temperatures: tuple[float, ...]) -> list[dict[str, float]]:
        """Heat capacity, entropy (J/K/mol) and free energy (kJ/mol) per atom, real modes only."""
        units = get_physical_units()
        real = self.frequencies > ZERO
        energies = units.THzToEv * self.frequencies[real]
        each = self.weights / (self.weights.sum() * self.frequencies.shape[1] / 3)
        shares = np.broadcast_to(each[:, None], self.frequencies.shape)[real]
        per_mole = 1000.0 * units.EvTokJmol
        rows = []
        for temperature in map(float, temperatures):
            row = {"T": temperature, "f": units.EvTokJmol * float(shares @ energies / 2)}
            row |= {"s": 0.0, "cv": 0.0}
            if temperature > 0.0:
                x = energies / (units.KB * temperature)
                rest = -np.expm1(-x)
                log, occupied = np.log(rest), (1.0 - rest) / rest
                row["f"] += units.EvTokJmol * units.KB * temperature * float(shares @ log)
                row["s"] = per_mole * units.KB * float(shares @ (x * occupied - log))
                row["cv"] = per_mole * units.KB * float(shares @ (x**2 * occupied / rest))
            rows.append(row)
        return rows


def mesh_modes(
    dynamics: DynamicalMatrix,
    group: SpaceGroup,
    mesh: tuple[int, int, int] | float,
    *,
    eigenvectors: bool = False,
    tetrahedra: bool = False,
) -> MeshModes:
    """Phonons on a mesh, given as numbers or as a length in Å.

    Parameters
    ----------
    dynamics
        phonopy's dynamical matrix, of force constants that obey the group.
    group
        Of the primitive cell; the mesh is reduced by it.
    eigenvectors
        Keep them, for projections.
    tetrahedra
        Keep phonopy's mesh, which knows its tetrahedra.
    """
    points = reduced_mesh(dynamics, group, mesh, tetrahedra)
    found = QpointsPhonon(points.qpoints, dynamics, with_eigenvectors=eigenvectors)
    frequencies = np.array(found.frequencies)
    acoustic = np.zeros(frequencies.shape, dtype=bool)
    gamma = np.argwhere((np.abs(points.qpoints) < 1e-9).all(1))
    for (q,) in gamma:
        acoustic[q, np.argsort(np.abs(frequencies[q]), kind="stable")[:3]] = True
    return MeshModes(
        mesh=points.numbers,
        qpoints=points.qpoints,
        weights=points.weights,
        frequencies=frequencies,
        acoustic=acoustic,
        eigenvectors=found.eigenvectors,
        phonopy_mesh=points.phonopy,
    )


def frequencies_at(
    dynamics: DynamicalMatrix, qpoints: np.ndarray, direction: np.ndarray | None = None
) -> np.ndarray:
    """Frequencies ``(q, 3n)`` THz at some q-points ``(q, 3)``, at Γ as seen from a direction."""
    return np.array(QpointsPhonon(qpoints, dynamics, nac_q_direction=direction).frequencies)


def bands(
    dynamics: DynamicalMatrix, spacing: float, standard: StandardCell
) -> dict[str, np.ndarray]:
    """Band structure along seekpath's path, in the setting of the primitive cell given.

    Parameters
    ----------
    dynamics
        phonopy's dynamical matrix.
    spacing
        1/Å, distance of neighbouring q-points (with 2π).
    standard
        The conventional cell in terms of the primitive one.

    Returns
    -------
    dict
        ``band_qpoints (q, 3)``, ``band_distances (q,)`` 1/Å, ``band_frequencies (q, 3n)`` THz,
        ``band_segments (s, 2)`` first and last index of each straight line, ``band_labels
        (s, 2)`` the names of its ends.
    """
    reciprocal = 2 * np.pi * np.linalg.inv(dynamics.primitive.cell).T
    qpoints, distances, segments, labels = [], [], [], []
    travelled, count = 0.0, 0
    for names, a, b in band_path(dynamics.primitive, standard):
        length = float(np.linalg.norm((b - a) @ reciprocal))
        n = max(2, round(length / spacing) + 1)
        steps = np.linspace(0.0, 1.0, n)
        qpoints.append(a + steps[:, None] * (b - a))
        distances.append(travelled + steps * length)
        segments.append((count, count + n - 1))
        labels.append(names)
        travelled, count = travelled + length, count + n
    every = np.concatenate(qpoints)
    frequencies = frequencies_at(dynamics, every)
    if isinstance(dynamics, DynamicalMatrixNAC):
        # at Γ the correction depends on the direction from which a line comes
        for first, last in segments:
            for at in (first, last):
                if np.abs(every[at] - np.rint(every[at])).max() < 1e-9:
                    along = every[last] - every[first]
                    frequencies[at] = frequencies_at(dynamics, every[at][None], along)[0]
    return {
        "band_qpoints": every,
        "band_distances": np.concatenate(distances),
        "band_frequencies": frequencies,
        "band_segments": np.array(segments),
        "band_labels": np.array(labels),
    }
