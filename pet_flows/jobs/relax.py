"""RelaxMaker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pet_flows.jobs.base import PropertyMaker, of_property
from pet_flows.jobs.task_document import task_document
from pet_flows.models.resolve import ResolvedPotential
from pet_flows.properties.relax.declaration import PROPERTY

if TYPE_CHECKING:
    from pet_flows.store.results import ResultStore


@of_property(PROPERTY)
class RelaxMaker(PropertyMaker):
    """Relax atoms and cell, keeping the symmetry of the input.

    Given one structure, the output is atomate2's ``ForceFieldTaskDocument``; given a list, a list
    of slim results in the same order. Records are written besides.
    """

    name: str = "PET relax"
    # atomate2's flows look at these
    relax_cell: bool = True
    fix_symmetry: bool = True
    steps: int = 500

    def document(
        self, record: dict[str, Any], potential: ResolvedPotential, store: ResultStore
    ) -> Any:
        """Build atomate2's task document."""
        final = store.final_structure(record)
        return task_document(record, store.input_structure(record), final, potential)
