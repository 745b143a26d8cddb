"""What a job can be given, and what becomes of it: one entry per structure of a batch."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from monty.json import MSONable
from pymatgen.core import Structure

from pet_flows.errors import PetFlowsError
from pet_flows.inputs.structure import InputStructure, as_input, make_source
from pet_flows.records.kept import Kept
from pet_flows.records.keys import structure_digest
from pet_flows.store.damage import STATES, UNREADABLE
from pet_flows.store.patience import ServerAwayError

if TYPE_CHECKING:
    from pet_flows.store.results import ResultStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StructureReference(MSONable):
    """An input structure that lies in ``pet_structures``: jobs stay small."""

    digest: str
    source: dict[str, Any]
    dropped: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class BatchReference(MSONable):
    """A list of input structures that lies in ``pet_batches``: jobs stay small."""

    digest: str
    n: int


JobInput = Structure | InputStructure | StructureReference | dict
"""One structure as a maker accepts it; a dict is one entry of an earlier job's output list."""


@dataclass
class Entry:
    """One structure of a batch and the record that is asked for it."""

    given: InputStructure
    """the structure, or the reason why there is none"""
    parent: str | None = None
    """key of the record whose final structure this is"""
    inherited: dict[str, Any] | None = None
    """crystal reference and symmetry of the parent"""
    key: str | None = None
    """of the record; None where nothing can be asked for: the parent gave no structure"""

    @cached_property
    def kept(self) -> Kept | None:
        """What a record keeps of the structure."""
        structure = self.given.structure
        return None if structure is None else Kept.of(structure)

    @cached_property
    def digest(self) -> str | None:
        """Of the structure."""
        return None if self.kept is None else structure_digest(self.kept)


def is_list(given: JobInput | list[JobInput] | BatchReference) -> bool:
    """Whether a maker was given several structures, if only as a reference, and not one."""
    return isinstance(given, list | BatchReference)


def refuse_shared(nac: Any, given: JobInput | list[JobInput] | BatchReference) -> None:
    """Refuse Born charges for more than the one structure that they belong to.

    Raises
    ------
    PetFlowsError
        There are several structures.
    """
    n = 1
    if isinstance(given, list | BatchReference):
        n = given.n if isinstance(given, BatchReference) else len(given)
    if nac is not None and n > 1:
        raise PetFlowsError(
            f"nac holds the Born charges of one structure, but {n} structures are given: "
            "make one job for each."
        )


def refuse_ase(given: Any) -> None:
    """Say what to do with ASE's structures, which no store of jobs can keep.

    Raises
    ------
    PetFlowsError
        There is one.
    """
    for one in given if isinstance(given, list | tuple) else [given]:
        # by its type: references to outputs of jobs claim to have every attribute
        if any(
            f"{kind.__module__}.{kind.__name__}" == "ase.atoms.Atoms" for kind in type(one).mro()
        ):
            raise PetFlowsError(
                "A job does not take ASE Atoms: make a pymatgen Structure of them "
                "(pymatgen.io.ase.AseAtomsAdaptor.get_structure)."
            )


def reference(given: InputStructure) -> StructureReference | InputStructure:
    """Name a structure by its digest; an impossible input stays whole."""
    if given.problem is not None or given.structure is None:
        return given
    return StructureReference(structure_digest(given.structure), given.source, given.dropped)


def by_reference(inputs: Sequence[InputStructure], store: ResultStore) -> list[JobInput]:
    """Put the structures into the store and return references; impossible inputs stay whole."""
    found: list[JobInput] = [reference(given) for given in inputs]
    put_structures(inputs, found, store)
    return found


def put_structures(
    inputs: Iterable[InputStructure], references: Iterable[JobInput], store: ResultStore
) -> None:
    """Put structures into the store under the digests of their references."""
    store.structures.put_as(
        {
            named.digest: given.structure
            for given, named in zip(inputs, references, strict=True)
            if isinstance(named, StructureReference) and given.structure is not None
        }
    )


def batch_by_reference(inputs: Sequence[JobInput], store: ResultStore) -> BatchReference:
    """Put a list of references, impossible inputs and slim results into the store."""
    documents: list[dict[str, Any]] = []
    for given in inputs:
        if isinstance(given, StructureReference):
            documents.append(
                {"digest": given.digest, "source": _known(given.source), "dropped": given.dropped}
            )
        elif isinstance(given, InputStructure):
            documents.append({"whole": given.as_dict()})
        elif isinstance(given, dict):
            documents.append({"parent": given["key"], "source": _known(given["source"])})
        else:
            raise TypeError(f"a {type(given).__name__} was not made by by_reference")
    return BatchReference(store.batches.put(documents), len(documents))


def _known(source: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in source.items() if value}


def _of_batch(document: dict[str, Any]) -> JobInput:
    if "whole" in document:
        return cast("InputStructure", InputStructure.from_dict(document["whole"]))
    source = make_source(**document["source"])
    if "parent" in document:
        return {"key": document["parent"], "state": "ok", "source": source}
    return StructureReference(document["digest"], source, document["dropped"])


def load_entries(given: Sequence[JobInput] | BatchReference, store: ResultStore) -> list[Entry]:
    """Make entries of what a maker was given, in order.

    Raises
    ------
    PetFlowsError
        A reference points at nothing, or an entry is of no known kind.
    """
    if isinstance(given, BatchReference):
        given = [_of_batch(document) for document in store.batches.get(given.digest)]
    digests = [one.digest for one in given if isinstance(one, StructureReference)]
    structures = store.structures.get(digests) if digests else {}
    keys = [one["key"] for one in given if isinstance(one, dict) and one.get("key")]
    parents = store.existing(keys) if keys else {}
    return [_load(one, structures, parents, store) for one in given]


def _load(
    given: JobInput,
    structures: dict[str, Structure],
    parents: dict[str, dict[str, Any]],
    store: ResultStore,
) -> Entry:
    if isinstance(given, StructureReference):
        if given.digest not in structures:
            raise PetFlowsError(
                f"Structure {given.digest[:12]}… is not in pet_structures of this store: submit "
                "the campaign with the same jobflow.yaml that the worker uses."
            )
        return Entry(InputStructure(structures[given.digest], given.source, given.dropped))
    if isinstance(given, InputStructure):
        return Entry(given)
    if isinstance(given, Structure):
        return Entry(as_input(given))
    if isinstance(given, dict) and "key" in given and "state" in given:
        return _child(given, parents, store)
    raise PetFlowsError(
        f"A {type(given).__name__} is not a structure: give pymatgen Structures or the output of "
        "one of our jobs."
    )


def _child(given: dict[str, Any], parents: dict[str, dict[str, Any]], store: ResultStore) -> Entry:
    source = given.get("source") or make_source()
    parent = parents.get(given["key"]) if given["key"] else None
    said = "missing" if parent is None else parent.get("state")
    said = said if said in ("missing", *STATES) else "damaged"
    then = "correct that one first"
    if parent is not None and said == "ok":
        try:
            structure = store.final_structure(parent)
        except ServerAwayError:
            raise
        except (PetFlowsError, *UNREADABLE) as error:
            logger.warning("Record %s is damaged (%s)", given["key"], error)
            said, then = "damaged", "submit or screen its campaign again, which replaces it"
    if parent is None or said != "ok":
        problem = (f"parent_{said}", f"The record this starts from is {said}: {then}.")
        return Entry(InputStructure(None, source, [], problem), parent=given["key"])
    return Entry(
        InputStructure(structure, source),
        parent=given["key"],
        inherited=parent.get("symmetry_reference"),
    )
