"""CIF files: each block by itself, refused where what it says of one crystal are two."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ase.data import atomic_numbers
from pymatgen.core import Lattice

from pet_flows.inputs.cif.agreement import find_contradiction, refuse_incomplete
from pet_flows.inputs.cif.cell import lattice_of
from pet_flows.inputs.cif.formula import (
    Amounts,
    Formula,
    compare,
    contents_of,
    formula_of,
    units_of,
)
from pet_flows.inputs.cif.magnetic import has_moments, magnetic_operations, refuse_modulated
from pet_flows.inputs.cif.operations import Operations, check_metric, listed, parse
from pet_flows.inputs.cif.sites import Table, read_table
from pet_flows.inputs.cif.structure import build_structure
from pet_flows.inputs.cif.symmetry import contradiction_of_names, operations_of
from pet_flows.inputs.cif.syntax import UNKNOWN, Block, Items, split_blocks, tables_of
from pet_flows.inputs.identifiers import is_name, name_of_file
from pet_flows.inputs.structure import InputStructure, failed_input, make_input, make_source
from pet_flows.inputs.text import DamagedError, first_line, quoted, read_text

_DATABASE_CODE = re.compile(r"_(?:\w+_)?database_code(?:_\w+)?|_icsd_collection_code")
_ATOMS = re.compile(r"_atom_site[_.]", re.IGNORECASE)
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
    # Springer Materials puts diffraction patterns into blocks of their own
    blocks = [b for b in split_blocks(read_text(path)) if "powder_pattern" not in b.name]
    if not blocks:
        raise DamagedError("has no line that begins with data_, so it is not a CIF: restore it.")
    with_atoms = [block for block in blocks if _has_atoms(block)]
    if not with_atoms:
        for block in blocks:
            tables_of(block)  # the atoms may be what was cut off
        raise DamagedError("lists no atoms (_atom_site_fract_x, ...): restore or remove it.")
    for number, block in enumerate(with_atoms):
        name = block.name
        fallback = name_of_file(path) + (f"-{number}" if len(with_atoms) > 1 else "")
        named = is_name(name) and not (_SAYS_NOTHING.fullmatch(name) or _is_formula(name))
        source = make_source(material_id=name if named else fallback, path=path)
        where = f"Block {quoted(name)} of {path.name}"
        try:
            yield _read_block(block, source)
        except DamagedError as error:
            yield failed_input(source, error.reason, f"{where} {error}")
        except Exception as error:  # one block of many
            yield failed_input(
                source,
                "unreadable",
                f"{where} cannot be read as CIF ({first_line(error)}): correct or remove it.",
            )


def _has_atoms(block: Block) -> bool:
    return any(not quoted and _ATOMS.match(token) for token, quoted in block.tokens)


def _read_block(block: Block, source: dict[str, Any]) -> InputStructure:
    """Read one block, refusing what is not all of a crystal."""
    items = tables_of(block)
    source["material_id"] = _database_code(items) or source["material_id"]
    lattice = lattice_of(items)
    refuse_modulated(items)
    formula = formula_of(items)
    operations, texts, are_listed = _operations(items, lattice)
    table = read_table(items, formula)
    structure = build_structure(lattice, table.rows, operations)
    refuse_incomplete(operations, texts, lattice, table.rows)
    dropped = list(table.dropped) + ["magnetic moments"] * has_moments(items)
    found = make_input(structure, source, dropped)
    said = None
    if are_listed and (not found.problem or found.problem[0] == "overlapping_atoms"):
        said = find_contradiction(items, lattice, table.rows, operations, structure)
    if found.problem and not said:
        return found
    contents = contents_of(structure)
    _refuse_missing_elements(formula, contents, table)
    wrong, odd = compare(formula, units_of(items), contents) if formula else (None, None)
    if said:
        # where the formula, too, knows how many atoms there are, it is the name that is wrong
        if found.problem or wrong or odd or not (formula and units_of(items)):
            raise DamagedError(
                f"names the space group {said.named}, but lists {said.listed}, and the two make "
                "different crystals: list all operations, or correct the name."
            )
        odd = f"the space group that is named ({said.named}; listed are {said.listed})"
    if wrong:
        where = f", because {', '.join(table.empty)} has occupancy 0" if table.empty else ""
        raise DamagedError(
            f"holds {wrong}{where}: add the atoms that are missing, or correct the formula.",
            "partial_occupancy" if table.empty else "incomplete",
        )
    notes = [odd] if odd else []
    if not are_listed and (other := contradiction_of_names(items)):
        notes.append(other)
    notes += _bare_atoms(table, contents, agrees=bool(formula) and not odd)
    return replace(found, dropped=[*found.dropped, *notes])


def _operations(items: Items, lattice: Lattice) -> tuple[Operations, tuple[str, ...], bool]:
    """Give a block's operations, also as written, and whether it lists those of a space group."""
    if magnetic := magnetic_operations(items):
        check_metric(*magnetic, lattice)
        return *magnetic, False
    if texts := listed(items):
        check_metric(parse(texts), texts, lattice)
        return parse(texts), texts, True
    texts = operations_of(items, lattice)
    return parse(texts), texts, False


def _refuse_missing_elements(formula: Formula | None, contents: Amounts, table: Table) -> None:
    """Refuse a cell that lacks an element of its formula, or of its atoms with occupancy 0."""
    wanted = formula.amounts if formula else table.empty.values()
    missing = ", ".join(sorted(set(wanted) - set(contents)))
    if not missing:
        return
    if table.empty:
        raise DamagedError(
            f"leaves no {missing}, because {', '.join(list(table.empty)[:5])} has occupancy 0: "
            "correct the occupancies, because a potential needs whole atoms.",
            "partial_occupancy",
        )
    raise DamagedError(
        f"names {missing} in its formula but gives no positions for it: add the missing atoms.",
        "incomplete",
    )


def _bare_atoms(table: Table, contents: Amounts, *, agrees: bool) -> list[str]:
    """Refuse hydroxide, water and the like without the atoms that belong to it.

    Where the cell agrees with its formula, a label alone (OH) is only worth a note.
    """
    notes = []
    for label, others in table.bare.items():
        attached = label in table.attached
        if set(others) <= set(contents) and (agrees or not attached):
            continue
        which = f"{len(others)} {others[0]}"
        if agrees and not attached:
            notes.append(f"the {which} that the label {label} tells of")
            continue
        why = " (_atom_site_attached_hydrogens)" if attached else ""
        raise DamagedError(
            f"gives a position for {label}, but none for its {which}{why}: add the missing atoms.",
            "incomplete",
        )
    return notes


def _database_code(items: Items) -> str | None:
    """Find the identifier that a database wrote into a block."""
    for key, values in items.items():
        if _DATABASE_CODE.fullmatch(key) and is_name(values[0]) and values[0] not in UNKNOWN:
            return values[0]
    return None


def _is_formula(name: str) -> bool:
    """Whether a name is only a chemical formula, as pymatgen names its blocks."""
    symbols = re.findall("[A-Z][a-z]?", name)
    whole = re.fullmatch(r"(?:[A-Z][a-z]?|[()\d.])+", name)
    return bool(whole) and all(symbol in atomic_numbers for symbol in symbols)
