"""Magnetic CIFs: their operations, of which only what they do to positions counts here."""

from __future__ import annotations

import re

import numpy as np

from pet_flows.inputs.cif.operations import Operations, parse
from pet_flows.inputs.cif.syntax import UNKNOWN, Items
from pet_flows.inputs.text import DamagedError, quoted

_OPERATIONS = "_space_group_symop_magn_operation_xyz"
_CENTRINGS = "_space_group_symop_magn_centering_xyz"
_NAME, _NUMBER = "_space_group_magn_name_bns", "_space_group_magn_number_bns"
_TRANSFORMS = (
    "_space_group_magn_transform_bns_pp_abc",
    "_magnetic_space_group_transform_to_standard_pp_abc",
)
_MOMENTS = tuple(f"_atom_site_moment_crystalaxis_{x}" for x in "xyz")
_MODULATED = ("_cell_modulation_dimension", "_cell_wave_vector")
_WITH_TIME = re.compile(r"([^,]*,[^,]*,[^,]*),\s*[+-]?1\s*")


def refuse_modulated(items: Items) -> None:
    """Refuse a block whose atoms are displaced by a wave, which no list of positions holds."""
    for key, values in items.items():
        if key.startswith(_MODULATED) and values[0] not in (*UNKNOWN, "0"):
            raise DamagedError(
                f"describes a modulated structure ({key}), of which its atoms are only the mean: "
                "give a commensurate approximant."
            )


def has_moments(items: Items) -> bool:
    """Whether a block gives magnetic moments that are not zero."""
    said = [value for key in _MOMENTS for value in items.get(key, [])]
    return any(value not in UNKNOWN and re.search("[1-9]", value) for value in said)


def magnetic_operations(items: Items) -> tuple[Operations, tuple[str, ...]] | None:
    """Give the operations of a magnetic space group, and how they are written.

    They are those that a block lists, times its centrings, or else those of the group that it
    names (BNS). None where it does neither.

    Raises
    ------
    DamagedError
        A listed operation is none, or the group is not known.
    """
    texts = _without_time(items, _OPERATIONS)
    if texts:
        operations = parse(texts)
        centrings = parse(_without_time(items, _CENTRINGS) or ("x,y,z",))
        rotations = np.repeat(operations.rotations, len(centrings), axis=0)
        translations = operations.translations[:, None] + centrings.translations[None]
        translations = translations.reshape(-1, 3)
        both = Operations(rotations, translations - np.floor(translations))
        return both, tuple(np.repeat(texts, len(centrings)))
    named = _said(items, _NAME) or _said(items, _NUMBER)
    if named is None:
        return None
    return _of_group(items, named)


def _of_group(items: Items, named: str) -> tuple[Operations, tuple[str, ...]]:
    from pymatgen.symmetry.maggroups import MagneticSpaceGroup

    number = _said(items, _NUMBER) or ""
    label = _said(items, _NAME) or [int(part) for part in number.split(".") if part.isdecimal()]
    transform = next((said for key in _TRANSFORMS if (said := _said(items, key))), "a,b,c;0,0,0")
    try:
        found = MagneticSpaceGroup(label, transform).symmetry_ops
    except Exception:  # whatever its table raises
        raise DamagedError(
            f"names the magnetic space group {quoted(named)}, which is in no table of ours, and "
            f"lists no operations: list them ({_OPERATIONS})."
        ) from None
    rotations = np.array([operation.rotation_matrix for operation in found])
    translations = np.array([operation.translation_vector for operation in found])
    texts = tuple(operation.as_xyzt_str() for operation in found)
    return Operations(rotations, translations - np.floor(translations)), texts


def _without_time(items: Items, key: str) -> tuple[str, ...]:
    """Give listed operations without their reversal of time."""
    found = []
    for text in items.get(key, []):
        if text in UNKNOWN:
            continue
        match = _WITH_TIME.fullmatch(text)
        if not match:
            raise DamagedError(f"lists {quoted(text)} among its symmetry operations: correct it.")
        found.append(match[1])
    return tuple(found)


def _said(items: Items, key: str) -> str | None:
    value = items.get(key, ["?"])[0]
    return None if value in UNKNOWN else value
