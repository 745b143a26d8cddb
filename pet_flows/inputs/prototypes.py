"""Elements in simple crystal structures, at a volume guessed from experiment alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from ase.build import bulk
from ase.data import atomic_numbers, covalent_radii, reference_states
from pymatgen.core import Element, Lattice, Structure

from pet_flows.errors import PetFlowsError
from pet_flows.inputs.structure import InputStructure, make_input, make_source

PROTOTYPES = ("sc", "bcc", "fcc", "hcp", "diamond")

ATOMS_PER_CUBE = {"sc": 1, "bcc": 2, "fcc": 4, "hcp": 4, "diamond": 8}
"""Atoms in a³; for hcp that of the fcc crystal with the same distance between neighbours."""

_RATIOS = {
    True: {"sc": 1.12, "bcc": 0.98, "fcc": 1.0, "hcp": 1.0, "diamond": 1.47},
    False: {"sc": 1.06, "bcc": 1.0, "fcc": 1.0, "hcp": 1.0, "diamond": 1.30},
}
"""Volume per atom relative to the close-packed one: of d and f elements, of s and p elements."""


def build_prototypes(
    elements: Sequence[str], prototypes: Sequence[str] = PROTOTYPES
) -> list[InputStructure]:
    """Build the primitive cell of each element in each prototype.

    Parameters
    ----------
    elements
        Symbols, in the order wanted.
    prototypes
        Of `PROTOTYPES`.

    Returns
    -------
    list of InputStructure
        With ``material_id`` such as ``Si-diamond`` and tags ``prototype:diamond``,
        ``element:Si``.

    Raises
    ------
    PetFlowsError
        For a name that is no element, and for an element whose size is not known.
    """
    if not elements:
        raise PetFlowsError("No element was named after 'prototypes:': write prototypes:Li,Si.")
    unknown = [name for name in prototypes if name not in PROTOTYPES]
    if unknown:
        raise PetFlowsError(
            f"There is no prototype {unknown[0]!r}: choose from {', '.join(PROTOTYPES)}."
        )
    return [
        make_input(
            build_prototype(element, prototype),
            make_source(
                material_id=f"{element}-{prototype}",
                tags=[f"prototype:{prototype}", f"element:{element}"],
            ),
        )
        for element in elements
        for prototype in prototypes
    ]


def build_prototype(element: str, prototype: str) -> Structure:
    """Build one primitive cell; hcp with the ideal c/a = √(8/3)."""
    a = (guess_volume(element, prototype) * ATOMS_PER_CUBE[prototype]) ** (1 / 3)
    if prototype == "hcp":
        a /= 2**0.5  # the distance between neighbours in the fcc crystal of this volume
        atoms = bulk(element, "hcp", a=a, c=a * (8 / 3) ** 0.5)
    else:
        atoms = bulk(element, prototype, a=a)
    return Structure(Lattice(atoms.cell.array), atoms.symbols, atoms.get_scaled_positions())


def guess_volume(element: str, prototype: str) -> float:
    """Guess the volume per atom at which a relaxation can sensibly start.

    The element's experimental crystal gives its volume (lattice constants in `ase.data`); volumes
    of the other structures follow from it with fixed ratios, one set for d and f elements and one
    for s and p elements (with fewer neighbours, atoms come closer but leave more space). Where that
    crystal is none of the prototypes, a close-packed crystal with the metallic radius takes its
    place, or a diamond crystal with the covalent one (Cordero et al., Dalton Trans. 2008, 2832).

    No calculated reference enters. Among Li, Si, Ni, Cu, Ge, Nb, Mo, Ta and W the guess is within
    8 % of all-electron PBE, except Li sc (+10), Cu diamond (−10) and Ge bcc and fcc (−11). Where
    crystals are held together by weak forces (molecules, rare gases) it can be far too small.

    Parameters
    ----------
    element
        Symbol.
    prototype
        Of `PROTOTYPES`.

    Returns
    -------
    float
        Å³ per atom.
    """
    number = atomic_numbers.get(element)
    if number is None or element == "X":
        raise PetFlowsError(
            f"{element!r} is not an element: write symbols separated by commas, prototypes:Li,Si."
        )
    ratios = _RATIOS[Element(element).block in "df"]
    known: dict[str, Any] = reference_states[number] or {}
    symmetry = known.get("symmetry", "")
    if symmetry == "hcp" and element not in ("Se", "Te"):  # those are chains, listed as hcp
        volume = known["a"] ** 3 * known["c/a"] * 3**0.5 / 4
    elif symmetry in ATOMS_PER_CUBE and symmetry != "hcp":
        volume = known["a"] ** 3 / ATOMS_PER_CUBE[symmetry]
    elif radius := _metallic_radius(element):
        symmetry = "fcc"
        volume = (2 * radius) ** 3 / 2**0.5
    elif number < len(covalent_radii) and covalent_radii[number] > 0.2:
        symmetry = "diamond"
        volume = (2 * covalent_radii[number] * 4 / 3**0.5) ** 3 / 8
    else:
        raise PetFlowsError(
            f"The size of {element} is not known: give its structures as files instead."
        )
    return float(volume * ratios[prototype] / ratios[symmetry])


def _metallic_radius(element: str) -> float | None:
    """Give the metallic radius in Å; None for what is no metal or is not known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns where its table has a gap
        return Element(element).metallic_radius if Element(element).is_metal else None
