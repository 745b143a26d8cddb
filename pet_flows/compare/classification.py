"""How often a potential says the same as DFT: stable or not, as symmetric or less."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Verdicts:
    """What one potential and DFT say of the stability of the same crystals."""

    potential: str
    """its name"""
    digest: str
    """of the potential"""
    property: str
    """``phonon`` (no mode below −0.05 THz) or ``elastic`` (Born's criterion)"""
    counts: Classification
    """the positive class is stable"""


def verdicts(documents: Iterable[Document]) -> list[Verdicts]:
    """How often each potential calls stable what is stable in DFT.

    Parameters
    ----------
    documents
        Of ``pet_comparisons``; those with a value ``stable`` count.
    """
    found: dict[tuple[str, str, str], list[tuple[bool, bool]]] = {}
    for key, document in _sound(documents):
        for value in document["values"]:
            if value["name"] == "stable":
                pair = bool(value["pet"]), bool(value["dft"])
                found.setdefault((*key, document["property"]), []).append(pair)
    return [Verdicts(*key, Classification.of(pairs)) for key, pairs in found.items()]


@dataclass(frozen=True)
class SymmetryKept:
    """Parts of relaxed structures whose space group is that of DFT, lower or higher.

    As matbench-discovery counts (J. Riebesell et al., Nat. Mach. Intell. 7, 836, 2025): another
    space group with fewer operations is a decrease, with more an increase, and with as many
    neither.
    """

    potential: str
    digest: str
    tolerance: str
    """Å, as in the names of the values of ``relax``: ``1e-2`` or ``1e-5``"""
    n: int
    match: float
    decrease: float
    increase: float


def symmetry_kept(documents: Iterable[Document]) -> list[SymmetryKept]:
    """How relaxations with each potential kept the symmetry that DFT's structures have.

    Parameters
    ----------
    documents
        Of ``pet_comparisons``; those of ``relax`` count.
    """
    found: dict[tuple[str, str, str], list[tuple[bool, float]]] = {}
    for key, document in _sound(documents):
        values = {value["name"]: value for value in document["values"]}
        for name, group in values.items():
            tolerance = name.removeprefix("spacegroup_")
            operations = values.get(f"operations_{tolerance}")
            if tolerance != name and operations is not None:
                kept = group["pet"] == group["dft"], operations["difference"]
                found.setdefault((*key, tolerance), []).append(kept)
    return [
        SymmetryKept(
            *key,
            n=len(kept),
            match=sum(same for same, _ in kept) / len(kept),
            decrease=sum(not same and more < 0 for same, more in kept) / len(kept),
            increase=sum(not same and more > 0 for same, more in kept) / len(kept),
        )
        for key, kept in found.items()
    ]


def _sound(documents: Iterable[Document]) -> Iterator[tuple[tuple[str, str], Document]]:
    """Pairs whose record is ``ok``, with name and digest of their potential."""
    for document in documents:
        if is_pair(document) and document["record_state"] == "ok":
            potential = document["potential"]
            yield (potential["name"], potential["digest"]), document


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
