"""RelaxMaker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pet_flows.jobs.base import PropertyMaker
from pet_flows.jobs.task_document import task_document
from pet_flows.properties.relax.declaration import RelaxSettings

if TYPE_CHECKING:
    from pet_flows.store.results import ResultStore


@dataclass
class RelaxMaker(PropertyMaker):
    """Relax atoms and cell, keeping the symmetry of the input.

    Given one structure, the output is atomate2's ``ForceFieldTaskDocument``; given a list, a list
    of slim results in the same order. Records are written besides.

    Parameters
    ----------
    relax_cell
        Relax the cell too, as atomate2's ``ForceFieldRelaxMaker``.
    cell_constraint
        ``volume`` or ``shape``: what of the cell stays as it is.
    pressure
        GPa, outside.
    fix_symmetry
        Keep the space group of the input.
    symprec
        Å, tolerance with which that space group is found.
    fmax
        eV/Å.
    optimizer
        ``lbfgs``, ``bfgs`` or ``fire``.
    steps
        Largest number of steps; more is ``unconverged``.
    """

    name: str = "PET relax"
    relax_cell: bool = True
    cell_constraint: str | None = None
    pressure: float = 0.0
    fix_symmetry: bool = True
    symprec: float | None = None
    fmax: float | None = None
    optimizer: str | None = None
    steps: int = 500

    property_name: ClassVar[str] = "relax"
    settings_class: ClassVar[type] = RelaxSettings

    def document(self, record: dict[str, Any], store: ResultStore) -> Any:
        """Build atomate2's task document."""
        final = store.final_structure(record)
        return task_document(record, store.input_structure(record), final, self.spec())
