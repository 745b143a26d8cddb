"""Energies of a potential beside DFT's, whose zeros need not be the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pymatgen.core import Composition

from pet_flows.compare.statistics import is_pair

#: properties whose energies are compared, the one that compares phases best first
ENERGIES = ("static", "relax")


@dataclass(frozen=True)
class Material:
    """One crystal with its energies.

    Parameters
    ----------
    record, reference
        Their keys.
    name
        Its identifier.
    composition
        Element → fraction of the atoms.
    pet, dft
        eV/atom; ``pet`` is None where the record failed.
    """

    record: str
    reference: str
    name: str
    composition: Mapping[str, float]
    pet: float | None
    dft: float


@dataclass(frozen=True)
class Shift:
    """What the zeros of two energies differ by, for each element.

    Parameters
    ----------
    elements
        Symbol → eV for each atom: potential minus DFT.
    n
        Materials that it was fitted to.
    rank
        Independent compositions among them.
    """

    elements: Mapping[str, float]
    n: int
    rank: int

    def of(self, composition: Mapping[str, float]) -> float:
        """eV/atom of a composition."""
        return sum(part * self.elements[element] for element, part in composition.items())

    def __str__(self) -> str:
        """State it."""
        listed = ", ".join(f"{name} {value:+.3f}" for name, value in self.elements.items())
        return f"{listed} eV, least squares over {self.n} materials"


def materials(
    documents: Iterable[Mapping[str, Any]], energies: Mapping[str, float]
) -> list[Material]:
    """Pairs of energies of one potential and of one level of theory.

    Parameters
    ----------
    documents
        Of ``pet_comparisons``, of one potential. Left out are those of other levels of theory than
        the potential's. Taken is the property, static or relaxation, that has more of them.
    energies
        Key of a reference → eV/atom: those of one method (`pet_flows.compare.energies.methods`).
    """
    found: dict[str, list[Material]] = {name: [] for name in ENERGIES}
    for document in documents:
        if not is_pair(document) or document["property"] not in found or document["level_differs"]:
            continue
        if document["reference"] not in energies:
            continue
        pet = [v["pet"] for v in document["values"] if v["name"] == "energy_per_atom"]
        found[document["property"]].append(
            Material(
                record=document["record"],
                reference=document["reference"],
                name=str(document["material_id"] or document["record"]),
                composition=fractions(document["formula_pretty"]),
                pet=float(pet[0]) if pet and document["record_state"] == "ok" else None,
                dft=energies[document["reference"]],
            )
        )
    return max(found.values(), key=len)


def fractions(formula: str) -> dict[str, float]:
    """Element → fraction of the atoms of a formula."""
    composition = Composition(formula).fractional_composition
    return {element.symbol: float(part) for element, part in composition.items()}


def fit_shift(given: Sequence[Material]) -> Shift | None:
    """Fit what the zeros of the potential's and DFT's energies differ by.

    Least squares of Σ_e x_e μ_e = E_PET − E_DFT per atom over the elements e; where the
    compositions do not determine all μ_e, those of least norm, which changes no energy.

    Returns
    -------
    Shift or None
        None where there are not more materials than independent compositions: nothing would be
        left to compare.
    """
    pairs = [(m, m.pet - m.dft) for m in given if m.pet is not None]
    elements = sorted({element for material, _ in pairs for element in material.composition})
    if not elements:
        return None
    x = np.array([[m.composition.get(element, 0.0) for element in elements] for m, _ in pairs])
    shift, _, rank, _ = np.linalg.lstsq(x, np.array([d for _, d in pairs]), rcond=1e-10)
    if len(pairs) <= rank:
        return None
    by_element = dict(zip(elements, map(float, shift), strict=True))
    return Shift(by_element, len(pairs), int(rank))


def shifted_errors(given: Sequence[Material], shift: Shift) -> dict[str, float]:
    """Key of a record → E_PET − E_DFT less the shift, eV/atom."""
    return {m.record: m.pet - m.dft - shift.of(m.composition) for m in given if m.pet is not None}


@dataclass(frozen=True)
class Formation:
    """Formation energies of one material, each side from its own elements; eV/atom."""

    pet: float | None
    dft: float | None


def formation_energies(given: Sequence[Material]) -> dict[str, Formation]:
    """Energies of formation from the elements, each side from its own.

    Returns
    -------
    dict
        Key of a record → energies, None where an element is not among the materials. The energy
        of an element is that of its lowest crystal on that side.
    """
    zeros: tuple[dict[str, float], dict[str, float]] = ({}, {})
    for material in given:
        if len(material.composition) == 1:
            (element,) = material.composition
            for zero, energy in zip(zeros, (material.pet, material.dft), strict=True):
                if energy is not None:
                    zero[element] = min(energy, zero.get(element, energy))
    return {
        m.record: Formation(_formed(m, m.pet, zeros[0]), _formed(m, m.dft, zeros[1])) for m in given
    }


def _formed(material: Material, energy: float | None, zero: Mapping[str, float]) -> float | None:
    if energy is None or not material.composition.keys() <= zero.keys():
        return None
    return energy - sum(part * zero[element] for element, part in material.composition.items())
