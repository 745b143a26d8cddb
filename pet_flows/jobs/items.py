"""What a job can be given: structures, references to stored ones, outputs of an earlier job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from monty.json import MSONable
from pymatgen.core import Structure

from pet_flows.errors import PetFlowsError
from pet_flows.inputs.structure import InputStructure, as_input, make_source

if TYPE_CHECKING:
    from pet_flows.store.results import ResultStore


@dataclass(frozen=True)
class StructureReference(MSONable):
    """An input structure that lies in ``pet_structures``: jobs stay small."""

    digest: str
    source: dict[str, Any]
    dropped: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Item:
    """One structure of a batch, ready to be computed or known to be impossible."""

    structure: Structure | None
    source: dict[str, Any]
    dropped: list[str]
    problem: tuple[str, str] | None = None
    parent: str | None = None
    """key of the record whose final structure this is"""
    inherited: dict[str, Any] | None = None
    """crystal reference and symmetry of the parent"""


JobInput = Structure | InputStructure | StructureReference | dict
"""One structure as a maker accepts it; a dict is one entry of an earlier job's output list."""


def refuse_shared(nac: dict[str, Any] | None, given: JobInput | list[JobInput]) -> None:
    """Refuse Born charges for more than the one structure whose they are.

    Raises
    ------
    PetFlowsError
        There are several structures.
    """
    if nac is not None and isinstance(given, list) and len(given) > 1:
        raise PetFlowsError(
            f"nac holds Born charges of one structure, and {len(given)} are given; make one job "
            "for each."
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
                "An ASE Atoms cannot be given to a job: make a pymatgen Structure of it "
                "(pymatgen.io.ase.AseAtomsAdaptor.get_structure)."
            )


def by_reference(inputs: Sequence[InputStructure], store: ResultStore) -> list[JobInput]:
    """Put the structures into the store and return references; impossible inputs stay whole."""
    sound = [g.structure for g in inputs if g.problem is None and g.structure is not None]
    digests = iter(store.structures.put(sound))
    return [
        StructureReference(next(digests), given.source, given.dropped)
        if given.problem is None and given.structure is not None
        else given
        for given in inputs
    ]


def load_items(given: Sequence[JobInput], store: ResultStore) -> list[Item]:
    """Turn whatever a maker was given into items, in order.

    Raises
    ------
    PetFlowsError
        A reference points at nothing, or an entry is of no known kind.
    """
    digests = [entry.digest for entry in given if isinstance(entry, StructureReference)]
    structures = store.structures.get(digests) if digests else {}
    keys = [entry["key"] for entry in given if isinstance(entry, dict) and entry.get("key")]
    parents = store.existing(keys) if keys else {}
    return [_load(entry, structures, parents, store) for entry in given]


def _load(
    entry: JobInput,
    structures: dict[str, Structure],
    parents: dict[str, dict[str, Any]],
    store: ResultStore,
) -> Item:
    if isinstance(entry, StructureReference):
        if entry.digest not in structures:
            raise PetFlowsError(
                f"Structure {entry.digest[:12]}… is not in pet_structures of this store; submit "
                "the campaign with the same jobflow.yaml that the worker uses."
            )
        return Item(structures[entry.digest], entry.source, entry.dropped)
    if isinstance(entry, InputStructure):
        return Item(entry.structure, entry.source, entry.dropped, entry.problem)
    if isinstance(entry, Structure):
        found = as_input(entry)
        return Item(found.structure, found.source, found.dropped, found.problem)
    if isinstance(entry, dict) and "key" in entry and "state" in entry:
        return _child(entry, parents, store)
    raise PetFlowsError(
        f"A {type(entry).__name__} is no structure; give pymatgen Structures or the output of "
        "one of our jobs."
    )


def _child(entry: dict[str, Any], parents: dict[str, dict[str, Any]], store: ResultStore) -> Item:
    source = entry.get("source") or make_source()
    parent = parents.get(entry["key"]) if entry["key"] else None
    if parent is None or parent["state"] != "ok":
        state = parent["state"] if parent else "missing"
        problem = (f"parent_{state}", f"The record this starts from is {state}: nothing to do.")
        return Item(None, source, [], problem, parent=entry["key"])
    structure = store.final_structure(parent)
    return Item(
        structure, source, [], parent=entry["key"], inherited=parent.get("symmetry_reference")
    )
