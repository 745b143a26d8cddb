"""The structure of one document: where it is, and how it is decoded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymatgen.core import Structure

from pet_flows.inputs.identifiers import material_id_of, tags_of, task_id_of
from pet_flows.inputs.structure import InputStructure, failed_input, make_input, make_source
from pet_flows.inputs.text import DamagedError, first_line

_DEEPEST = 5
"""Keys on the way to a structure that is looked for."""
_MOST_PATHS = 20


class NoStructureError(ValueError):
    """Valid JSON that simply holds something else."""


def read_document(
    document: Mapping[str, Any],
    fallback: str | None = None,
    structure_path: str | None = None,
    **where: Any,
) -> InputStructure:
    """Read the structure of one document, with its identifiers.

    Parameters
    ----------
    document
        A structure's own dictionary, or one that holds it.
    fallback
        The identifier if the document has none.
    structure_path
        Keys to the structure, joined by dots (``output.structure``); by default the document
        itself, its ``structure``, or wherever there is one.
    **where
        ``path``, ``database``, ``collection`` for the source.

    Raises
    ------
    DamagedError
        Without a path: there is more than one structure.
    """
    place = structure_path or path_in(document)
    content: Any = value_at(document, place)
    known = {**document, "structure": content}
    within = value_at(document, place.rpartition(".")[0])
    source = make_source(
        material_id=material_id_of(known) or _identifier(within) or fallback,
        task_id=task_id_of(document),
        tags=tags_of(document),
        **where,
    )
    if isinstance(content, Structure):
        return make_input(content, source)
    if not is_structure(content):
        at = f"at {structure_path!r}" if structure_path else "in it"
        return failed_input(
            source,
            "no_structure",
            f"There is no pymatgen structure {at}: check the path of the structure.",
        )
    if "sites" in content and "lattice" not in content:
        return failed_input(
            source,
            "no_lattice",
            "It is a molecule: give a crystal, because only these are computed.",
        )
    try:
        structure = _decode(content)
    except Exception as error:  # a damaged document causes any
        detail = f"it has no {error}" if isinstance(error, KeyError) else first_line(error)
        message = f"Its structure cannot be decoded ({detail}): write it again with pymatgen."
        return failed_input(source, "unreadable", message)
    return make_input(structure, source)


def is_structure(value: Any) -> bool:
    """Whether this is the dictionary of a crystal (pymatgen's, or JARVIS' atoms).

    Molecules of pymatgen look alike and are refused later.
    """
    if not isinstance(value, Mapping):
        return False
    return isinstance(value.get("sites"), list) or {"lattice_mat", "coords", "elements"} <= set(
        value
    )


def structure_paths(document: Mapping[str, Any]) -> list[str]:
    """Find where a document holds structures, keys joined by dots, the shallowest first."""
    found: list[str] = []
    level: list[tuple[str, Mapping[str, Any]]] = [("", document)]
    for _ in range(_DEEPEST):
        below: list[tuple[str, Mapping[str, Any]]] = []
        for where, mapping in level:
            for key, value in mapping.items():
                if not isinstance(value, Mapping):
                    continue
                path = f"{where}.{key}" if where else str(key)
                if is_structure(value):
                    found.append(path)
                else:
                    below.append((path, value))
        if len(found) > _MOST_PATHS:
            break
        level = below
    return found


def path_in(document: Mapping[str, Any]) -> str:
    """Find the structure that a document is about; an empty path is the document itself.

    Raises
    ------
    DamagedError
        There is more than one, and none of them is called ``structure``.
    """
    structure = document.get("structure")
    if is_structure(document):
        return ""
    if isinstance(structure, Structure) or is_structure(structure):
        return "structure"
    found = structure_paths(document)
    if len(found) > 1:
        shown = ", ".join(found[:5]) + ", ..." * (len(found) > 5)
        raise DamagedError(
            f"holds more than one structure in a document ({shown}): choose one, as with "
            f"--structure-path {found[0]}.",
            "no_structure",
        )
    return found[0] if found else "structure"


def value_at(content: Any, path: str) -> Any:
    """Follow keys joined by dots into mappings, and indices into lists; None where they end."""
    for key in path.split(".") if path else ():
        if isinstance(content, Mapping):
            content = content.get(key)
        elif isinstance(content, list) and key.isdecimal() and int(key) < len(content):
            content = content[int(key)]
        else:
            return None
    return content


def _identifier(within: Any) -> str | None:
    """Find the identifier of what a structure is in: an entry, a calculation."""
    return material_id_of(within) if isinstance(within, Mapping) else None


def _decode(content: Mapping[str, Any]) -> Structure:
    """Make the structure of its dictionary."""
    if "sites" in content:
        return Structure.from_dict(_without_classes(content))
    return Structure(
        content["lattice_mat"],
        [str(element).strip() for element in content["elements"]],
        content["coords"],
        coords_are_cartesian=bool(content.get("cartesian", False)),
    )


def _without_classes(value: Any) -> Any:
    """Take out the class names that monty would import and call."""
    if isinstance(value, Mapping):
        return {
            key: _without_classes(item)
            for key, item in value.items()
            if key not in ("@module", "@class", "@version", "@callable")
        }
    if isinstance(value, list | tuple):
        return [_without_classes(item) for item in value]
    return value
