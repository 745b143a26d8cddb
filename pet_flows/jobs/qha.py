"""QHAMaker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jobflow import job

from pet_flows.jobs.base import STORE_EXPOSED, PropertyMaker
from pet_flows.jobs.items import JobInput
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.settings import QHASettings

if TYPE_CHECKING:
    from ase import Atoms

    from pet_flows.engines.potential import Potential
    from pet_flows.properties.outcome import Outcome


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

    @job(config=STORE_EXPOSED)
    def make(self, structure: JobInput | list[JobInput], prev_dir: str | Path | None = None) -> Any:
        """Compute one relaxed structure or a list of them; ``prev_dir`` is unused."""
        return self.run(structure)

    def spec(self) -> PotentialSpec:
        """Potential in float64, as for phonons."""
        return super().spec().with_(dtype="float64")

    def compute(
        self,
        structures: Sequence[Atoms],
        potential: Potential,
        carried: Sequence[dict[str, Any] | None],
    ) -> Iterator[Outcome]:
        """See :func:`pet_flows.properties.qha.qha`."""
        from pet_flows.properties.qha import qha

        return qha(structures, potential, self.settings(), carried)
