"""What two levels of theory do not share, as far as it matters for given elements."""

from __future__ import annotations

from collections.abc import Iterable

from pet_flows.dft.level import ALL_ELECTRON, MATERIALS_PROJECT_U, LevelOfTheory

MAGNETIC_ELEMENTS = (
    frozenset(("O", "Cr", "Mn", "Fe", "Co", "Ni"))
    | {"Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb"}
    | {"Pu", "Am", "Cm"}
)
"""Elements whose crystals may have moments, so that spin changes their energy and volume.

O, Cr, Mn, Fe, Co and Ni are the elements that were calculated with spin for the comparison of codes
(Lejaeghere et al., Science 351, aad3000, 2016), the others without. Lanthanides and actinides whose
f shell may keep a moment, of which it has none, are added. The list holds for every structure of an
element: Ni is magnetic as fcc, hcp and bcc alike. Left out is palladium, whose weak moment in PBE
moves its volume by less than a potential errs."""

MAGNETIC_IN_SALTS = (MAGNETIC_ELEMENTS - {"O"}) | frozenset(
    ("Ti", "V", "Cu", "Nb", "Mo", "Ru", "Rh", "W", "Re", "Os", "Ir", "Pa", "U", "Np")
)
"""Beside an anion other d and f elements may keep moments as well; O does in superoxides only."""

ANIONS = frozenset(["N", "O", "F", "P", "S", "Cl", "As", "Se", "Br", "Te", "I", "H"])

_U_ANIONS = frozenset(("O", "F"))


def differences(ours: LevelOfTheory, theirs: LevelOfTheory, elements: Iterable[str]) -> list[str]:
    """Say what two levels do not share for a structure of these elements.

    Code, cutoff and the settings beyond are no difference: they change a converged value by less
    than a potential errs, and so does the step from all electrons to a pseudopotential.

    Parameters
    ----------
    ours, theirs
        In each sentence the first stands before the second.
    elements
        Symbols. U counts on elements that are there, and beside the anions it is used with; spin
        where one of them may be magnetic (`MAGNETIC_ELEMENTS`, `MAGNETIC_IN_SALTS`);
        pseudopotentials of elements that are there.

    Returns
    -------
    list of str
        Empty where both are the same level. What is not known and would count is a difference.

    Examples
    --------
    >>> pbe = LevelOfTheory(functional="PBE", spin=False)
    >>> spin = LevelOfTheory(functional="PBE", spin=True)
    >>> differences(spin, pbe, ["Fe"]), differences(spin, pbe, ["Cu"])
    (['spin-polarized against non-magnetic'], [])
    """
    there = set(elements)
    found = []
    if ours.functional is None or not ours.same_functional(theirs):
        names = [level.functional or "unknown functional" for level in (ours, theirs)]
        found.append(" against ".join(names))
    found += _u(ours, theirs, there)
    if may_be_magnetic(there) and (ours.spin is None or ours.spin != theirs.spin):
        called = {True: "spin-polarized", False: "non-magnetic", None: "unknown spin"}
        found.append(f"{called[ours.spin]} against {called[theirs.spin]}")
    if ours.dispersion != theirs.dispersion:
        names = [level.dispersion or "none" for level in (ours, theirs)]
        found.append("dispersion correction " + " against ".join(names))
    return found + _pseudopotentials(ours, theirs, there)


def may_be_magnetic(elements: set[str]) -> bool:
    """Whether spin can matter for a structure of these elements."""
    salt = len(elements) > 1 and bool(elements & ANIONS)
    return bool(elements & (MAGNETIC_IN_SALTS if salt else MAGNETIC_ELEMENTS))


def _u(ours: LevelOfTheory, theirs: LevelOfTheory, elements: set[str]) -> list[str]:
    both = [level.u_of(elements) for level in (ours, theirs)]
    if both[0] == both[1] is not None:
        return []
    usual = elements & MATERIALS_PROJECT_U.keys() if elements & _U_ANIONS else set()
    # U that nobody speaks of is not used in metals
    if None in both and not usual and not any(both):
        return []
    return ["U of " + " against ".join(map(_said, both))]


def _said(u: dict[str, float] | None) -> str:
    if u is None:
        return "unknown values"
    return ", ".join(f"{element} {value:g} eV" for element, value in u.items()) or "none"


def _pseudopotentials(ours: LevelOfTheory, theirs: LevelOfTheory, elements: set[str]) -> list[str]:
    a, b = ours.pseudopotentials, theirs.pseudopotentials
    if isinstance(a, dict) and isinstance(b, dict):
        return [
            f"pseudopotential {a[element]} against {b[element]}"
            for element in sorted(elements & a.keys() & b.keys())
            if a[element] != b[element]
        ]
    if isinstance(a, str) and isinstance(b, str) and a != b and ALL_ELECTRON not in (a, b):
        return [f"pseudopotentials {a} against {b}"]
    return []
