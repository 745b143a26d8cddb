"""Readers of structure files: each takes one file and yields its structures with identifiers."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from pet_flows.inputs.clean import structure_from_atoms
from pet_flows.inputs.identifiers import material_id_of, name_of_file, tags_of, task_id_of
from pet_flows.inputs.structure import InputStructure, failed_input, make_input, make_source

PACKED: dict[str, Callable[..., IO[Any]]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}
"""How a file with such an ending is opened."""

_DATABASE_CODE = re.compile(r"_(?:\w+_)?database_code(?:_\w+)?|_icsd_collection_code")
_SAYS_NOTHING = re.compile(
    r"(?:global|image\d*|\d{1,3}|i|untitled|vesta_phase_\d+|)", re.IGNORECASE
)
"""Block names that programs write by themselves."""


def unpack(path: Path) -> IO[bytes]:
    """Open a file, compressed or not, to read the bytes that were meant."""
    return PACKED.get(path.suffix, open)(path, "rb")


def read_text(path: Path) -> str:
    """Read a text file, compressed or not; bytes that are no UTF-8 become '�'."""
    with unpack(path) as file:
        return file.read().decode("utf-8", errors="replace")


def read_cif(path: Path) -> Iterator[InputStructure]:
    """Read every block of a CIF that holds atoms.

    The identifier is a database code in the block, else the block's name, else the file's. Names
    that writers invent (the formula, ``image0``) do not count.
    """
    from pymatgen.io.cif import CifFile

    text = read_text(path)
    blocks = CifFile.from_str(text).data
    with_atoms = {
        name: block
        for name, block in blocks.items()
        if any(key.startswith("_atom_site_") for key in block.data)
    }
    if not with_atoms:
        raise ValueError("no block of it lists atoms")
    for number, (name, block) in enumerate(with_atoms.items()):
        fallback = name_of_file(path) + (f"-{number}" if len(with_atoms) > 1 else "")
        named = None if _SAYS_NOTHING.fullmatch(name) or _is_formula(name) else name
        identifier = _database_code(block.data) or named or fallback
        source = make_source(material_id=identifier, path=path)
        try:
            yield _read_cif_block(str(block), name, source)
        except Exception as error:  # one block of many
            yield failed_input(source, *_explain_cif(error, name))


def _read_cif_block(text: str, name: str, source: dict[str, Any]) -> InputStructure:
    """Read one block, refusing what pymatgen would silently leave out."""
    from pymatgen.io.cif import CifParser

    parser = CifParser.from_str(text)
    structure = parser.parse_structures(primitive=False, on_error="raise")[0]
    complaint = parser.check(structure) or ""
    if complaint.startswith("Missing elements") and "from PMG structure" in complaint:
        missing = complaint.removeprefix("Missing elements ").partition(" from ")[0]
        return failed_input(
            source,
            "incomplete",
            f"Block {name!r} names {missing} in its formula but gives no positions for it: add "
            "the missing atoms.",
        )
    return make_input(structure, source)


def _database_code(data: Mapping[str, Any]) -> str | None:
    """Find the identifier that a database wrote into a block."""
    for key, value in data.items():
        if _DATABASE_CODE.fullmatch(key.lower()):
            text = str(value[0] if isinstance(value, list) else value).strip()
            if text not in ("", "?", "."):
                return text
    return None


def _is_formula(name: str) -> bool:
    """Whether a name is only a chemical formula, as pymatgen names its blocks."""
    symbols = re.findall("[A-Z][a-z]?", name)
    whole = re.fullmatch(r"(?:[A-Z][a-z]?|[()\d.])+", name)
    return bool(whole) and all(symbol in atomic_numbers for symbol in symbols)


def _explain_cif(error: Exception, name: str) -> tuple[str, str]:
    """Turn pymatgen's complaint about a block into a reason and a sentence."""
    text = str(error)
    if "exceeded tolerance" in text:
        return (
            "overlapping_atoms",
            f"Block {name!r} puts more than one whole atom on one site: mend the positions or the "
            "occupancies.",
        )
    detail = text.splitlines()[-1] if text else type(error).__name__
    return "unreadable", f"Block {name!r} cannot be read as CIF ({detail}): correct or remove it."


def read_poscar(path: Path) -> Iterator[InputStructure]:
    """Read a POSCAR; one without element symbols is refused, never guessed."""
    from pymatgen.io.vasp.inputs import Poscar

    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*cannot be determined.*")
        try:
            poscar = Poscar.from_str(read_text(path))
        except Warning as warning:
            if "cannot be determined" not in str(warning):
                raise
            raise ValueError("it names no elements; add the line of symbols of VASP 5") from None
    yield make_input(poscar.structure, make_source(material_id=name_of_file(path), path=path))


def read_extxyz(path: Path) -> Iterator[InputStructure]:
    """Read every frame; ``material_id`` (or ``id``), ``task_id`` and ``tags`` from its comment."""
    from ase.io.extxyz import read_xyz

    frames, leftover = _split_frames(read_text(path).splitlines())
    for number, frame in enumerate(frames):
        name = name_of_file(path) + (f"-{number}" if len(frames) > 1 or leftover else "")
        try:
            (atoms,) = read_xyz(io.StringIO(frame), index=slice(None))
        except Exception as error:  # one frame of many
            detail = str(error) or type(error).__name__
            yield failed_input(
                make_source(material_id=name, path=path),
                "unreadable",
                f"Frame {number} (from 0) cannot be read as extended XYZ ({detail}).",
            )
        else:
            yield _from_atoms(atoms, atoms.info, name, path)
    if leftover:
        name = name_of_file(path) + (f"-{len(frames)}" if frames else "")
        yield failed_input(make_source(material_id=name, path=path), "unreadable", leftover)


def _split_frames(lines: list[str]) -> tuple[list[str], str | None]:
    """Cut an XYZ file into frames; also say what is wrong with the rest, if anything is."""
    frames: list[str] = []
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        try:
            n_atoms = int(lines[at])
        except ValueError:
            return (
                frames,
                f"Line {at + 1} should be a number of atoms, but says {lines[at][:40]!r}.",
            )
        if at + 2 + n_atoms > len(lines):
            missing = at + 2 + n_atoms - len(lines)
            return frames, f"The frame at line {at + 1} lacks its last {missing} lines."
        frames.append("\n".join(lines[at : at + 2 + n_atoms]) + "\n")
        at += 2 + n_atoms
    return frames, None


def read_ase_database(path: Path) -> Iterator[InputStructure]:
    """Read every row of an ASE database (SQLite ``.db``, or ASE's ``.json``).

    ``material_id`` and ``task_id`` are taken from the key-value pairs; tags from the pair ``tags``
    (commas) or the row's ``data``.
    """
    import ase.db

    with tempfile.TemporaryDirectory() as scratch:
        readable = path
        if path.suffix in PACKED:  # SQLite needs a real file
            readable = Path(scratch) / path.stem
            with unpack(path) as packed, readable.open("wb") as plain:
                shutil.copyfileobj(packed, plain)
        kind = "db" if readable.suffix == ".db" else "json"
        for row in ase.db.connect(readable, type=kind, use_lock_file=False).select():
            pairs = {**row.get("data", {}), **row.key_value_pairs}
            yield _from_atoms(row.toatoms(), pairs, f"{name_of_file(path)}-{row.id}", path)


def read_ase_trajectory(path: Path) -> Iterator[InputStructure]:
    """Read every frame of an ASE trajectory (``.traj``)."""
    from ase.io import Trajectory

    with Trajectory(path) as trajectory:
        for number, atoms in enumerate(trajectory):
            name = name_of_file(path) + (f"-{number}" if len(trajectory) > 1 else "")
            yield _from_atoms(atoms, atoms.info, name, path)


def _from_atoms(
    atoms: Atoms, known: Mapping[str, Any], name: str, path: Path | None
) -> InputStructure:
    """Make an input of ASE's atoms; ``name`` serves where ``known`` holds no identifier."""
    known = {
        key: value.item() if isinstance(value, np.generic) else value
        for key, value in known.items()
    }
    source = make_source(
        material_id=material_id_of(known) or name,
        task_id=task_id_of(known),
        path=path,
        tags=tags_of(known),
    )
    structure, dropped = structure_from_atoms(atoms)
    if structure is None:
        return failed_input(
            source,
            "no_lattice",
            "It has no three lattice vectors: only crystals are computed; give it a cell.",
        )
    return make_input(structure, source, dropped)
