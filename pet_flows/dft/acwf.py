"""All-electron PBE equations of state of the elements in sc, bcc, fcc and diamond.

Source: E. Bosoni et al., Nat. Rev. Phys. 6, 45 (2024), the averages of FLEUR and WIEN2k; scalar
relativistic, without spin polarization (also for Fe, Co, Ni, Cr, Mn, O). Data licence MIT.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from pet_flows.dft.quantity import Crystal, LevelOfTheory, Reference

PROPERTIES = ("v0_per_atom", "b0", "b0_prime")
"""Å³ per atom, GPa, no unit; named as in the result of an ``eos`` record."""

GROUND_STATES = MappingProxyType(
    {
        "Li": "bcc",
        "Si": "diamond",
        "Ni": "fcc",
        "Cu": "fcc",
        "Ge": "diamond",
        "Nb": "bcc",
        "Mo": "bcc",
        "Ta": "bcc",
        "W": "bcc",
    }
)
"""The stable phase of an element at ambient pressure, as observed and as taken for the ground
state by the PBE sets that the bundled model was trained on (Zuo et al., J. Phys. Chem. A 124, 731,
2020; Li et al., npj Comput. Mater. 6, 70, 2020). Lithium is bcc at room temperature; below 100 K
closer packings win by about 1 meV/atom, within PBE's own uncertainty."""


@cache
def references() -> tuple[Reference, ...]:
    """List all values, 96 elements in four structures, three properties each."""
    text = (files("pet_flows.dft") / "data" / "acwf_unaries_pbe.json").read_text("utf-8")
    table = json.loads(text)
    level = LevelOfTheory(**table["level"])
    found = []
    for element, prototype, *values in table["rows"]:
        crystal = Crystal(element=element, prototype=prototype)
        for name, value in zip(PROPERTIES, values, strict=True):
            found.append(
                Reference(
                    id=f"acwf-pbe/{element}-{prototype}/{name}",
                    property=name,
                    value=value,
                    unit=table["units"][name],
                    crystal=crystal,
                    level=level,
                    citation=table["citation"],
                    doi=table["doi"],
                    licence=table["licence"],
                )
            )
    return tuple(found)


def find(element: str, prototype: str, name: str) -> Reference | None:
    """Look up one value.

    Parameters
    ----------
    element
        Symbol.
    prototype
        ``sc``, ``bcc``, ``fcc`` or ``diamond``.
    name
        Of `PROPERTIES`.
    """
    return _index().get((element, prototype, name))


def crystals() -> list[Crystal]:
    """List the crystals that have values, by element, then by structure."""
    return list(dict.fromkeys(reference.crystal for reference in references()))


@cache
def _index() -> dict[tuple[str, str, str], Reference]:
    return {(r.crystal.element, r.crystal.prototype, r.property): r for r in references()}
