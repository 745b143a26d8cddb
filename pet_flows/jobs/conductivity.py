"""ConductivityMaker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pet_flows.jobs.base import PropertyMaker
from pet_flows.jobs.items import JobInput, refuse_shared
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.settings import ConductivitySettings

if TYPE_CHECKING:
    from ase import Atoms

    from pet_flows.engines.potential import Potential
    from pet_flows.properties.outcome import Outcome


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

    def compute(
        self,
        structures: Sequence[Atoms],
        potential: Potential,
        carried: Sequence[dict[str, Any] | None],
    ) -> Iterator[Outcome]:
        """See :func:`pet_flows.properties.conductivity.conductivity`."""
        from pet_flows.properties.conductivity import conductivity

        return conductivity(structures, potential, self.settings(), carried)
