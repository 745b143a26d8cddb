"""The Materials Project's corrections of 2020, the same on both sides of a comparison.

They let GGA and GGA+U energies stand on one hull (A. Wang et al., Sci. Rep. 11, 15496, 2021). What
they are worth for an anion depends on pymatgen's version, which is stored with them.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pet_flows.dft.functionals import functional_name

if TYPE_CHECKING:
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility
    from pymatgen.entries.computed_entries import ComputedStructureEntry

SCHEME = "MP2020"

_U = re.compile(r"Invalid U value of (?P<given>\S+) on (?P<element>\w+), expected (?P<wanted>\S+)")
_POTCAR = re.compile(r"Incompatible POTCAR (?P<given>\{.*\}), expected (?P<wanted>\{.*\})")


class Refused(Exception):
    """An energy that the scheme is not made for; the text says why."""


@dataclass(frozen=True)
class Adjusted:
    """What the scheme adds to an energy.

    Parameters
    ----------
    adjustments
        Name → eV/atom.
    warnings
        What was not checked.
    """

    adjustments: Mapping[str, float]
    warnings: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        """eV/atom."""
        return sum(self.adjustments.values())

    def document(self) -> dict[str, Any]:
        """Field ``corrections`` of a comparison: a potential takes over what DFT's twin has.

        Its parameters (run type, U, POTCARs, oxidation states, kind of oxide) are those of the data
        that it learned from.
        """
        listed = [{"name": name, "value": value} for name, value in self.adjustments.items()]
        return {
            "scheme": SCHEME,
            "pymatgen": version("pymatgen"),
            "pet": listed,
            "dft": [dict(one) for one in listed],
        }


def adjust(entry: Mapping[str, Any] | ComputedStructureEntry) -> Adjusted:
    """Find what the scheme adds to an energy.

    pymatgen leaves out silently what it is not made for; here that is said.

    Parameters
    ----------
    entry
        pymatgen's, or its dict. Left as it is.

    Raises
    ------
    Refused
        There is no run type, or another than GGA, PBE and these with U; U or POTCARs are not those
        of the Materials Project.
    """
    from pymatgen.entries.compatibility import CompatibilityError
    from pymatgen.entries.computed_entries import ComputedStructureEntry

    content = dict(entry) if isinstance(entry, Mapping) else entry.as_dict()
    parameters = dict(content.get("parameters") or {})
    parameters["run_type"] = _run_type(parameters.get("run_type"))
    content |= {"parameters": parameters, "energy_adjustments": []}
    copied = ComputedStructureEntry.from_dict(content)
    has_potcars = bool(parameters.get("potcar_spec") or parameters.get("potcar_symbols"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of oxidation states that nobody can guess
            found = _scheme(has_potcars).get_adjustments(copied)
    except CompatibilityError as error:
        raise Refused(_said(str(error))) from None
    n = copied.composition.num_atoms
    adjustments = {str(one.name).removeprefix(f"{SCHEME} "): float(one.value) / n for one in found}
    notes = () if has_potcars else (f"{SCHEME}: the POTCARs are not known and were not checked",)
    return Adjusted(adjustments, notes)


@cache
def _scheme(check_potcar: bool) -> MaterialsProject2020Compatibility:
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility

    return MaterialsProject2020Compatibility(check_potcar=check_potcar)


def _run_type(said: Any) -> str:
    """``GGA`` or ``GGA+U``, under which pymatgen knows PBE."""
    written = str(getattr(said, "value", said) or "").strip()
    if not written:
        raise Refused("the run type is not known")
    base = written.removesuffix("+U")
    if functional_name(base) != ("PBE", None):
        raise Refused(f"{written} is not PBE")
    return "GGA+U" if written.endswith("+U") else "GGA"


def _said(message: str) -> str:
    if found := _U.search(message):
        given, wanted = float(found["given"]), float(found["wanted"])
        return f"U of {found['element']} is {given:g} eV where the scheme has {wanted:g} eV"
    if found := _POTCAR.search(message):
        return f"POTCARs are {found['given']} where the scheme has {found['wanted']}"
    return message[:200]
