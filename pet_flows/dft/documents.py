"""References as documents of the collection ``pet_references``, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Structure

from pet_flows.dft.level import LevelOfTheory
from pet_flows.dft.reference import Origin, Reference
from pet_flows.records.build import MAX_ATOMS_INSIDE
from pet_flows.records.kept import Kept
from pet_flows.records.metadata import metadata, space_group
from pet_flows.records.plain import plain
from pet_flows.records.structures import bare, structure_of_arrays

if TYPE_CHECKING:
    from pet_flows.crystallography.primitive import Primitive

#: Å; calculated structures are exact far beyond, printed ones often rounded to 1e-3
SAME_PLACE = 0.01

Blobs = dict[str, dict[str, np.ndarray]]


def primitive_structure(structure: Structure) -> Structure:
    """Primitive cell of a crystal in the same orientation; others are given back as they are.

    Two descriptions of one crystal give cells with equally many atoms, not equal cells.
    """
    structure = bare(structure)
    if not structure.is_ordered or not all(structure.lattice.pbc):
        return structure
    cell = np.array(structure.lattice.matrix)
    found = _primitive(
        np.asarray(structure.atomic_numbers, dtype=np.int64).tobytes(),
        cell.tobytes(),
        np.asarray(structure.cart_coords, dtype=float).tobytes(),
    )
    if len(found.atoms) == len(structure):
        return structure
    sites = [structure[int(i)] for i in found.atoms]
    return Structure(
        found.basis @ cell,
        [site.specie for site in sites],
        [site.coords for site in sites],
        coords_are_cartesian=True,
        to_unit_cell=True,
    )


@lru_cache(maxsize=64)  # what a calculation gives is of one structure, and asks several times
def _primitive(numbers: bytes, cell: bytes, positions: bytes) -> Primitive:
    from pet_flows.crystallography.primitive import find_primitive  # whose neighbours bring torch

    return find_primitive(
        np.frombuffer(numbers, dtype=np.int64),
        np.frombuffer(cell).reshape(3, 3),
        np.frombuffer(positions).reshape(-1, 3),
        SAME_PLACE,
    )


def document_of(reference: Reference) -> tuple[dict[str, Any], Blobs]:
    """Give the document of a reference, and the blobs that it will name.

    Returns
    -------
    document, blobs
        The structure is the primitive cell. ``blobs`` of the document is filled by the store.
    """
    structure = Kept.of(primitive_structure(reference.structure))
    about = metadata(structure, None)
    blobs: Blobs = {name: dict(arrays) for name, arrays in reference.arrays.items()}
    if len(structure) > MAX_ATOMS_INSIDE:
        blobs["structure"] = structure.arrays()
    document = {
        "_id": reference.id,
        "property": reference.property,
        "material_ids": list(reference.material_ids),
        "records": list(reference.records),
        **{name: about[name] for name in ("formula_pretty", "chemsys", "elements", "nelements")},
        "nsites_primitive": len(structure),
        "spacegroup": space_group(structure),
        "structure": structure.document() if len(structure) <= MAX_ATOMS_INSIDE else None,
        "level": {**reference.level.model_dump(mode="json"), "digest": reference.level.digest},
        "result": plain(reference.result),
        "entry": plain(reference.entry),
        # dates stay dates, which a store sorts
        "source": {**reference.source.model_dump(), "identity": reference.source.identity},
        "problems": list(reference.problems),
        "last_updated": datetime.now(UTC).replace(tzinfo=None),
        "blobs": {},
    }
    return document, blobs


def reference_of(
    document: Mapping[str, Any], read_blob: Callable[[str], Mapping[str, np.ndarray]] | None = None
) -> Reference:
    """Inverse of `document_of`.

    Parameters
    ----------
    document
        Whole.
    read_blob
        Id of a blob → its arrays; without it no arrays are read.
    """
    blobs = dict(document["blobs"])
    stored = blobs.pop("structure", None)
    if document["structure"] is not None:
        structure = Structure.from_dict(document["structure"])
    elif stored is not None and read_blob is not None:
        structure = structure_of_arrays(read_blob(stored))
    else:
        raise ValueError(f"the structure of reference {document['_id']} is a blob")
    source = {name: value for name, value in document["source"].items() if name != "identity"}
    return Reference(
        property=document["property"],
        result=document["result"],
        structure=structure,
        level=level_of(document),
        source=Origin(**source),
        material_ids=tuple(document["material_ids"]),
        records=tuple(document["records"]),
        entry=document["entry"],
        arrays={} if read_blob is None else {n: dict(read_blob(i)) for n, i in blobs.items()},
        problems=tuple(document["problems"]),
    )


def level_of(document: Mapping[str, Any]) -> LevelOfTheory:
    """Level of theory of a reference's document."""
    return LevelOfTheory(**{n: value for n, value in document["level"].items() if n != "digest"})
