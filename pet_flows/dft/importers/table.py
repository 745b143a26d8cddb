"""Tables: CSV whose columns the user names, and the lists in JSON of benchmarks."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pet_flows.dft.importers.columns import Column, results
from pet_flows.dft.importers.energies import entry_of, lattice, parameters_of
from pet_flows.dft.importers.found import Found
from pet_flows.dft.importers.importing import attempt
from pet_flows.dft.importers.known import Known
from pet_flows.dft.importers.options import Options
from pet_flows.dft.importers.read import Problem, Read
from pet_flows.dft.importers.row_level import level_columns, level_of_row
from pet_flows.dft.importers.row_structure import (
    CRYSTAL,
    IDENTIFIER,
    structure_of_document,
    structure_of_row,
)
from pet_flows.dft.importers.unrecognized import DAMAGED
from pet_flows.dft.reference import Reference
from pet_flows.errors import PetFlowsError
from pet_flows.inputs.datasets import BrokenLineError, documents_of, documents_of_lines, parse
from pet_flows.inputs.documents import NoStructureError
from pet_flows.inputs.identifiers import MATERIAL_KEYS, bare_name, is_name, name_of_file
from pet_flows.inputs.structure import InputStructure
from pet_flows.inputs.text import DamagedError, first_line, quoted, read_text, refuse_disguised

#: keys of the benchmarks of matcalc and their units: GPa; J/mol/K of the cell; eV of the cell
BENCHMARK = (
    Column("bulk_modulus_vrh", "elastic", "k_vrh"),
    Column("shear_modulus_vrh", "elastic", "g_vrh"),
    Column("heat_capacity", "phonon", "thermal", 300.0, "cv", per_cell=True),
    Column("energy", "static", "energy_per_atom", per_cell=True),
    Column("energy", "relax", "energy_per_atom", per_cell=True),
)
#: columns that are named in a sentence
_NAMED = 12

Row = tuple[str, "Mapping[str, Any] | str"]
"""Name of a row with what it holds, or with the sentence why it cannot be read."""


def read(source: str, options: Options, known: Known) -> Iterator[Read]:
    """References of the rows of a CSV file.

    Parameters
    ----------
    source
        The file, with a header; separated by commas, semicolons or tabs.
    options
        ``columns`` says what the columns are: a number of a result (`Column.parse`), or
        ``structure`` (file, seen from the table's folder, or pymatgen's JSON), ``element`` and
        ``prototype``, ``material_id``, or a field of the level of theory (``level.functional``,
        ``level.u.Fe``). Columns that are called so need not be named.
    known
        Unused: rows have no dates, and what is the same is not stored again.

    Raises
    ------
    PetFlowsError
        The table has no such column, no number, or cannot be read; no level is given.
    """
    levels = _levels(options)
    path = Path(source).expanduser()
    text = _text(path, "table")
    lines = text.splitlines()
    delimiter = max(",;\t", key=(lines[0] if lines else "").count)
    table = csv.DictReader(lines, delimiter=delimiter, skipinitialspace=True)
    header = [name.strip() for name in table.fieldnames or ()]
    _refuse_header(path, header)
    table.fieldnames = header
    names, columns = _columns(header, options.columns)
    rows: list[Row] = []
    for number, cells in enumerate(table, 1):
        name = f"row {number}"
        if None in cells or None in cells.values():
            said = f"It has not as many cells as the header, {len(header)}: correct it."
            if None in cells and delimiter == ",":
                said = said.replace(": correct", " (are there decimal commas?): correct")
            rows.append((name, said))
            continue
        identifier = str(cells.get(names.get(IDENTIFIER, ""), "")).strip()
        rows.append((identifier or name, cells))
    get = partial(structure_of_row, names=names, folder=path.parent)
    yield from _read(path, rows, columns, levels, get, options)


def read_benchmark(source: str, options: Options, known: Known) -> Iterator[Read]:
    """References of the entries of a benchmark in JSON: a structure beside numbers.

    Parameters
    ----------
    source
        The file; any shape that structures in JSON are read from.
    options
        ``columns`` says what its keys are, besides those of matcalc's benchmarks.
    known
        Unused, as of `read`.

    Raises
    ------
    PetFlowsError
        It is no JSON, or holds no structures; no level is given.
    """
    levels = _levels(options)
    path = Path(source).expanduser()
    text, name = _text(path, "JSON"), name_of_file(path)
    try:
        if Path(bare_name(path)).suffix.lower() in (".jsonl", ".ndjson"):
            documents = documents_of_lines(text, name)
        else:
            values = list(parse(text))
            documents = documents_of(values[0] if len(values) == 1 else values, name)
    except (NoStructureError, ValueError, RecursionError) as error:
        raise PetFlowsError(
            f"{path} cannot be read as JSON ({first_line(error)}): correct or remove it."
        ) from error
    if not documents:
        raise PetFlowsError(f"{path} holds no structures: name another file.")
    rows: list[Row] = []
    for fallback, document in documents:
        if isinstance(document, Mapping):
            identifier = next((document[k] for k in MATERIAL_KEYS if is_name(document.get(k))), "")
            rows.append((str(identifier) or fallback, document))
        else:
            broken = isinstance(document, BrokenLineError)
            said = str(document) if broken else "There is no document: remove it."
            rows.append((fallback, said))
    mapped = {key: field for key, field in options.columns.items() if key not in levels}
    given = [Column.parse(key, field) for key, field in mapped.items()]
    columns = [*given, *(column for column in BENCHMARK if column.name not in options.columns)]
    yield from _read(path, rows, columns, levels, structure_of_document, options)


def _levels(options: Options) -> dict[str, str]:
    """Columns of the level of theory; without any, the one that is given must be whole."""
    levels = level_columns(options.columns)
    if "functional" not in levels.values():
        options.level_of(None)  # once for all
    return levels


def _text(path: Path, kind: str) -> str:
    try:
        refuse_disguised(path, kind, binary=False)
        return read_text(path)
    except DamagedError as error:
        raise PetFlowsError(f"{path} {error}") from error
    except DAMAGED as error:
        raise PetFlowsError(
            f"{path} cannot be read ({first_line(error)}): correct or remove it."
        ) from error


def _refuse_header(path: Path, header: list[str]) -> None:
    if not any(header):
        raise PetFlowsError(f"{path} is empty: restore it, or name another.")
    if any(ord(letter) < 32 for name in header for letter in name):
        raise PetFlowsError(f"{path} holds binary data instead of a table: restore or remove it.")
    twice = [name for name in header if name and header.count(name) > 1]
    if twice:
        raise PetFlowsError(f"{path} has two columns {quoted(twice[0])}: rename one of them.")


def _listed(header: list[str]) -> str:
    """Name the columns, as many as a sentence can hold."""
    more = f" and {len(header) - _NAMED} more" if len(header) > _NAMED else ""
    return ", ".join(f"{name:.40}" for name in header[:_NAMED]) + more


def _columns(header: list[str], mapped: Mapping[str, str]) -> tuple[dict[str, str], list[Column]]:
    """Columns that say which crystal a row is of, and those with numbers."""
    missing = [name for name in mapped if name not in header]
    if missing:
        raise PetFlowsError(
            f"The table has no column {missing[0]!r}, only {_listed(header)}: correct --map."
        )
    names = {name: name for name in CRYSTAL if name in header}
    names |= {field: name for name, field in mapped.items() if field in CRYSTAL}
    levels = level_columns(mapped)
    columns = [
        Column.parse(name, field)
        for name, field in mapped.items()
        if field not in CRYSTAL and name not in levels
    ]
    for name in header:  # those that are called as the numbers are
        if name in mapped or name in names.values():
            continue
        try:
            columns.append(Column.parse(name, name))
        except PetFlowsError:
            continue  # a column that nobody asked for
    if not columns:
        raise PetFlowsError(
            f"No column of {_listed(header)} is a number that is compared: name what they "
            "are, as with --map K=elastic.k_vrh."
        )
    return names, columns


def _read(
    path: Path,
    rows: Iterable[Row],
    columns: list[Column],
    levels: Mapping[str, str],
    structure_of: Any,
    options: Options,
) -> Iterator[Read]:
    where = {"database": str(path.resolve())}
    times: dict[str, int] = {}
    for name, row in rows:
        times[name] = times.get(name, 0) + 1
        own = name if times[name] == 1 else f"{name} ({times[name]})"
        if isinstance(row, str):
            yield Problem(own, row)
            continue
        yield from attempt(
            own, partial(_references, own, row, columns, levels, structure_of, where, options)
        )


def _references(
    name: str,
    row: Mapping[str, Any],
    columns: list[Column],
    levels: Mapping[str, str],
    structure_of: Any,
    where: Mapping[str, Any],
    options: Options,
) -> Iterator[Reference]:
    given: InputStructure = structure_of(row)
    if given.problem is not None or given.structure is None:
        raise PetFlowsError(given.problem[1] if given.problem else "It has no structure: give one.")
    structure = given.structure
    identifier = given.source.get("material_id")
    content = {"material_id": identifier} if identifier else {}
    level = options.level_of(level_of_row(row, levels))
    parameters = parameters_of(level, structure)
    for property, result in results(row, columns, len(structure)).items():
        entry, energy = None, result.get("energy_per_atom")
        if property in ("static", "relax") and energy is not None:
            entry = entry_of(structure, energy, parameters, entry_id=identifier or name)
        if property == "relax":
            result = {**result, "lattice": lattice(structure)}
        yield Found(content, name, options, origin=where).reference(
            property, result, structure, level, entry=entry
        )
