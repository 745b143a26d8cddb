"""CIF files: each block by itself, read by pymatgen after a look at what it would pass over."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from ase.data import atomic_numbers

from pet_flows.inputs.cif_check import check_block, check_tables
from pet_flows.inputs.cif_symmetry import (
    LISTED_AS,
    NOT_IN_TABLES,
    operations_of,
    symmetry_of,
)
from pet_flows.inputs.identifiers import is_name, name_of_file
from pet_flows.inputs.structure import InputStructure, failed_input, make_input, make_source
from pet_flows.inputs.text import DamagedError, first_line, quoted, read_text

_DATABASE_CODE = re.compile(r"_(?:\w+_)?database_code(?:_\w+)?|_icsd_collection_code")
_ATOMS = re.compile(r"^\s*_atom_site_", re.MULTILINE)
_SAYS_NOTHING = re.compile(
    r"(?:global|image\d*|\d{1,3}|i|untitled|vesta_phase_\d+|)", re.IGNORECASE
)
"""Block names that programs write by themselves."""


def read_cif(path: Path) -> Iterator[InputStructure]:
    """Read every block of a CIF that holds atoms.

    The identifier is a database code in the block, else the block's name, else the file's. Names
    that writers invent (the formula, ``image0``) do not count.

    Raises
    ------
    DamagedError
        If no block of it holds atoms.
    """
    blocks = _split(read_text(path))
    if not blocks:
        raise DamagedError("has no line that begins with data_, so it is no CIF: restore it.")
    with_atoms = [(name, text) for name, text in blocks if _ATOMS.search(text)]
    if not with_atoms:
        for _, text in blocks:
            check_tables(text)  # the atoms may be what was cut off
        raise DamagedError("lists no atoms (_atom_site_fract_x, ...): restore or remove it.")
    for number, (name, text) in enumerate(with_atoms):
        fallback = name_of_file(path) + (f"-{number}" if len(with_atoms) > 1 else "")
        named = is_name(name) and not (_SAYS_NOTHING.fullmatch(name) or _is_formula(name))
        source = make_source(material_id=name if named else fallback, path=path)
        where = f"Block {quoted(name)} of {path.name}"
        try:
            yield _read_block(text, name, source)
        except DamagedError as error:
            yield failed_input(source, error.reason, f"{where} {error}")
        except Exception as error:  # one block of many
            yield failed_input(source, *_explain(error, where))


def _split(text: str) -> list[tuple[str, str]]:
    """Cut a file into (name, text) of its blocks; two of one name stay two."""
    starts = [match.start(1) for match in re.finditer(r"^[ \t]*(data_)", text, re.MULTILINE)]
    texts = [text[a:b] for a, b in pairwise([*starts, len(text)])]
    names = [block.split(maxsplit=1)[0].removeprefix("data_") for block in texts]
    # Springer Materials puts diffraction patterns into blocks of their own
    return [pair for pair in zip(names, texts, strict=True) if "powder_pattern" not in pair[0]]


def _read_block(text: str, name: str, source: dict[str, Any]) -> InputStructure:
    """Read one block, refusing what pymatgen would silently leave out."""
    from pymatgen.io.cif import CifBlock, CifParser

    check_tables(text)
    block = CifBlock.from_str(text)
    data = block.data
    source["material_id"] = _database_code(data) or source["material_id"]
    without = check_block(data)
    parser = CifParser.from_str(text)
    lattice = parser.get_lattice(block)
    if lattice and (operations := operations_of(data, lattice)):
        listed = "".join(f"'{operation}'\n" for operation in operations)
        parser = CifParser.from_str(f"{text}\nloop_\n{LISTED_AS[0]}\n{listed}")
    structure = parser.parse_structures(primitive=False, on_error="raise")[0]
    unknown = symmetry_of(data)
    if unknown and any("Defaulting to P1" in warning for warning in parser.warnings):  # type: ignore[attr-defined]
        raise DamagedError(NOT_IN_TABLES.format(quoted(unknown)))
    complaint = parser.check(structure) or ""
    if complaint.startswith("Missing elements") and "from PMG structure" in complaint:
        missing = complaint.removeprefix("Missing elements ").partition(" from ")[0]
        if without:
            raise DamagedError(
                f"leaves no {missing}, because {', '.join(without[:5])} has occupancy 0: a "
                "potential needs whole atoms.",
                "partial_occupancy",
            )
        raise DamagedError(
            f"names {missing} in its formula but gives no positions for it: add the missing atoms.",
            "incomplete",
        )
    return make_input(structure, source)


def _database_code(data: Mapping[str, Any]) -> str | None:
    """Find the identifier that a database wrote into a block."""
    for key, value in data.items():
        if _DATABASE_CODE.fullmatch(key.lower()):
            text = str(value[0] if isinstance(value, list) else value).strip()
            if is_name(text) and text not in ("?", "."):
                return text
    return None


def _is_formula(name: str) -> bool:
    """Whether a name is only a chemical formula, as pymatgen names its blocks."""
    symbols = re.findall("[A-Z][a-z]?", name)
    whole = re.fullmatch(r"(?:[A-Z][a-z]?|[()\d.])+", name)
    return bool(whole) and all(symbol in atomic_numbers for symbol in symbols)


def _explain(error: Exception, where: str) -> tuple[str, str]:
    """Turn pymatgen's complaint about a block into a reason and a sentence."""
    text = str(error)
    if "exceeded tolerance" in text:
        return (
            "overlapping_atoms",
            f"{where} puts more than one whole atom on one site: mend the positions or the "
            "occupancies.",
        )
    return (
        "unreadable",
        f"{where} cannot be read as CIF ({first_line(error)}): correct or remove it.",
    )
