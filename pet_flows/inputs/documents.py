"""Structures inside JSON: pymatgen objects, entries, lists and mappings of them, documents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pymatgen.core import Structure

from pet_flows.inputs.formats import read_ase_database
from pet_flows.inputs.identifiers import material_id_of, name_of_file, tags_of, task_id_of
from pet_flows.inputs.structure import InputStructure, failed_input, make_input, make_source
from pet_flows.inputs.text import first_line, read_text


class NoStructureError(ValueError):
    """Valid JSON that simply holds something else."""


def read_json(path: Path) -> Iterator[InputStructure]:
    """Read a JSON file of any of the shapes that structures come in.

    - a pymatgen Structure (or a subclass), a ComputedStructureEntry, any document with a
      ``structure``;
    - a list of these, also under ``entries`` or ``structures``;
    - a mapping of identifiers to these;
    - an ASE database.

    Identifiers are looked for in each document, then in the file's name. Only numbers and names
    are taken from the file: nothing that it says of classes is imported or called.

    Raises
    ------
    NoStructureError
        If it is JSON, but nothing of the above.
    """
    content = json.loads(read_text(path))
    if isinstance(content, dict) and {"ids", "nextid"} <= content.keys():
        yield from read_ase_database(path)
        return
    name = name_of_file(path)
    documents = list(_documents(content, name))
    if not documents:
        raise NoStructureError("it holds no structure that pymatgen would know")
    for fallback, document in documents:
        yield read_document(document, fallback, path=path)


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
        itself or its ``structure``.
    **where
        ``path``, ``database``, ``collection`` for the source.
    """
    content: Any = document
    for key in structure_path.split(".") if structure_path else ():
        content = _step(content, key)
    if structure_path is None and not _is_structure(content):
        content = document.get("structure")
    known = {**document, "structure": content}
    source = make_source(
        material_id=material_id_of(known) or fallback,
        task_id=task_id_of(document),
        tags=tags_of(document),
        **where,
    )
    if isinstance(content, Structure):
        return make_input(content, source)
    if not _is_structure(content):
        place = f"at {structure_path!r}" if structure_path else "in it"
        return failed_input(
            source,
            "no_structure",
            f"There is no pymatgen structure {place}: check the path of the structure.",
        )
    if "lattice" not in content:
        return failed_input(source, "no_lattice", "It is a molecule: only crystals are computed.")
    try:
        structure = Structure.from_dict(_without_classes(content))
    except Exception as error:  # whatever a damaged document causes
        detail = f"it has no {error}" if isinstance(error, KeyError) else first_line(error)
        message = f"Its structure cannot be decoded ({detail}): write it anew with pymatgen."
        return failed_input(source, "unreadable", message)
    return make_input(structure, source)


def _documents(content: Any, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Find the documents in parsed JSON, each with the name it has if it does not say."""
    if isinstance(content, dict):
        if _is_structure(content) or _holds_structure(content):
            yield name, content
            return
        for key in ("entries", "structures"):
            if isinstance(content.get(key), list):
                yield from _documents(content[key], name)
                return
        for key, value in content.items():
            if isinstance(value, dict) and (_is_structure(value) or _holds_structure(value)):
                yield key, value
    elif isinstance(content, list):
        documents = [value for value in content if isinstance(value, dict)]
        if any(_is_structure(value) or _holds_structure(value) for value in documents):
            for number, value in enumerate(documents):
                yield (f"{name}-{number}" if len(content) > 1 else name), value


def _is_structure(value: Any) -> bool:
    """Whether this is the dictionary of a crystal, or of a molecule (refused later)."""
    return isinstance(value, Mapping) and isinstance(value.get("sites"), list)


def _holds_structure(value: Mapping[str, Any]) -> bool:
    """Whether this document has a structure where entries have theirs."""
    return _is_structure(value.get("structure"))


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


def _step(content: Any, key: str) -> Any:
    """Follow one key of a path into a mapping, or one index into a list."""
    if isinstance(content, Mapping):
        return content.get(key)
    if isinstance(content, list) and key.isdigit() and int(key) < len(content):
        return content[int(key)]
    return None
