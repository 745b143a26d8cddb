"""GPAW with plane waves and PBE: its settings, its level of theory, its calculators."""

from __future__ import annotations

from collections.abc import Callable, Collection
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.data import ground_state_magnetic_moments
from pydantic import Field

from pet_flows.dft.differences import may_be_magnetic
from pet_flows.dft.level import LevelOfTheory
from pet_flows.errors import PetFlowsError
from pet_flows.properties.settings import Positive, PropertySettings, unit

#: Bohr magnetons, of atoms whose own ground state has none: without any, spin stays unpolarized
_LEAST_MOMENT = 0.5
#: where each calculation of a run says how it gets on
LOG = "gpaw.txt"


class GPAWSettings(PropertySettings):
    """How GPAW calculates: PBE, plane waves, PAW data sets of the package gpaw-data."""

    cutoff: Positive = Field(
        default=500.0, description="of the plane waves", json_schema_extra=unit("eV")
    )
    k_spacing: Positive = Field(
        default=0.25,
        description="distance of k-points at most, 2π included; Γ is among them",
        json_schema_extra=unit("1/Å"),
    )
    smearing: Positive = Field(
        default=0.1,
        description="Fermi–Dirac width; energies are extrapolated to none",
        json_schema_extra=unit("eV"),
    )
    spin: bool | None = Field(
        default=None,
        description="spin-polarized; by default where an element of the structure may be magnetic",
    )
    density_error: Positive = Field(
        default=1e-6, description="of self-consistency, electrons per valence electron"
    )

    def is_spin_polarized(self, elements: Collection[str]) -> bool:
        """Whether a structure of these elements is calculated with spin."""
        return may_be_magnetic(set(elements)) if self.spin is None else self.spin

    def level(self, elements: Collection[str]) -> LevelOfTheory:
        """Level of theory of a structure of these elements."""
        return LevelOfTheory(
            functional="PBE",
            spin=self.is_spin_polarized(elements),
            pseudopotentials=f"GPAW {_version('gpaw-data') or 'PAW'}",
            code="GPAW",
            cutoff=self.cutoff,
            settings=f"k-points {self.k_spacing:g} 1/Å apart, smearing {self.smearing:g} eV",
        )


def require_gpaw() -> None:
    """Refuse to go on without GPAW.

    Raises
    ------
    PetFlowsError
        It is not installed.
    """
    if find_spec("gpaw") is None:
        raise PetFlowsError(
            "GPAW is not installed here: install libxc and BLAS (Debian: apt-get install "
            "libxc-dev libopenblas-dev), then run CC=g++ pip install 'pet-flows[dft]'."
        )


def k_points(cell: np.ndarray, pbc: np.ndarray, spacing: float) -> tuple[int, int, int]:
    """Smallest Γ-centred mesh whose points are at most ``spacing`` apart.

    Parameters
    ----------
    cell
        ``(3, 3)`` Å, rows.
    pbc
        ``(3,)`` bool; one point along axes that are not periodic.
    spacing
        1/Å, of reciprocal vectors with their factor 2π (VASP's KSPACING).
    """
    reciprocal = 2 * np.pi * np.linalg.norm(np.linalg.inv(cell).T, axis=1)
    # round-off must not add a point where the spacing divides the vector
    n = np.maximum(1, np.ceil(reciprocal / spacing - 1e-6)).astype(int)
    first, second, third = np.where(pbc, n, 1).tolist()
    return first, second, third


def calculators(settings: GPAWSettings) -> Callable[[Atoms], Callable[[], Calculator]]:
    """Structure → what makes new calculators for it, strained and displaced as it may be.

    The mesh is that of the first geometry, so that energies along a strain are of one basis.
    """

    def prepare(atoms: Atoms) -> Callable[[], Calculator]:
        mesh = k_points(atoms.cell.array, atoms.pbc, settings.k_spacing)
        options: dict[str, Any] = {}
        if settings.is_spin_polarized(set(atoms.symbols)):
            own = [float(ground_state_magnetic_moments[n]) for n in atoms.numbers]
            options = {"spinpol": True, "magmoms": [max(m, _LEAST_MOMENT) for m in own]}

        def new() -> Calculator:
            from gpaw import GPAW, PW, FermiDirac

            made: Any = GPAW(  # it has types where it is installed, and others than ASE's
                mode=PW(settings.cutoff),
                xc="PBE",
                kpts={"size": mesh, "gamma": True},
                occupations=FermiDirac(settings.smearing),
                convergence={"density": settings.density_error},
                txt=LOG,
                **options,
            )
            return made

        return new

    return prepare


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
