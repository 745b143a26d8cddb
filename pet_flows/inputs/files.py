"""Which files hold structures, and reading one so that nothing it holds can stop a campaign."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from pet_flows.inputs.cif.reader import read_cif
from pet_flows.inputs.datasets import read_json
from pet_flows.inputs.documents import NoStructureError
from pet_flows.inputs.formats import read_ase_database, read_ase_trajectory, read_extxyz
from pet_flows.inputs.identifiers import bare_name, name_of_file
from pet_flows.inputs.poscar import read_poscar
from pet_flows.inputs.structure import InputStructure, failed_input, make_source
from pet_flows.inputs.text import PACKED, DamagedError, first_line, refuse_disguised, unpack

Reader = Callable[[Path], Iterator[InputStructure]]

READERS: dict[str, tuple[str, Reader]] = {
    ".cif": ("CIF", read_cif),
    ".mcif": ("CIF", read_cif),
    ".vasp": ("POSCAR", read_poscar),
    ".poscar": ("POSCAR", read_poscar),
    ".contcar": ("POSCAR", read_poscar),
    ".xyz": ("extended XYZ", read_extxyz),
    ".extxyz": ("extended XYZ", read_extxyz),
    ".db": ("ASE database", read_ase_database),
    ".traj": ("ASE trajectory", read_ase_trajectory),
    ".json": ("JSON", read_json),
    ".jsonl": ("JSON", read_json),
    ".ndjson": ("JSON", read_json),
}
"""Ending of the file's name → what it is called and who reads it."""

_POSCAR = re.compile(r"(?:POSCAR|CONTCAR)(?:[._-].*)?", re.IGNORECASE)
_BINARY = ("ASE database", "ASE trajectory")
_SQLITE = b"SQLite format 3\x00"


def reader_of(path: Path) -> tuple[str, Reader] | None:
    """Find the reader of a file by its name (``.gz``, ``.bz2``, ``.xz`` do not count)."""
    name = bare_name(path)
    known = READERS.get(Path(name).suffix.lower())
    if known is None and _POSCAR.fullmatch(name):
        return "POSCAR", read_poscar
    return known


def read_file(
    path: Path, *, chosen: bool = True, structure_path: str | None = None
) -> list[InputStructure]:
    """Read all structures of one file; whatever is wrong with it becomes a ``problem``.

    Parameters
    ----------
    path
        An existing file.
    chosen
        Whether the user named this file. Of a folder's files those are passed over that are
        sound but hold no structure (settings in JSON, other programs' databases).
    structure_path
        Where documents in JSON hold their structure, keys joined by dots; by default wherever
        there is one.
    """
    source = make_source(material_id=name_of_file(path), path=path)
    known = reader_of(path)
    if known is None:
        if not chosen:
            return []
        message = f"{path} is of no known kind: name it after one of {', '.join(READERS)}, POSCAR."
        return [failed_input(source, "unknown_format", message)]
    kind, reader = known
    found: list[InputStructure] = []
    try:
        refuse_disguised(path, kind, binary=kind in _BINARY)
        if _is_blank(path):
            return [failed_input(source, "empty_file", f"{path} is empty: restore or remove it.")]
        if kind == "ASE database" and not is_ase_database(path):
            # ASE would add its tables to it
            raise NoStructureError("it is the database of another program")
        with warnings.catch_warnings():
            # pymatgen warns of what is decided here: rounding, occupancies, missing symbols
            warnings.simplefilter("ignore")
            for item in read_json(path, structure_path) if kind == "JSON" else reader(path):
                found.append(item)
    except NoStructureError as error:
        if chosen:
            found.append(
                failed_input(source, "no_structure", f"{path}: {error}; name another file.")
            )
        return found
    except DamagedError as error:
        return [*found, failed_input(source, error.reason, f"{path} {error}")]
    except Exception as error:  # parsers raise anything when a file is damaged
        detail = first_line(error)
        message = f"{path} cannot be read as {kind} ({detail}): correct or remove it."
        return [*found, failed_input(source, "unreadable", message)]
    if not found:
        found.append(
            failed_input(source, "empty_file", f"{path} holds no structure: restore or remove it.")
        )
    return found


def files_in(folder: Path) -> list[Path]:
    """List the files below a folder that structures are read from, in the order of their names.

    Hidden files and folders are left out, and links to folders of the same tree: what they hold
    is listed where it is. Links to files count like files, also those whose file is not there.
    """
    return sorted(_walk(folder, Path(os.path.realpath(folder)), ()))


def _walk(folder: Path, tree: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """Find structure files below a folder; ``above`` are the real folders that led to it."""
    real = Path(os.path.realpath(folder))
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
    except PermissionError:  # of another user, as os.walk passes them over
        return
    for entry in shown:
        path = folder / entry.name
        if not path.is_dir():  # unlike the entry, the path says so of a link to itself, too
            if reader_of(path) and (path.is_file() or entry.is_symlink()):
                yield path
            continue
        if entry.is_symlink():
            target = Path(os.path.realpath(path))
            if target.is_relative_to(tree) or any(
                other.is_relative_to(target) for other in (*above, real)
            ):
                continue
        yield from _walk(path, tree, (*above, real))


def _is_blank(path: Path) -> bool:
    """Whether a file holds nothing but white space."""
    with unpack(path) as file:
        while chunk := file.read(65536):
            if chunk.strip():
                return False
    return True


def is_ase_database(path: Path) -> bool:
    """Whether an SQLite file is ASE's; any other file is left to the reader to refuse."""
    import sqlite3

    with unpack(path) as file:
        if path.suffix in PACKED or file.read(len(_SQLITE)) != _SQLITE:
            return True
    with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE name = 'systems'")
        return found.fetchone() is not None
