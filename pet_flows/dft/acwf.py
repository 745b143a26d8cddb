"""All-electron PBE equations of state of the elements in sc, bcc, fcc and diamond.

Source: E. Bosoni et al., Nat. Rev. Phys. 6, 45 (2024), the averages of FLEUR and WIEN2k; scalar
relativistic, without spin polarization (also for Fe, Co, Ni, Cr, Mn, O). Data licence MIT.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from pet_flows.dft.reference import LevelOfTheory, Origin, Reference
from pet_flows.inputs.prototypes import build_prototype

NAMES = ("v0_per_atom", "b0", "b0_prime")
"""Å³ per atom, GPa, no unit: what an ``eos`` reference here has in its result."""

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


def references(elements: Iterable[str] | None = None) -> tuple[Reference, ...]:
    """One ``eos`` reference for each crystal of these elements; of all 96 without any."""
    wanted = None if elements is None else set(elements)
    return tuple(
        _reference(element, prototype)
        for element, prototype in crystals()
        if wanted is None or element in wanted
    )


def find(element: str, prototype: str) -> Reference | None:
    """Look up one crystal.

    Parameters
    ----------
    element
        Symbol.
    prototype
        ``sc``, ``bcc``, ``fcc`` or ``diamond``.
    """
    return _reference(element, prototype) if (element, prototype) in _rows() else None


def crystals() -> list[tuple[str, str]]:
    """Element and structure of the crystals there are, by element, then by structure."""
    return list(_rows())


@cache
def _table() -> Mapping[str, Any]:
    text = (files("pet_flows.dft") / "data" / "acwf_unaries_pbe.json").read_text("utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


@cache
def _rows() -> Mapping[tuple[str, str], tuple[float, ...]]:
    return {(element, prototype): tuple(values) for element, prototype, *values in _table()["rows"]}


@cache
def _reference(element: str, prototype: str) -> Reference:
    """The primitive cell at the volume of the minimum, with the numbers of the fit."""
    table = _table()
    values = dict(zip(NAMES, _rows()[element, prototype], strict=True))
    structure = build_prototype(element, prototype)
    structure.scale_lattice(values["v0_per_atom"] * len(structure))
    source = {name: table[name] for name in ("citation", "doi", "licence")}
    return Reference(
        property="eos",
        result=values,
        structure=structure,
        level=LevelOfTheory(**table["level"]),
        source=Origin(
            name=f"{element}-{prototype}", database="acwf", collection="unaries-pbe", **source
        ),
    )
