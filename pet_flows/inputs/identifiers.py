"""Names under which a structure is known: found in documents, info fields, file names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MATERIAL_KEYS = (
    "material_id", "mp_id", "mat_id", "matid", "mpid", "uid", "id", "entry_id", "jid",
)  # fmt: skip
"""In order of preference: Materials Project, its data sets, Alexandria, ASE, entries, JARVIS."""

LONGEST_NAME = 200
"""Characters of an identifier or a tag; longer ones would make records too large."""

_COMPRESSED = (".gz", ".bz2", ".xz")
_ENDING = re.compile(
    r"\.(?:m?cif|vasp|poscar|contcar|(?:ext)?xyz|db|traj|jsonl?|ndjson)", re.IGNORECASE
)
"""Those of `pet_flows.inputs.files.READERS`."""
_NAMELESS_POSCAR = re.compile(
    r"(?:POSCAR|CONTCAR)(?:[._-](?:(?:orig|old|bak|new|txt|relax\d*)$|(?P<name>.+)))?",
    re.IGNORECASE,
)
"""What says of a POSCAR only at which step of a calculation it was written is no name."""


def material_id_of(document: Mapping[str, Any]) -> str | None:
    """Find the identifier of a material in a document.

    Each of `MATERIAL_KEYS` is looked for at the top, in ``data`` (of a ComputedStructureEntry), in
    the structure's own ``properties``, in the first of ``sources`` (of our records); ``_id`` is
    the last resort.

    Parameters
    ----------
    document
        A database document, an entry, or an ``info`` dictionary; values may be objects
        (emmet's MPID, an ObjectId).
    """
    structure = document.get("structure")
    if isinstance(structure, Mapping):
        properties = structure.get("properties")
    else:
        properties = getattr(structure, "properties", None)
    sources = document.get("sources")
    first = sources[0] if isinstance(sources, list) and sources else None
    places = (document, document.get("data"), properties, document.get("properties"), first)
    for key in MATERIAL_KEYS:
        for place in places:
            if isinstance(place, Mapping) and is_name(place.get(key)):
                return str(place[key])
    return str(document["_id"]) if is_name(document.get("_id")) else None


def task_id_of(document: Mapping[str, Any]) -> str | None:
    """Find the identifier of the calculation that a document came from."""
    for place in (document, document.get("data")):
        if isinstance(place, Mapping) and is_name(place.get("task_id")):
            return str(place["task_id"])
    return None


def tags_of(document: Mapping[str, Any]) -> list[str]:
    """Find the tags of a document; one string is split at commas."""
    tags = document.get("tags")
    if isinstance(tags, str):
        tags = [tag.strip() for tag in tags.split(",")]
    if isinstance(tags, list | tuple | set):
        return [str(tag) for tag in tags if is_name(tag)]
    return []


def bare_name(path: Path) -> str:
    """Give the file's name without the ending of a compression."""
    return path.name.removesuffix(path.suffix) if path.suffix in _COMPRESSED else path.name


def name_of_file(path: Path) -> str:
    """Name the material after its file: ``mp-149`` for ``mp-149.cif.gz``.

    A bare ``POSCAR`` or ``CONTCAR``, also ``POSCAR.vasp``, is named after its folder,
    ``POSCAR_mp-149`` after what follows. The path counts as it is given: where a link leads says
    nothing of what is meant by it.
    """
    name = bare_name(path)
    if ending := _ENDING.fullmatch(Path(name).suffix):
        name = name.removesuffix(ending[0])
    if match := _NAMELESS_POSCAR.fullmatch(name):
        return match["name"] or Path(os.path.abspath(path)).parent.name or name
    return name if ending else Path(name).stem


def is_name(value: Any) -> bool:
    """Whether a value can be an identifier: neither empty nor endless, no container, no bool."""
    if value is None or isinstance(value, bool | float | Mapping | list | tuple | set):
        return False
    return 0 < len(str(value).strip()) <= LONGEST_NAME
