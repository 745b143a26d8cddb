"""What many comparisons say together: mean errors, how sure they are, which are the worst."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pet_flows.properties.comparison import WITHOUT_SCALE

#: a document of ``pet_comparisons``
Document = Mapping[str, Any]

#: of `interval`
RESAMPLES = 1000
CONFIDENCE = 0.95
SEED = 0
#: energies as they were calculated: of potential and DFT they have different zeros
RAW_ENERGIES = frozenset({"energy_per_atom", "potential_energy_per_atom"})
#: random numbers drawn at once
_AT_ONCE = 5_000_000
#: errors that a summary lists
WORST = 10


@dataclass(frozen=True)
class Error:
    """One value of one comparison that counts in means."""

    comparison: str
    """``_id`` of its document"""
    record: str
    reference: str
    material: str
    """identifier; the reference where the material has none"""
    formula: str | None
    pet: Any
    """None where the metric is itself a distance"""
    dft: Any
    difference: float
    """in the value's unit: potential minus DFT, or the distance"""
    relative: float | None
    level_differs: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """Errors of one quantity with one potential.

    Means are over ``n`` values of ``materials`` materials; ``missing`` more pairs of record and
    reference have no values, because the record failed or did not converge, or the two are not
    comparable; no mean shows these. ``across`` of the ``n`` compare different levels of theory.
    """

    potential: str
    """its name"""
    property: str
    name: str
    unit: str
    n: int
    materials: int
    missing: int
    across: int
    mae: float
    """mean |difference|, in ``unit``"""
    mae_interval: tuple[float, float] | None
    """percentile bootstrap over materials, 95 %; None for fewer than two"""
    rmse: float
    bias: float
    """mean difference"""
    median: float
    """of |difference|"""
    largest: float
    """|difference|"""
    mape: float | None
    """mean |difference / DFT|; 0.01 is 1 %. None of distances, and of what has no scale, such as
    energies and pressures"""
    r2: float | None
    """1 − Σ difference² / Σ (DFT − mean of DFT)²; None for distances and where DFT does not vary"""
    worst: tuple[Error, ...]
    """largest |difference| first"""


@dataclass(frozen=True)
class Quantity:
    """What errors belong together: one quantity with one potential."""

    digest: str
    """of the potential"""
    potential: str
    property: str
    name: str
    unit: str


def summarize(documents: Iterable[Document], *, worst: int = WORST) -> list[Summary]:
    """Mean errors of every quantity in comparisons, for each potential by itself.

    Total energies are left out, whose differences are those of two zeros: `energies.shift` compares
    them.

    Parameters
    ----------
    documents
        Of ``pet_comparisons``; those of a record or a reference alone are left out.
    worst
        How many of the largest errors each summary lists.

    Returns
    -------
    list of Summary
        In the order in which potentials, properties and values first appear.
    """
    documents = list(documents)
    missing: dict[tuple[str, str], int] = {}
    for document in documents:
        if is_pair(document) and not _counts(document):
            key = (document["potential"]["digest"], document["property"])
            missing[key] = missing.get(key, 0) + 1
    return [
        _summary(quantity, found, missing.get((quantity.digest, quantity.property), 0), worst)
        for quantity, found in errors(documents).items()
        if quantity.name not in RAW_ENERGIES
    ]


def errors(documents: Iterable[Document]) -> dict[Quantity, list[Error]]:
    """All numeric errors, by potential and quantity.

    Left out are labels, such as space groups, and what a record has that is not ``ok``: it is
    shown where it stands, but is nobody's error.
    """
    found: dict[Quantity, list[Error]] = {}
    for document in documents:
        if not (is_pair(document) and _counts(document)):
            continue
        potential = document["potential"]
        for value in document["values"]:
            if value["difference"] is None:
                continue
            quantity = Quantity(
                potential["digest"], potential["name"], document["property"],
                value["name"], value["unit"],
            )  # fmt: skip
            found.setdefault(quantity, []).append(
                Error(
                    comparison=document["_id"],
                    record=document["record"],
                    reference=document["reference"],
                    material=material_of(document),
                    formula=document.get("formula_pretty"),
                    pet=value["pet"],
                    dft=value["dft"],
                    difference=float(value["difference"]),
                    relative=value["relative"],
                    level_differs=tuple(document["level_differs"]),
                )
            )
    return found


def is_pair(document: Document) -> bool:
    """Whether it is of a record and a reference, not of one that stands alone."""
    return document["record"] is not None and document["reference"] is not None


def material_of(document: Document) -> str:
    """Name the material that a comparison is of, the same for all of its comparisons."""
    return str(document.get("material_id") or document["reference"])


def interval(
    values: Sequence[float] | np.ndarray,
    materials: Sequence[str],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> tuple[float, float] | None:
    """Confidence interval of a mean, by the percentile bootstrap.

    Materials are drawn, not values: those of one material, of several references or levels, are
    not independent (B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, chapters
    8 and 13).

    Parameters
    ----------
    values
        ``(n,)``.
    materials
        ``(n,)``, which material each is of.
    confidence
        Between 0 and 1.
    resamples, seed
        How many sets are drawn, and from where random numbers begin: the same values have the
        same interval.

    Returns
    -------
    tuple or None
        Ends; None for fewer than two materials.
    """
    _, member = np.unique(np.asarray(materials), return_inverse=True)
    counts = np.bincount(member)
    m = len(counts)
    if m < 2:
        return None
    sums = np.bincount(member, weights=np.asarray(values, dtype=float))
    generator = np.random.default_rng(seed)
    means = []
    step = max(1, _AT_ONCE // m)
    for start in range(0, resamples, step):
        drawn = generator.integers(m, size=(min(step, resamples - start), m))
        means.append(sums[drawn].sum(1) / counts[drawn].sum(1))
    ends = 50.0 * (1 + np.array([-confidence, confidence]))
    low, high = np.percentile(np.concatenate(means), ends)
    return float(low), float(high)


def r_squared(pet: Sequence[float] | np.ndarray, dft: Sequence[float] | np.ndarray) -> float | None:
    """Coefficient of determination of a potential's values, DFT's taken as true.

    Returns
    -------
    float or None
        1 where all agree, below zero where the mean of DFT would be nearer; None where DFT does
        not vary.
    """
    truth = np.asarray(dft, dtype=float)
    total = float(((truth - truth.mean()) ** 2).sum())
    if total == 0.0:
        return None
    return 1.0 - float(((np.asarray(pet, dtype=float) - truth) ** 2).sum()) / total


def _counts(document: Document) -> bool:
    """Whether a pair has values that enter means."""
    return bool(document["values"]) and document["record_state"] == "ok"


def _summary(quantity: Quantity, found: list[Error], missing: int, worst: int) -> Summary:
    differences = np.array([error.difference for error in found])
    absolute = np.abs(differences)
    materials = [error.material for error in found]
    relative = [abs(error.relative) for error in found if error.relative is not None]
    if quantity.name in WITHOUT_SCALE:
        relative = []
    numbers = [(error.pet, error.dft) for error in found if error.dft is not None]
    return Summary(
        potential=quantity.potential,
        property=quantity.property,
        name=quantity.name,
        unit=quantity.unit,
        n=len(found),
        materials=len(set(materials)),
        missing=missing,
        across=sum(bool(error.level_differs) for error in found),
        mae=float(absolute.mean()),
        mae_interval=interval(absolute, materials),
        rmse=float(np.sqrt((differences**2).mean())),
        bias=float(differences.mean()),
        median=float(np.median(absolute)),
        largest=float(absolute.max()),
        mape=float(np.mean(relative)) if relative else None,
        r2=r_squared(*zip(*numbers, strict=True)) if numbers else None,
        worst=tuple(found[n] for n in np.argsort(-absolute, kind="stable")[:worst]),
    )
