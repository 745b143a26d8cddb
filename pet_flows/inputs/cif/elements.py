"""What stands on a site: the element that its symbol or its label means, or why that is unknown.

The CIF dictionary (cif_core, ``_atom_site_label``): without ``_atom_site_type_symbol`` a label
begins with the symbol of the element. Databases of minerals write OH, Wat, Va and T1 there too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pymatgen.core import Element

from pet_flows.inputs.text import DamagedError, quoted

ADVICE = "add the column _atom_site_type_symbol"

_ELEMENTS = {element.value for element in Element} - {"D", "T"}
_SHORT_LIVED = {Element.from_Z(z).symbol for z in range(100, 119)} | {"At", "Fr", "Po"}
"""No label means these unless the formula does: NO3 is a nitrate, PO4 a phosphate."""
_PROPER = re.compile(r"[^A-Za-z]*([A-Z][a-z])")
_CLEAN = re.compile(r"\d*([A-Za-z]{1,2})[\d.+\-()\s]*")
"""A symbol, maybe with a charge or an isotope: Fe3+, O2-, 57Fe."""
_SCATTERING = re.compile(r"([A-Z][a-z]?)(?:val?|iso|ani)")
"""Names of scattering factors: Cval, Siva."""
_NO_ELEMENTS = {"bq", "cg", "cnt", "ct", "du", "dum", "lp", "q", "x", "xx"}
"""Ghosts, centroids, dummies, lone pairs, peaks of a difference map."""
_VACANCY = re.compile(r"vac(?:anc.*|ant.*)?[^a-z]*", re.IGNORECASE)
_GROUPS = (
    (re.compile(r"wat|hoh|oh2|ow", re.IGNORECASE), "O", ("H", "H")),
    (re.compile(r"o-?h", re.IGNORECASE), "O", ("H",)),
    (re.compile(r"nh[34]", re.IGNORECASE), "N", ("H", "H", "H")),
    (re.compile(r"ch[34]", re.IGNORECASE), "C", ("H", "H", "H")),
    (re.compile(r"no3", re.IGNORECASE), "N", ("O", "O", "O")),
    (re.compile(r"co3", re.IGNORECASE), "C", ("O", "O", "O")),
    (re.compile(r"so4", re.IGNORECASE), "S", ("O", "O", "O", "O")),
    (re.compile(r"po4", re.IGNORECASE), "P", ("O", "O", "O", "O")),
)
"""Beginning of the label of a group of atoms → the atom that sits there, and the others."""


@dataclass(frozen=True)
class Meaning:
    """What a symbol or a label says of its site.

    Parameters
    ----------
    element
        D for deuterium; None where nothing is there (a vacancy).
    others
        Elements of the atoms that belong to it but need places of their own: H of OH.
    """

    element: str | None
    others: tuple[str, ...] = ()


class Symbols:
    """Reads the symbols and labels of one block.

    Parameters
    ----------
    known
        Elements that the block's formula or its list of atom types name; may be empty.
    labels
        All labels of the block: what one means depends on the others.
    """

    def __init__(self, known: Iterable[str], labels: Iterable[str]):
        self.known = set(known)
        self.labels = list(labels)
        self._proper = any(
            found[1] in _ELEMENTS for found in map(_PROPER.match, self.labels) if found
        )

    def of_type(self, symbol: str) -> Meaning:
        """Read an ``_atom_site_type_symbol``.

        Raises
        ------
        DamagedError
            ``unknown_species``, or ``partial_occupancy`` where it names several elements.
        """
        self._refuse_mixed(symbol)
        if found := _SCATTERING.fullmatch(symbol) or _CLEAN.fullmatch(symbol):
            element = found[1].title()
            if element in _ELEMENTS or element == "D":
                return Meaning(element)
            if element == "T" and "T" in self.known:
                return Meaning(element)
        if re.fullmatch("[HD][23]O[^a-z]*", symbol):
            return Meaning("O", ("H", "H"))
        run = _letters(symbol)
        if run.lower() == "va" or _VACANCY.fullmatch(symbol):
            return Meaning(None)
        if not run or run.lower() in _NO_ELEMENTS or run == "T":
            raise _no_element(f"has an atom of type {quoted(symbol)}", "name one")
        return self._read(symbol, "type", "name one element")

    def of_label(self, label: str) -> Meaning:
        """Read an ``_atom_site_label`` that must say by itself what is there.

        Raises
        ------
        DamagedError
            As `of_type`; also where it may mean more than one element.
        """
        self._refuse_mixed(label)
        if _VACANCY.fullmatch(label):
            return Meaning(None)
        if _letters(label).lower() == "va":
            if "V" in self.known or any(re.match("V(?!a)", other) for other in self.labels):
                return Meaning("V")
            if not self.known:
                raise _ambiguous(label, "vanadium or a vacancy")
            return Meaning(None)
        return self._read(label, "label", ADVICE)

    def _read(self, text: str, what: str, advice: str) -> Meaning:
        """Read a text that begins with an element or is the name of a group."""
        for pattern, element, others in _GROUPS:
            if pattern.match(text) and self._may_be_group(text, element):
                return Meaning(element, others)
        if re.match("h[23]o", text, re.IGNORECASE) and not any(
            re.match("h(?:$|1|[a-z])", other, re.IGNORECASE) for other in self.labels
        ):
            raise _ambiguous(text, "a hydrogen or a molecule of water")
        return Meaning(self._element(text, what, advice))

    def _may_be_group(self, text: str, element: str) -> bool:
        """Whether CO3 is a carbonate here, and no third atom of cobalt."""
        other = text[:2].title()
        if self.known:
            return element in self.known and other not in self.known
        return other not in _ELEMENTS or other in _SHORT_LIVED or self._proper

    def _element(self, text: str, what: str, advice: str) -> str:
        """Find the element that a text begins with, of two letters or of one."""
        run = _letters(text)
        two, one = run[:2].title(), run[:1].upper()
        short_lived = two in _SHORT_LIVED and two not in self.known
        long = len(run) > 1 and two in _ELEMENTS and not short_lived
        # D1 is deuterium, T1 a tetrahedral site
        short = one in _ELEMENTS or (one == "D" and not run[1:2].islower())
        if long and short:
            hydrogen = {"H", "D"} if one in ("H", "D") else {one}
            if self.known and two not in self.known and hydrogen & self.known:
                return one
            if self.known and two in self.known and not hydrogen & self.known:
                return two
            if run[1].isupper() and self._proper and not self.known:
                raise _ambiguous(text, f"{one} or {two}")
            if run[1].isupper() and self._proper:
                return one
        if not (long or short):
            raise _no_element(f"has an atom with the {what} {quoted(text)}", advice)
        return two if long else one

    def _refuse_mixed(self, text: str) -> None:
        """Refuse ``Al/Si``, ``0.8Nb + 0.2Zr`` and ``AlSi``."""
        parts = [_letters(part) for part in re.split(r"[/,|&;+]", text)]
        parts = [part for part in parts if (part[:1].isupper() and part[:2].title() in _ELEMENTS)
                 or part[:1] in _ELEMENTS]  # fmt: skip
        if len(parts) == 1 and (pair := re.match("([A-Z][a-z])([A-Z][a-z])", parts[0])):
            both = set(pair.groups()) <= _ELEMENTS and (not self.known or pair[2] in self.known)
            parts = list(pair.groups()) if both else []
        if len({part[:2] for part in parts}) > 1:
            raise DamagedError(
                f"has an atom {quoted(text)}, which names more than one element: a potential needs "
                "whole atoms; make an ordered cell first (pymatgen's OrderDisorderedStructure"
                "Transformation does).",
                "partial_occupancy",
            )


def _letters(text: str) -> str:
    """Give the first run of letters."""
    found = re.search("[A-Za-z]+", text)
    return found[0] if found else ""


def _no_element(where: str, advice: str) -> DamagedError:
    return DamagedError(f"{where}, which is not an element: {advice}.", "unknown_species")


def _ambiguous(label: str, meanings: str) -> DamagedError:
    return DamagedError(
        f"has an atom with the label {quoted(label)}, which may mean {meanings}: {ADVICE}.",
        "unknown_species",
    )
