"""How often a potential says the same as DFT: stable or not, as symmetric or less."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pet_flows.compare.statistics import Document, is_pair


@dataclass(frozen=True)
class Classification:
    """Yes and no of a potential against yes and no of DFT; a ratio without a denominator is None.

    The positive class is what is said to be true, such as ``stable``.
    """

    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int

    @classmethod
    def of(cls, pairs: Iterable[tuple[bool, bool]]) -> Classification:
        """From what potential and DFT say of each material."""
        counts = {(p, d): 0 for p in (True, False) for d in (True, False)}
        for pet, dft in pairs:
            counts[bool(pet), bool(dft)] += 1
        return cls(
            counts[True, True], counts[True, False], counts[False, False], counts[False, True]
        )

    @property
    def n(self) -> int:
        """Materials."""
        return self.true_positive + self.false_positive + self.true_negative + self.false_negative

    @property
    def precision(self) -> float | None:
        """Of those that the potential calls true, the part that is."""
        return _ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float | None:
        """Of those that are true, the part that the potential finds."""
        return _ratio(self.true_positive, self.true_positive + self.false_negative)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall."""
        wrong = self.false_positive + self.false_negative
        return _ratio(2 * self.true_positive, 2 * self.true_positive + wrong)

    @property
    def accuracy(self) -> float | None:
        """Part on which both agree."""
        return _ratio(self.true_positive + self.true_negative, self.n)

    @property
    def prevalence(self) -> float | None:
        """Part that is true in DFT."""
        return _ratio(self.true_positive + self.false_negative, self.n)

    @property
    def daf(self) -> float | None:
        """Discovery acceleration factor: precision over prevalence."""
        if self.precision is None or not self.prevalence:
            return None
        return self.precision / self.prevalence


def classify(
    documents: Iterable[Document], property: str, name: str = "stable"
) -> dict[str, Classification]:
    """Set a yes or no of a property beside DFT's, for each potential.

    Parameters
    ----------
    documents
        Of ``pet_comparisons``.
    property
        ``phonon`` (no mode below −0.05 THz) or ``elastic`` (Born's criterion).
    name
        Of the value.

    Returns
    -------
    dict
        Name of a potential → its counts, over pairs that both say yes or no.
    """
    found: dict[str, list[tuple[bool, bool]]] = {}
    for document, value in _values(documents, property):
        if value["name"] == name and isinstance(value["pet"], bool) and value["dft"] is not None:
            said = (value["pet"], bool(value["dft"]))
            found.setdefault(document["potential"]["name"], []).append(said)
    return {potential: Classification.of(pairs) for potential, pairs in found.items()}


@dataclass(frozen=True)
class SymmetryKept:
    """Parts of relaxed structures whose space group is that of DFT, lower or higher.

    As matbench-discovery counts (J. Riebesell et al., Nat. Mach. Intell. 7, 836, 2025): another
    space group with fewer operations is a decrease, with more an increase, and with as many
    neither.
    """

    n: int
    match: float
    decrease: float
    increase: float


def symmetry_kept(documents: Iterable[Document], tolerance: str) -> dict[str, SymmetryKept]:
    """How relaxations with each potential kept the symmetry that DFT's structures have.

    Parameters
    ----------
    documents
        Of ``pet_comparisons``.
    tolerance
        ``1e-2`` or ``1e-5`` (Å), as in the names of the values of ``relax``.
    """
    found: dict[str, list[tuple[bool, float]]] = {}
    for document in documents:
        if not is_pair(document) or document["property"] != "relax":
            continue
        values = {value["name"]: value for value in document["values"]}
        group = values.get(f"spacegroup_{tolerance}")
        operations = values.get(f"operations_{tolerance}")
        if group is not None and operations is not None and document["record_state"] == "ok":
            same = group["pet"] == group["dft"]
            found.setdefault(document["potential"]["name"], []).append(
                (same, operations["difference"])
            )
    return {
        potential: SymmetryKept(
            n=len(kept),
            match=sum(same for same, _ in kept) / len(kept),
            decrease=sum(not same and more < 0 for same, more in kept) / len(kept),
            increase=sum(not same and more > 0 for same, more in kept) / len(kept),
        )
        for potential, kept in found.items()
    }


def _values(
    documents: Iterable[Document], property: str
) -> Iterable[tuple[Document, dict[str, Any]]]:
    for document in documents:
        if is_pair(document) and document["property"] == property:
            if document["record_state"] != "ok":
                continue
            for value in document["values"]:
                yield document, value


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
