"""QHAMaker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pet_flows.jobs.base import PropertyMaker
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.qha.declaration import QHASettings


@dataclass
class QHAMaker(PropertyMaker):
    """Quasi-harmonic approximation of relaxed structures, always in float64.

    Thermal expansion, volume, bulk modulus, heat capacity and Grüneisen parameter against
    temperature, from phonons at several volumes. Given one structure, the output is its record;
    given a list, slim results.

    Parameters
    ----------
    volume_step
        Distance of the volumes, relative to the one given.
    n_compressed, n_expanded
        Volumes below and above it; hot or soft crystals need more of the latter.
    min_length
        Å, smallest width of the supercell.
    mesh
        q-mesh.
    temperatures
        K, ascending.
    """

    name: str = "PET quasi-harmonic"
    volume_step: float | None = None
    n_compressed: int | None = None
    n_expanded: int | None = None
    min_length: float | None = None
    mesh: tuple[int, int, int] | None = None
    temperatures: tuple[float, ...] | None = None

    property_name: ClassVar[str] = "qha"
    settings_class: ClassVar[type] = QHASettings

    def spec(self) -> PotentialSpec:
        """Potential in float64, as for phonons."""
        return super().spec().with_(dtype="float64")
