"""Documents in the JSON of data sets: one a line, in lists, mappings, and the tables of pandas."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pet_flows.inputs.documents import (
    NoStructureError,
    is_structure,
    read_document,
    structure_paths,
    value_at,
)
from pet_flows.inputs.formats import read_ase_database
from pet_flows.inputs.identifiers import MATERIAL_KEYS, bare_name, is_name, name_of_file
from pet_flows.inputs.structure import InputStructure, failed_input, make_source
from pet_flows.inputs.text import first_line, quoted, read_text

Row = tuple[str, Any]
"""A document, after the name it has if it does not say one itself."""

_STRUCTURES = re.compile("struct|atoms|entry", re.IGNORECASE)
"""What columns and fields of structures are called."""


LINES = (".jsonl", ".ndjson")
"""Endings of files with one document in each line."""
_ALONE = re.compile(
    "(?:(?:initial|final|input|output|start|relaxed|unrelaxed|optimized)_)?(?:structure|atoms)",
    re.IGNORECASE,
)


class BrokenLineError(ValueError):
    """A line that is no JSON."""


def read_json(path: Path, structure_path: str | None = None) -> Iterator[InputStructure]:
    """Read a JSON file of any of the shapes that structures come in (`documents_of`).

    ASE's databases are among them. Identifiers are looked for in each document, then in the
    table's index, then in the file's name. Only numbers and names are taken from the file: nothing
    that it says of classes is imported or called.

    Parameters
    ----------
    path
        Of the file; ``.jsonl`` and ``.ndjson`` hold one document in each line.
    structure_path
        Where documents hold their structure, keys joined by dots; by default wherever there is
        one.

    Raises
    ------
    NoStructureError
        If it is JSON, but nothing of the above.
    DamagedError
        Documents hold more than one structure, and none of them is called ``structure``.
    """
    text, name = read_text(path), name_of_file(path)
    if Path(bare_name(path)).suffix.lower() in LINES:
        documents = documents_of_lines(text, name, structure_path)
    else:
        values = list(parse(text))
        content = values[0] if len(values) == 1 else values
        if isinstance(content, dict) and {"ids", "nextid"} <= content.keys():
            yield from read_ase_database(path)
            return
        documents = documents_of(content, name, structure_path)
        if not documents:
            raise NoStructureError(describe(content, structure_path))
    for fallback, document in documents:
        at = None if is_structure(document) else structure_path
        if isinstance(document, Mapping):
            yield read_document(document, fallback, at, path=path)
        else:
            broken = isinstance(document, BrokenLineError)
            what = (
                str(document)
                if broken
                else f"holds {quoted(str(document))} where a document should be: remove it."
            )
            yield failed_input(
                make_source(material_id=fallback, path=path),
                "unreadable" if broken else "no_structure",
                f"{path.name}: {what}",
            )


def documents_of(content: Any, name: str, structure_path: str | None = None) -> list[Row]:
    """Find the documents in parsed JSON.

    - a structure, or a document that holds one;
    - a list of these, alone or under a name (``entries``, ``structures``, ``data``);
    - a mapping of identifiers to these (pandas' ``orient="index"``);
    - a table of pandas: ``orient="columns"``, ``"split"``, ``"records"``, ``"table"`` or
      ``"values"``.

    Parameters
    ----------
    content
        Of a file.
    name
        Of the file: what a document without an identifier is called, with its number.
    structure_path
        Where documents hold their structure, keys joined by dots; by default wherever there is
        one.

    Returns
    -------
    list of (name, document)
        Empty where nothing holds a structure. Documents without one are among the others.
    """

    def holds(value: Any) -> bool:
        if is_structure(value):
            return True
        if structure_path:
            return is_structure(value_at(value, structure_path))
        return isinstance(value, Mapping) and bool(structure_paths(value))

    if isinstance(content, list):
        rows = [
            {str(n): cell for n, cell in enumerate(value)} if isinstance(value, list) else value
            for value in content
        ]
        rows = rows if any(map(holds, rows)) else list(map(_with_decoded, rows))
        return _named(range(len(rows)), rows, name) if any(map(holds, rows)) else []
    if not isinstance(content, Mapping):
        return []
    columns, data = content.get("columns"), content.get("data")
    if isinstance(columns, list) and isinstance(data, list):  # split
        rows = [
            dict(zip(map(str, columns), row, strict=False)) for row in data if isinstance(row, list)
        ]
        return _named(content.get("index") or range(len(rows)), rows, name)
    if _is_document(content, structure_path):
        return [(name, content)]
    if _is_by_columns(content):
        index = list(next(iter(content.values())))
        rows = [{column: content[column].get(at) for column in content} for at in index]
        if any(map(holds, rows)):
            return _named(index, rows, name)
    for key in dict.fromkeys(("entries", "structures", *content)):
        if isinstance(content.get(key), list) and any(map(holds, content[key])):
            return documents_of(content[key], name, structure_path)
    keys = [key for key, value in content.items() if holds(value)]
    if keys and not (structure_path and holds(content)):
        return _named(keys, [content[key] for key in keys], name)
    return [(name, content)] if holds(content) else []


def documents_of_lines(text: str, name: str, structure_path: str | None = None) -> list[Row]:
    """Find the documents of a file with one in each line.

    Parameters
    ----------
    text, name, structure_path
        As of `documents_of`; the text is that of the file.

    Returns
    -------
    list of (name, document)
        A line that is no JSON is a `BrokenLineError` there.

    Raises
    ------
    NoStructureError
        No line holds a structure.
    """
    lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    values: list[Any] = []
    for n, line in lines:
        try:
            values.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            detail = error.msg if isinstance(error, json.JSONDecodeError) else first_line(error)
            values.append(
                BrokenLineError(f"line {n} is not JSON ({detail}): correct or remove it.")
            )
    sound = [value for value in values if not isinstance(value, BrokenLineError)]
    rows = iter(documents_of(sound, name, structure_path))
    found = [value if isinstance(value, BrokenLineError) else next(rows, None) for value in values]
    if sound and None in found:
        raise NoStructureError(describe(sound, structure_path))
    documents = [row[1] if isinstance(row, tuple) else row for row in found]
    return _named(range(len(values)), documents, name)


def describe(content: Any, structure_path: str | None) -> str:
    """Say that there is no structure, and what there is instead."""
    if isinstance(content, list):
        content = next((value for value in content if isinstance(value, Mapping)), content)
    keys = list(content) if isinstance(content, Mapping) else []
    there = f" (it has {', '.join(map(str, keys[:8]))}{', ...' * (len(keys) > 8)})" if keys else ""
    if structure_path:
        return f"it holds no structure at {structure_path!r}{there}"
    return f"it holds no structure that pymatgen would know{there}"


def _is_document(content: Mapping[str, Any], structure_path: str | None) -> bool:
    """Whether a mapping is one document, and no mapping of identifiers to documents."""
    if is_structure(content) or is_structure(content.get("structure")):
        return True
    if structure_path and is_structure(value_at(content, structure_path)):
        return True
    named = any(is_name(content.get(key)) for key in (*MATERIAL_KEYS, "task_id", "_id"))
    if named:
        return bool(structure_paths(content))
    found = [key for key, value in content.items() if is_structure(value)]
    if len(found) == len(content):  # identifiers, unless it is the one structure of the file
        return len(found) == 1 and bool(_ALONE.fullmatch(found[0]))
    return any(map(_STRUCTURES.search, found))


def _is_by_columns(content: Mapping[str, Any]) -> bool:
    """Whether a mapping is a table of pandas, column by column.

    Row by row it looks alike: there the fields of each row are called after structures.
    """
    columns = list(content.values())
    if not columns or not all(isinstance(c, Mapping) and not is_structure(c) for c in columns):
        return False
    index = set(columns[0])
    if not index or any(set(column) != index for column in columns):
        return False
    full = [
        all(cell is None or is_structure(cell) or _holds(cell) for cell in column.values())
        and any(cell is not None for cell in column.values())
        for column in columns
    ]
    if any(_STRUCTURES.search(str(key)) for key in index):
        return False
    return any(full) and (not all(full) or any(map(_STRUCTURES.search, content)))


def _with_decoded(row: Any) -> Any:
    """Decode the fields of a row that are JSON within JSON, as tables of text hold structures."""
    if not isinstance(row, Mapping):
        return row
    decoded = dict(row)
    for key, value in row.items():
        if isinstance(value, str) and value.startswith("{") and '"sites"' in value:
            with suppress(ValueError):
                decoded[key] = json.loads(value)
    return decoded


def _holds(cell: Any) -> bool:
    return isinstance(cell, Mapping) and bool(structure_paths(cell))


def _named(index: Any, documents: list[Any], name: str) -> list[Row]:
    """Name documents after their index, or after the file where that only counts them."""
    labels = [str(at) for at in index]
    if labels == [str(n) for n in range(len(documents))]:
        labels = [f"{name}-{n}" for n in range(len(documents))] if len(documents) > 1 else [name]
    return list(zip(labels, documents, strict=False))


def parse(text: str) -> Iterator[Any]:
    """Parse one value of JSON, or several that follow one another."""
    decoder = json.JSONDecoder()
    at = len(text) - len(text.lstrip())
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        yield value
        while at < len(text) and text[at].isspace():
            at += 1
