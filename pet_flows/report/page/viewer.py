"""Structures as chemiscope's viewer reads them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymatgen.core import Structure

from pet_flows.errors import PetFlowsError
from pet_flows.records.structures import structure_of_arrays
from pet_flows.report.damage import SYMPTOMS
from pet_flows.store.results import ResultStore

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

Document = Mapping[str, Any]
ABSENT = (
    "The viewer of structures needs chemiscope: install pet-flows[report] and write this report "
    "again."
)


def chemiscope_script() -> Path | None:
    """Script of the installed chemiscope; None without it. Nothing of it is imported."""
    found = find_spec("chemiscope")
    if found is None or not found.submodule_search_locations:
        return None
    path = Path(next(iter(found.submodule_search_locations)), "sphinx/static/chemiscope.min.js")
    return path if path.is_file() else None


def viewed(
    store: ResultStore, records: Iterable[Document], references: Iterable[Document]
) -> list[dict[str, Any]]:
    """Input and final structure of a row, and those of its references, each geometry once.

    Returns
    -------
    list of dict
        ``name``, and ``structure`` in chemiscope's format.
    """
    makers: list[tuple[str, Callable[[], Structure]]] = []
    records = [record for record in records if record["property"] != "md"] or list(records)
    if records:
        first = records[0]
        makers.append(("input", lambda: store.input_structure(first)))
    for record in records:
        if record["state"] != "failed":
            name = f"PET, {record['property']}"
            makers.append((name, lambda record=record: store.final_structure(record)))  # type: ignore[misc]
    for reference in references:
        name = f"DFT, {reference['property']}"
        makers.append((name, lambda reference=reference: _of_reference(store, reference)))  # type: ignore[misc]
    found: list[dict[str, Any]] = []
    seen: list[Structure] = []
    for name, make in makers:
        try:
            structure = make()
        except (PetFlowsError, *SYMPTOMS) as error:
            logger.warning("A structure is not shown: %s", error)
            continue
        if not any(_same(structure, other) for other in seen):
            seen.append(structure)
            found.append({"name": name, "structure": chemiscope_structure(structure)})
    return found


def _same(one: Structure, other: Structure) -> bool:
    return len(one) == len(other) and one == other


def _of_reference(store: ResultStore, reference: Document) -> Structure:
    if reference["structure"] is not None:
        return Structure.from_dict(dict(reference["structure"]))
    return structure_of_arrays(store.references.blob(reference, "structure"))


def chemiscope_structure(structure: Structure) -> dict[str, Any]:
    """``size``, ``names``, ``x y z`` (Å) and ``cell`` (nine numbers, Å)."""
    positions = structure.cart_coords
    found: dict[str, Any] = {
        "size": len(structure),
        "names": [site.specie.symbol if site.is_ordered else "X" for site in structure],
    }
    found |= {axis: positions[:, n] for n, axis in enumerate("xyz")}
    if all(structure.lattice.pbc):
        found["cell"] = structure.lattice.matrix.ravel()
    return found
