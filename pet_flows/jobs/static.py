"""StaticMaker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pet_flows.jobs.base import PropertyMaker
from pet_flows.jobs.task_document import task_document
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.static.declaration import StaticSettings

if TYPE_CHECKING:
    from pet_flows.store.results import ResultStore


@dataclass
class StaticMaker(PropertyMaker):
    """Energy, forces and stress of structures as they are.

    Outputs as :class:`pet_flows.jobs.relax.RelaxMaker`.

    Parameters
    ----------
    phase_comparison
        Average over an off-axis icosahedral group as well (``crystal`` becomes
        ``crystal:icosahedral``) with the reference found anew, so that energies of different
        phases can be subtracted.
    """

    name: str = "PET static"
    phase_comparison: bool = False

    property_name: ClassVar[str] = "static"
    settings_class: ClassVar[type] = StaticSettings

    def spec(self) -> PotentialSpec:
        """Potential, with the larger group where phases are to be compared."""
        spec = super().spec()
        if self.phase_comparison and spec.symmetrization == "crystal":
            spec = spec.with_(symmetrization="crystal:icosahedral")
        return spec

    def document(self, record: dict[str, Any], store: ResultStore) -> Any:
        """Build atomate2's task document."""
        final = store.final_structure(record)
        return task_document(record, store.input_structure(record), final, self.spec())
