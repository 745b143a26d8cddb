"""Where a comparison reads and writes: the store, or memory where the store may only be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from pymatgen.core import Structure

from pet_flows.compare.sides import Ours, ReadBlob, Theirs, begins_with_its_crystal
from pet_flows.compare.tables.row import Published
from pet_flows.dft import sources
from pet_flows.dft.documents import document_of
from pet_flows.records.keys import digest
from pet_flows.store.results import ResultStore
from pet_flows.store.writes import chunks

Document = dict[str, Any]

#: what of a comparison says whether it is still up to date
_COMPARISON_HEAD = (
    "record", "reference", "campaigns", "level_differs", "alternatives", "of_other_levels",
    "made_of",
)  # fmt: skip
#: what of a reference says whether it can stand beside a record, and who it is
_REFERENCE_HEAD = (
    "property", "formula_pretty", "last_updated", "material_ids", "spacegroup", "level", "package",
)  # fmt: skip


class Shelf:
    """References and comparisons of a store.

    Parameters
    ----------
    store
        Where records and references are.
    keep
        Whether comparisons, and references of packages, are written there; else they are kept in
        memory, beside those that are there.
    """

    def __init__(self, store: ResultStore, keep: bool = True):
        self.store = store
        self.keep = keep
        self._comparisons: dict[str, Document] = {}
        self._removed: set[str] = set()
        self._given: frozenset[str] = frozenset()
        self._installed: frozenset[str] = frozenset()
        self._references: dict[str, tuple[Document, Mapping[str, Any]]] = {}

    # references -------------------------------------------------------------------------------

    def take_packages(self, elements: Iterable[str], formulas: set[str]) -> None:
        """Put references that come with packages among the others, where they are of use.

        Parameters
        ----------
        elements
            That are in the formulas.
        formulas
            Reduced ones; references of others are left where they are.
        """
        given = {
            reference.id: (name, reference)
            for name, references in sources.sources(elements).items()
            for reference in references
            if reference.formula in formulas
        }
        self._given = frozenset(given)
        self._installed = frozenset(sources.names())
        known = {
            head["_id"]: head.get("package")
            for chunk in chunks(list(given))
            for head in self.store.references.find({"_id": {"$in": chunk}}, ["package"])
        }
        for key, (name, reference) in given.items():
            package = {"source": name, "digest": _digest_of(reference)}
            if known.get(key) == package:
                continue
            document, blobs = document_of(reference)
            document["package"] = package
            if self.keep:
                self.store.references.put(document, blobs)
            else:
                self._references[key] = (document, blobs)

    def reference_heads(self, formulas: Iterable[str]) -> Iterator[Document]:
        """What can stand beside records of these reduced formulas."""
        wanted = sorted(set(formulas))
        gone: list[str] = []
        for chunk in chunks(wanted):
            found = self.store.references.find(
                {"formula_pretty": {"$in": chunk}}, [*_REFERENCE_HEAD]
            )
            for head in found:
                if self._is_gone(head):
                    gone.append(head["_id"])
                elif head["_id"] not in self._references:
                    yield head
        for document, _ in self._references.values():
            if document["formula_pretty"] in wanted:
                yield document
        for chunk in chunks(gone if self.keep else []):
            self.store.references.remove({"_id": {"$in": chunk}})

    def _is_gone(self, head: Mapping[str, Any]) -> bool:
        """Whether a package that is there does not give this reference any more."""
        package = head.get("package")
        return (
            package is not None
            and package["source"] in self._installed
            and head["_id"] not in self._given
        )

    def references(self, keys: Sequence[str]) -> Iterator[Theirs]:
        """Whole references."""
        for chunk in chunks([key for key in keys if key not in self._references]):
            for document in self.store.references.find({"_id": {"$in": chunk}}):
                yield Theirs(document, self._reader(document, {}))
        for key in keys:
            if key in self._references:
                document, blobs = self._references[key]
                yield Theirs(document, self._reader(document, blobs))

    def published(self, keys: Sequence[str]) -> set[Published]:
        """Levels of theory of references, and where they were published."""
        heads = [document for key, (document, _) in self._references.items() if key in set(keys)]
        for chunk in chunks(list(keys)):
            heads += self.store.references.find({"_id": {"$in": chunk}}, ["level", "source"])
        return {Published.of(head) for head in heads}

    def _reader(self, document: Document, blobs: Mapping[str, Any]) -> ReadBlob:
        def read(name: str) -> Mapping[str, np.ndarray]:
            if name in blobs:
                found: Mapping[str, np.ndarray] = blobs[name]
                return found
            return self.store.blobs.read(document["blobs"][name])

        return read

    # records ----------------------------------------------------------------------------------

    def records(self, keys: Sequence[str], groups: Mapping[str, set[str]]) -> Iterator[Ours]:
        """Whole records.

        Parameters
        ----------
        keys
            Which.
        groups
            Key of a relaxation → keys of the records that start from it.
        """
        for chunk in chunks(list(keys), 200):
            found = list(self.store.records.find({"_id": {"$in": chunk}}))
            wanted = [record["parent"] for record in found if _needs_parent(record)]
            parents = {
                parent["_id"]: parent
                for some in chunks(wanted)  # none, if there are none
                for parent in self.store.records.find(
                    {"_id": {"$in": some}}, ["structure", "input_structure", "blobs"]
                )
            }
            for record in found:
                structure = None
                for one in (record, parents.get(record.get("parent") or "")):
                    if structure is None and one is not None and _has_structure(one):
                        structure = self._crystal(record, one)
                group = groups.get(record.get("parent") or record["_id"], set())
                yield Ours(
                    record, structure, frozenset({record["_id"], *group}),
                    partial(self._arrays, record),
                )  # fmt: skip

    def _crystal(self, record: Document, one: Document) -> Structure:
        """Structure that says of which crystal a record is, in itself or in its relaxation."""
        if one is record and begins_with_its_crystal(record):
            return self.store.input_structure(one)
        return self.store.final_structure(one)

    def _arrays(self, record: Document, name: str) -> Mapping[str, np.ndarray]:
        return self.store.blobs.read(record["blobs"][name])

    # comparisons ------------------------------------------------------------------------------

    def comparisons(
        self, campaigns: Sequence[str], properties: Sequence[str] | None = None
    ) -> Iterator[Document]:
        """Comparisons of these campaigns, with all of their fields or those named."""
        wanted = None if properties is None else list(properties)
        for found in self.store.comparisons.find({"campaigns": {"$in": list(campaigns)}}, wanted):
            if found["_id"] not in self._comparisons and found["_id"] not in self._removed:
                yield found
        for found in self._comparisons.values():
            if not set(campaigns).isdisjoint(found["campaigns"]):
                yield found

    def heads(self, campaigns: Sequence[str]) -> Iterator[Document]:
        """What says of these comparisons whether they are up to date."""
        # documents of before, or of others, may lack what is looked at here
        lists = ("level_differs", "alternatives", "of_other_levels")
        nothing = dict.fromkeys(_COMPARISON_HEAD) | {name: [] for name in lists}
        for head in self.comparisons(campaigns, _COMPARISON_HEAD):
            yield {**nothing, **head}

    def of_records(self, keys: Sequence[str]) -> Iterator[Document]:
        """All comparisons of these records."""
        for found in self.store.comparisons.find({"record": {"$in": list(keys)}}):
            if found["_id"] not in self._comparisons and found["_id"] not in self._removed:
                yield found
        wanted = set(keys)
        yield from (found for found in self._comparisons.values() if found["record"] in wanted)

    def put(self, documents: Sequence[Document]) -> None:
        """Write comparisons, in place of those with the same ``_id``."""
        if not documents:
            return  # a transaction takes as long as the disk needs
        if self.keep:
            self.store.put_comparisons(documents)
        else:
            self._comparisons |= {document["_id"]: document for document in documents}

    def remove(self, ids: Sequence[str]) -> None:
        """Remove comparisons."""
        if self.keep:
            self.store.remove_comparisons(ids)
        else:
            self._removed |= set(ids)
            for id_ in ids:
                self._comparisons.pop(id_, None)


def _needs_parent(record: Document) -> bool:
    return bool(record.get("parent")) and not _has_structure(record)


def _has_structure(record: Document) -> bool:
    names = ("structure", "input_structure")
    return any(record.get(name) or name in record["blobs"] for name in names)


def _digest_of(reference: Any) -> str:
    """Digest of a package's reference as it gives it: whether it is the one that is stored."""
    content = str(reference.model_dump(exclude={"structure", "arrays"}))
    lattice, sites = reference.structure.lattice.matrix, reference.structure.frac_coords
    arrays = {n: sorted(arrays) for n, arrays in reference.arrays.items()}
    return digest([content, lattice.round(8), sites.round(8), arrays], 16)
