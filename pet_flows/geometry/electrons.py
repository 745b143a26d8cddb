"""Charge and spin of a structure: what a model may be told besides where its atoms are.

They travel in ``Atoms.info`` under the names that metatomic has, ``charge`` and
``spin_multiplicity`` (2S + 1; ``spin`` means the same, as in OMol25). Both are of the whole cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pet_flows.errors import StructureError

#: what is meant where nothing is said: a neutral singlet
NEUTRAL = {"charge": 0, "spin_multiplicity": 1}
#: names under which a structure may say each
_NAMES = {"charge": ("charge",), "spin_multiplicity": ("spin_multiplicity", "spin")}
#: all of these
SAID = tuple(name for names in _NAMES.values() for name in names)
#: size beyond which a number is no charge and no multiplicity of a cell that can be computed
LARGEST = 10**6


def electrons_of(info: Mapping[str, Any]) -> dict[str, int]:
    """Charge (e) and spin multiplicity of ``Atoms.info``.

    Raises
    ------
    StructureError
        ``bad_electrons``: one of them is no whole number, or larger than any cell's, or the
        multiplicity is below 1.
    """
    if not info:  # which most say nothing in
        return dict(NEUTRAL)
    found = {}
    for name, usual in NEUTRAL.items():
        said = next((one for one in _NAMES[name] if info.get(one) is not None), None)
        given = usual if said is None else info[said]
        least = -LARGEST if name == "charge" else 1
        try:
            value = float(given)
            sound = value == int(value) and least <= value <= LARGEST
        except (TypeError, ValueError, OverflowError):
            sound = False
        if not sound:
            raise StructureError(
                "bad_electrons",
                f"{said} must be a whole number from {least} to {LARGEST} (got {given}): correct "
                "what the structure says, or leave it out.",
            )
        found[name] = int(value)
    return found


def told(info: Mapping[str, Any]) -> dict[str, int]:
    """Only what differs from a neutral singlet; nothing of what cannot be understood."""
    if not info:
        return {}
    try:
        found = electrons_of(info)
    except StructureError:
        return {}
    return {name: value for name, value in found.items() if value != NEUTRAL[name]}


def described(electrons: Mapping[str, int]) -> str:
    """What a person is told of a charge and spin."""
    both = {**NEUTRAL, **electrons}
    return f"charge {both['charge']:+d}, spin multiplicity {both['spin_multiplicity']}"


def refuse_in_supercells(info: Mapping[str, Any], what: str) -> None:
    """Refuse what needs supercells of a cell that is charged or has spin.

    A model takes the charge and spin of all that it is shown. Those of a supercell would be
    multiples, which no energy by atom is independent of, and soon outside of what it knows.

    Parameters
    ----------
    info
        ``Atoms.info`` of the cell.
    what
        What needs them, as the subject of a sentence.

    Raises
    ------
    StructureError
        ``charged_supercell``.
    """
    if electrons := told(info):
        raise StructureError(
            "charged_supercell",
            f"{what} needs other cells of a crystal than the one that has {described(electrons)}, "
            "and for a model that takes these their energies would not agree: leave charge and "
            "spin out, or use a model without.",
        )
