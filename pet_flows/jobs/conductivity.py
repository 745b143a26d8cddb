"""ConductivityMaker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pet_flows.jobs.base import PropertyMaker
from pet_flows.jobs.items import JobInput, refuse_shared
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.kappa.declaration import ConductivitySettings


@dataclass
class ConductivityMaker(PropertyMaker):
    """Lattice thermal conductivities of relaxed structures, always in float64.

    Needs phono3py (``pip install 'pet-flows[kappa]'``). Given one structure, the output is its
    record; given a list, slim results.

    Parameters
    ----------
    min_length, third_min_length
        Å, smallest widths of the supercells of the second- and third-order force constants.
    pair_cutoff
        Å; pairs of atoms farther apart are not displaced together.
    mesh_length, mesh
        Å or numbers, of the q-mesh.
    temperatures
        K.
    isotopes
        Scattering by the natural mixture of isotopes.
    nac
        ``born_charges`` and ``dielectric`` of the one structure that is given.
    """

    name: str = "PET conductivity"
    min_length: float | None = None
    third_min_length: float | None = None
    pair_cutoff: float | None = None
    mesh_length: float | None = None
    mesh: tuple[int, int, int] | None = None
    temperatures: tuple[float, ...] | None = None
    isotopes: bool | None = None
    nac: dict[str, Any] | None = None

    property_name: ClassVar[str] = "kappa"
    settings_class: ClassVar[type] = ConductivitySettings

    def run(self, given: JobInput | list[JobInput]) -> Any:
        """See :meth:`.PropertyMaker.run`; Born charges are those of a single structure."""
        refuse_shared(self.nac, given)
        return super().run(given)

    def spec(self) -> PotentialSpec:
        """Potential in float64, as for phonons."""
        return super().spec().with_(dtype="float64")
