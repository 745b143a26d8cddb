"""GPAWMaker: DFT of one small cell, kept as a reference beside the records."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobflow import CURRENT_JOB, Maker

from pet_flows.dft.live.gpaw import GPAWSettings, calculators, require_gpaw
from pet_flows.errors import PetFlowsError
from pet_flows.jobs.base import as_dict, job_result_store
from pet_flows.jobs.entries import Entry, JobInput, load_entries
from pet_flows.jobs.property_job import property_job
from pet_flows.properties.property import Property
from pet_flows.properties.registry import get_property
from pet_flows.properties.settings import PropertySettings
from pet_flows.validate import Place, unknown, validated

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from pet_flows.dft.reference import Origin, Reference
    from pet_flows.store.results import ResultStore


@dataclass
class GPAWMaker(Maker):
    """One property of one structure by GPAW: plane waves and PBE. Needs the extra ``dft``.

    The result is a reference, linked to the record and the identifiers of the structure; what is
    there already is not calculated again. Meant for small cells: each takes one process.

    Parameters
    ----------
    name
        Name of the job; by default that of the property.
    property_name
        ``static``, ``relax``, ``eos`` or ``phonon``.
    settings
        Of the property, as for its own maker; what is left open suits DFT of small cells
        (`pet_flows.dft.live.calculate.LIVE`).
    gpaw
        `GPAWSettings` or a dict with some of its fields: cutoff, k-points, smearing, spin.
    """

    name: str = ""
    property_name: str = "static"
    settings: PropertySettings | dict[str, Any] | None = None
    gpaw: GPAWSettings | dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Give it a name."""
        self.name = self.name or f"GPAW {self.property_name}"
        self.settings, self.gpaw = as_dict(self.settings), as_dict(self.gpaw)

    @property_job
    def make(self, structure: JobInput, prev_dir: str | Path | None = None) -> Any:
        """Calculate one structure.

        Parameters
        ----------
        structure
            pymatgen Structure, InputStructure, or an entry of a job's output list, whose record
            the reference is then linked to.
        prev_dir
            Unused; in the signature for atomate2's flows.

        Returns
        -------
        Job
            Its output: ``reference`` (key), ``property``, ``result``, ``structure``, ``level``.
        """
        return self.run(structure)

    def declared(self) -> Property:
        """Declaration of the property.

        Raises
        ------
        PetFlowsError
            It is not calculated by DFT here.
        """
        from pet_flows.dft.live.calculate import LIVE

        if self.property_name not in LIVE:
            raise PetFlowsError(
                unknown(self.property_name, list(LIVE), "property by DFT", "GPAWMaker: ")
            )
        return get_property(self.property_name)

    def physics(self) -> PropertySettings:
        """Validated settings of the property."""
        from pet_flows.dft.live.calculate import LIVE

        declared = self.declared()
        return validated(
            declared.settings, {**LIVE[declared.name], **as_dict(self.settings)}, _where
        )

    def code(self) -> GPAWSettings:
        """Validated settings of GPAW."""
        return validated(GPAWSettings, as_dict(self.gpaw), _where)

    def check(self) -> None:
        """Refuse what can be known to be wrong before anything runs.

        Raises
        ------
        PetFlowsError
            Settings of the property or of GPAW.
        """
        self.physics()
        self.code()

    def category(self) -> str:
        """``pet-cpu``."""
        return "pet-cpu"

    def run(self, given: JobInput) -> dict[str, Any]:
        """Body of the job."""
        store = job_result_store()
        (entry,) = load_entries([given], store)
        if entry.given.problem is not None:
            raise PetFlowsError(f"{self.name}: {entry.given.problem[1]}")
        if entry.given.structure is None:
            raise PetFlowsError(f"{self.name} has nothing to start from: give a structure.")
        reference = self._reference(entry.given.structure, _links(entry), store)
        return {
            "reference": reference.id,
            "property": reference.property,
            "result": reference.result,
            "structure": reference.structure,
            "level": str(reference.level),
        }

    def _reference(
        self, structure: Structure, links: dict[str, tuple[str, ...]], store: ResultStore
    ) -> Reference:
        """What is there already, with these links added; else calculate it."""
        from pet_flows.dft.documents import document_of, reference_of
        from pet_flows.dft.live.calculate import calculate
        from pet_flows.dft.live.calculator import calculator_potential
        from pet_flows.records.keys import digest, settings_digest, structure_digest

        declared, settings, code = self.declared(), self.physics(), self.code()
        parts = (structure_digest(structure), settings_digest(settings), settings_digest(code))
        source = _origin(f"{declared.name} {digest(parts, 16)}")
        same = {"source.identity": source.identity, "property": declared.name}
        for document in store.references.find(same):
            found = reference_of(document, store.blobs.read)
            wider = {name: _union(getattr(found, name), new) for name, new in links.items()}
            reference = found.model_copy(update=wider)
            break
        else:
            require_gpaw()
            level = code.level({site.specie.symbol for site in structure})
            potential = calculator_potential("GPAW", calculators(code))
            reference = calculate(structure, declared, settings, potential, level, source, **links)
        store.references.put(*document_of(reference))
        return reference


def _origin(name: str) -> Origin:
    from pet_flows.dft.reference import Origin

    return Origin(
        name=name,
        database="GPAW",
        dir_name=os.getcwd(),
        citation="J. J. Mortensen et al., J. Chem. Phys. 160, 092503 (2024)",
        doi="10.1063/5.0182685",
        completed_at=datetime.now(UTC).replace(tzinfo=None),
    )


def _links(entry: Entry) -> dict[str, tuple[str, ...]]:
    """Record and identifier that a reference is of: the job's metadata say so, or its input."""
    metadata = getattr(getattr(CURRENT_JOB, "job", None), "metadata", None) or {}
    records = (entry.parent, metadata.get("pet_record"))
    identifiers = (entry.given.source.get("material_id"), metadata.get("material_id"))
    return {
        "records": _union((), [str(one) for one in records if one]),
        "material_ids": _union((), [str(one) for one in identifiers if one]),
    }


def _union(these: Iterable[str], those: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*these, *those]))


def _where(place: Place) -> str:
    return "GPAWMaker: "
