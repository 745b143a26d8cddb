"""StaticMaker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pet_flows.jobs.base import PropertyMaker, of_property
from pet_flows.jobs.task_document import task_document
from pet_flows.models.resolve import ResolvedPotential
from pet_flows.properties.static.declaration import PROPERTY

if TYPE_CHECKING:
    from pet_flows.store.results import ResultStore


@of_property(PROPERTY)
class StaticMaker(PropertyMaker):
    """Energy, forces and stress of structures as they are.

    Outputs as :class:`pet_flows.jobs.relax.RelaxMaker`.
    """

    name: str = "PET static"

    def document(
        self, record: dict[str, Any], potential: ResolvedPotential, store: ResultStore
    ) -> Any:
        """Build atomate2's task document."""
        final = store.final_structure(record)
        return task_document(record, store.input_structure(record), final, potential)
