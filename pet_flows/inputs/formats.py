"""Readers of ASE's files: each takes one file and yields its structures with identifiers."""

from __future__ import annotations

import io
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from pet_flows.geometry.electrons import SAID
from pet_flows.inputs.clean import structure_from_atoms
from pet_flows.inputs.identifiers import material_id_of, name_of_file, tags_of, task_id_of
from pet_flows.inputs.structure import InputStructure, failed_input, make_input, make_source
from pet_flows.inputs.text import PACKED, first_line, quoted, read_text, unpack


def read_extxyz(path: Path) -> Iterator[InputStructure]:
    """Read every frame; ``material_id`` (or ``id``), ``task_id`` and ``tags`` from its comment."""
    for name, frame in extxyz_frames(path):
        if isinstance(frame, str):
            yield failed_input(make_source(material_id=name, path=path), "unreadable", frame)
        else:
            yield _from_atoms(frame, frame.info, name, path)


def extxyz_frames(path: Path) -> Iterator[tuple[str, Atoms | str]]:
    """Give the name of each frame with its atoms, or with the sentence why it cannot be read."""
    from ase.io.extxyz import read_xyz

    frames, leftover = _split_frames(read_text(path).splitlines())
    for number, frame in enumerate(frames):
        name = name_of_file(path) + (f"-{number}" if len(frames) > 1 or leftover else "")
        try:
            if leftover and number == len(frames) - 1 and frame.endswith(_GOES_ON):
                raise ValueError("it has not as many lines as the number it begins with")
            if _MANY_COLUMNS.search(frame.split("\n", 2)[1]):
                raise ValueError("Properties= names more columns than a line can have")
            (atoms,) = read_xyz(io.StringIO(frame), index=slice(None))
        except Exception as error:  # one frame of many
            yield (
                name,
                f"Frame {number} (from 0) of {path.name} cannot be read as extended XYZ "
                f"({_explain(error)}): correct or remove it.",
            )
        else:
            yield name, atoms
    if leftover:
        name = name_of_file(path) + (f"-{len(frames)}" if frames else "")
        yield name, f"{path.name}: {leftover}"


_MANY_COLUMNS = re.compile(r"Properties=\S*:\s*\d{5}", re.IGNORECASE)
"""ASE counts them one by one, up to any number."""

_GOES_ON = "\n\n"
"""End of a frame after which no next one begins: its number of atoms is not to be trusted."""


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
            n_atoms = -1
        if n_atoms < 0:
            if frames:
                frames[-1] += "\n"
            said = quoted(lines[at].strip())
            return (
                frames,
                f"line {at + 1} should be a number of atoms, but says {said}: correct it.",
            )
        if at + 2 + n_atoms > len(lines):
            missing = at + 2 + n_atoms - len(lines)
            return (
                frames,
                f"the frame at line {at + 1} lacks its last {missing} lines: it was cut off, or "
                "its number of atoms is wrong.",
            )
        frames.append("\n".join(lines[at : at + 2 + n_atoms]) + "\n")
        at += 2 + n_atoms
    return frames, None


def _explain(error: Exception) -> str:
    """Say what ASE's reader of extended XYZ stumbled over."""
    text = str(error) or type(error).__name__
    if isinstance(error, KeyError):
        return f"{quoted(str(error.args[0]))} is not an element"
    if "could not assign tuple" in text:
        return "a line has not as many columns as Properties= names"
    if said := re.search("could not convert string to float: '(.*)", text):
        return f"{quoted(said[1][:-1])} stands where a number should"
    if "invalid literal for int()" in text:
        return "Properties= must name the columns as name:type:number, as species:S:1:pos:R:3 does"
    if "expecting special 3x3 matrix" in text:
        return 'Lattice="..." must hold nine numbers'
    return first_line(error)


def read_ase_database(path: Path) -> Iterator[InputStructure]:
    """Read every row of an ASE database (SQLite ``.db``, or ASE's ``.json``).

    ``material_id`` and ``task_id`` are taken from the key-value pairs; tags from the pair ``tags``
    (commas) or the row's ``data``; charge and spin from the pairs, unless they are no
    numbers, or a spin below 1, which is a flag of somebody's and no multiplicity.
    """
    for name, row in database_rows(path):
        atoms, pairs = row.toatoms(), pairs_of(row)
        for said in (said for said in SAID if said in row.key_value_pairs):
            value = pairs[said]
            if isinstance(value, int | float) and (said == "charge" or value >= 1):
                atoms.info[said] = value
        yield _from_atoms(atoms, pairs, name, path)


def database_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """Give the name of each row of an ASE database with ASE's ``AtomsRow``."""
    import ase.db

    with tempfile.TemporaryDirectory() as scratch:
        readable = path
        if path.suffix in PACKED:  # SQLite needs a real file
            readable = Path(scratch) / path.stem
            with unpack(path) as packed, readable.open("wb") as plain:
                shutil.copyfileobj(packed, plain)
        kind = "db" if readable.suffix == ".db" else "json"
        for row in ase.db.connect(readable, type=kind, use_lock_file=False).select():
            yield f"{name_of_file(path)}-{row.id}", row


def pairs_of(row: Any) -> dict[str, Any]:
    """Give what a row of an ASE database says besides its atoms."""
    # a pair called charge hides behind the row's own, which is the sum over its sites
    pairs = {name: vars(row).get(name, value) for name, value in row.key_value_pairs.items()}
    return {**row.get("data", {}), **pairs}


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
            "It does not have three lattice vectors: give it a cell, because only crystals are "
            "computed.",
        )
    return make_input(structure, source, dropped)
