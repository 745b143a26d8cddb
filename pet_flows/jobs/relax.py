"""RelaxMaker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jobflow import job

from pet_flows.jobs.base import STORE_EXPOSED, PropertyMaker
from pet_flows.jobs.items import JobInput
from pet_flows.jobs.task_document import task_document
from pet_flows.properties.settings import RelaxSettings

if TYPE_CHECKING:
    from ase import Atoms

    from pet_flows.engines.potential import Potential
    from pet_flows.properties.outcome import Outcome
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

    @job(config=STORE_EXPOSED)
    def make(self, structure: JobInput | list[JobInput], prev_dir: str | Path | None = None) -> Any:
        """Relax one structure or a list of them.

        Parameters
        ----------
        structure
            pymatgen Structure, InputStructure, or a list of these.
        prev_dir
            Unused; in the signature for atomate2's flows.
        """
        return self.run(structure)

    def compute(
        self,
        structures: Sequence[Atoms],
        potential: Potential,
        carried: Sequence[dict[str, Any] | None],
    ) -> Iterator[Outcome]:
        """See :func:`pet_flows.properties.relax.relax`."""
        from pet_flows.properties.relax import relax

        return relax(structures, potential, self.settings(), carried)

    def document(self, record: dict[str, Any], store: ResultStore) -> Any:
        """Build atomate2's task document."""
        final = store.final_structure(record)
        return task_document(record, store.input_structure(record), final, self.spec())
