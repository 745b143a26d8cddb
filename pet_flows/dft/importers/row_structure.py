"""Which crystal a row of a table, or an entry of a benchmark, is of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pymatgen.core import Structure

from pet_flows.errors import PetFlowsError
from pet_flows.inputs.documents import is_structure, read_document
from pet_flows.inputs.files import read_file
from pet_flows.inputs.prototypes import PROTOTYPES, build_prototype
from pet_flows.inputs.structure import InputStructure, make_input, make_source
from pet_flows.inputs.text import DamagedError

#: columns of a table that say which crystal a row is of
STRUCTURE, ELEMENT, PROTOTYPE, IDENTIFIER = "structure", "element", "prototype", "material_id"
CRYSTAL = (STRUCTURE, ELEMENT, PROTOTYPE, IDENTIFIER)


def structure_of_document(document: Mapping[str, Any]) -> InputStructure:
    """Structure of an entry of a benchmark."""
    try:
        return read_document(document)
    except DamagedError as error:
        raise PetFlowsError(f"It {error}") from error


def structure_of_row(
    row: Mapping[str, Any], names: Mapping[str, str], folder: Path
) -> InputStructure:
    """Structure of a row of a table.

    Parameters
    ----------
    row
        Column → cell.
    names
        Of `CRYSTAL`, those that there are → their columns.
    folder
        From which files are seen.

    Raises
    ------
    PetFlowsError
        It names none, or not one.
    """
    cells = {field: str(row[name]).strip() for field, name in names.items()}
    source = make_source(material_id=cells.get(IDENTIFIER) or None)
    if text := cells.get(STRUCTURE):
        return _written(text, source, folder)
    element, prototype = cells.get(ELEMENT), cells.get(PROTOTYPE)
    if element and prototype:
        named = {name.casefold(): name for name in PROTOTYPES}.get(prototype.casefold())
        if named is None:
            raise PetFlowsError(
                f"There is no prototype {prototype!r}: choose from {', '.join(PROTOTYPES)}."
            )
        return make_input(build_prototype(element, named), source)
    raise PetFlowsError(
        "It does not say of which crystal it is: add a column structure with files, or element and "
        "prototype."
    )


def _written(text: str, source: dict[str, Any], folder: Path) -> InputStructure:
    """Structure in a cell of a table: pymatgen's JSON, or the name of a file."""
    if text.startswith("{"):
        content = json.loads(text)
        if not is_structure(content):
            raise PetFlowsError("Its JSON is not a structure: write it with pymatgen.")
        return make_input(Structure.from_dict(content), source)
    file = folder / text
    if not file.is_file():
        raise PetFlowsError(f"There is no file {file}: correct the name.")
    (first, *others) = read_file(file)
    if others:
        raise PetFlowsError(f"{file} holds {len(others) + 1} structures: give a file for each.")
    if first.problem is not None or first.structure is None:
        return first
    identifier = source.get("material_id") or first.source.get("material_id")
    return InputStructure(first.structure, make_source(material_id=identifier), first.dropped)
