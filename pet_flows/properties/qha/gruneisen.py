"""Mode Grüneisen parameters: how phonon frequencies change with volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from phonopy.gruneisen.core import GruneisenBase
from phonopy.harmonic.dynamical_matrix import DynamicalMatrix
from phonopy.physical_units import get_physical_units

from pet_flows.properties.phonon.modes import MeshModes


@dataclass(frozen=True)
class ModeGruneisen:
    """Grüneisen parameters ``-d ln ω / d ln V`` of the modes on a mesh.

    Attributes
    ----------
    values
        ``(q, 3n)``; 0 for the three translations at Γ, which have none.
    frequencies
        ``(q, 3n)`` THz, of the volume in the middle.
    acoustic
        ``(q, 3n)`` bool, those translations.
    weights
        ``(q,)`` int.
    """

    values: np.ndarray
    frequencies: np.ndarray
    acoustic: np.ndarray
    weights: np.ndarray

    @property
    def mean(self) -> float:
        """Mean over modes: what the thermodynamic parameter tends to at high temperature."""
        counted = self.weights[:, None] * ~self.acoustic
        return float((counted * self.values).sum() / counted.sum())

    @property
    def range(self) -> tuple[float, float]:
        """Least and largest."""
        rest = self.values[~self.acoustic]
        return float(rest.min()), float(rest.max())


def mode_gruneisen(
    smaller: DynamicalMatrix, middle: DynamicalMatrix, larger: DynamicalMatrix, modes: MeshModes
) -> ModeGruneisen:
    """Grüneisen parameters from a central difference of dynamical matrices.

    ``γ = -V/(2 ω²) ⟨e| dD/dV |e⟩``, degenerate modes chosen so that dD is diagonal among them
    (phonopy's formula; A. Togo and I. Tanaka, Scr. Mater. 108, 1 (2015)). Unlike a difference of
    sorted frequencies this follows modes through crossings.

    Parameters
    ----------
    smaller, middle, larger
        Dynamical matrices of the same crystal in the same supercell at V - dV, V and V + dV.
    modes
        Mesh of the one in the middle.
    """
    found = GruneisenBase(middle, larger, smaller, qpoints=modes.qpoints)
    squares = np.array(found.get_eigenvalues())
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.array(found.get_gruneisen())
    values[modes.acoustic] = 0.0
    frequencies = np.sign(squares) * np.sqrt(np.abs(squares)) * get_physical_units().DefaultToTHz
    return ModeGruneisen(values, frequencies, modes.acoustic, modes.weights)
