"""Energies between the materials of campaigns, in a few lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from pet_flows.compare.campaign import Compared
from pet_flows.compare.energies.above import above_hull
from pet_flows.compare.energies.pairs import energy_pairs
from pet_flows.compare.energies.shift import (
    Shift,
    fit_shift,
    formation_energies,
    shifted_errors,
)
from pet_flows.compare.energies.stability import Stability


@dataclass(frozen=True)
class EnergySummary:
    """What a potential's energies between materials are worth, beside DFT's of one method.

    Parameters
    ----------
    campaign, potential
        Whose they are.
    property
        ``static`` or ``relax``.
    method
        Level of theory of the references; None where there are none.
    n
        Materials with an energy of both.
    shift
        Between the two zeros; None where nothing would be left to compare.
    mae_shifted
        eV/atom, after it.
    n_formation, mae_formation
        Materials whose elements are there on both sides, and their error in eV/atom.
    stability
        Beside DFT's fixed hull.
    on_hull, missing
        Records with an energy above it, and why others have none → how many.
    refused
        Why references, and energies to be corrected, are left out → how many.
    notes
        What was not checked.
    """

    campaign: str
    potential: str
    property: str
    method: str | None
    n: int
    shift: Shift | None
    mae_shifted: float | None
    n_formation: int
    mae_formation: float | None
    stability: Stability | None
    on_hull: int
    missing: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain data, with F1, precision, recall and DAF."""
        content = asdict(self)
        if self.stability is not None:
            names = ("f1", "precision", "recall", "daf", "accuracy", "n")
            counts = self.stability.counts
            content["stability"] |= {name: getattr(counts, name) for name in names}
        return content


def energy_summaries(compared: Compared, *, corrected: bool = False) -> list[EnergySummary]:
    """Energies of each campaign and potential beside DFT's.

    Parameters
    ----------
    compared
        Of `compare_campaign`.
    corrected
        Whether hulls have the corrections of the Materials Project.
    """
    found = []
    for campaign in compared.campaigns:
        hulls = above_hull(compared.shelf, campaign, "dft", corrected=corrected)
        of_potentials = energy_pairs(compared.shelf, campaign)
        for (ours, theirs, pairs), hull in zip(of_potentials, hulls, strict=True):
            shift = fit_shift(pairs)
            formed = [
                one.pet - one.dft
                for one in formation_energies(pairs).values()
                if one.pet is not None and one.dft is not None
            ]
            refused = dict(hull.refused)
            if hull.references is not None:
                for reason, count in hull.references.refused.items():
                    refused[reason] = refused.get(reason, 0) + count
            found.append(
                EnergySummary(
                    campaign=campaign,
                    potential=hull.potential,
                    property=ours.of,
                    method=None if theirs.method is None else str(theirs.method),
                    n=sum(pair.pet is not None for pair in pairs),
                    shift=shift,
                    mae_shifted=_mean(shifted_errors(pairs, shift).values()) if shift else None,
                    n_formation=len(formed),
                    mae_formation=_mean(formed),
                    stability=hull.stability,
                    on_hull=len(hull.above),
                    missing=_counted(hull.missing.values()),
                    refused=refused,
                    notes=tuple(sorted(hull.references.notes)) if hull.references else (),
                )
            )
    return found


def energy_lines(summaries: Iterable[EnergySummary]) -> list[str]:
    """The same for people."""
    lines = []
    for one in summaries:
        lines.append(f"[bold]energies[/bold] of {one.property}, {one.campaign}, {one.potential}")
        if one.method is None:
            lines.append("  no reference energy of this level of theory")
            continue
        lines.append(f"  beside {one.method}; n = {one.n}")
        if one.shift is not None and one.mae_shifted is not None:
            lines.append(f"  MAE {one.mae_shifted:.4f} eV/atom after a shift: {one.shift}")
        else:
            lines.append("  a shift by element would leave nothing to compare: too few materials")
        if one.mae_formation is not None:
            lines.append(
                f"  formation energies, each from its own elements: MAE {one.mae_formation:.4f} "
                f"eV/atom; n = {one.n_formation}"
            )
        if one.stability is not None:
            lines.append(f"  {_stability(one.stability)}")
        for what, counts in (("no hull", one.missing), ("left out", one.refused)):
            if counts:
                listed = "; ".join(f"{count} {reason}" for reason, count in counts.items())
                lines.append(f"  {what}: {listed}")
        lines += [f"  {note}" for note in one.notes]
    return lines


def _stability(found: Stability) -> str:
    counts = found.counts
    names = {"F1": counts.f1, "precision": counts.precision, "recall": counts.recall,
             "DAF": counts.daf}  # fmt: skip
    listed = ", ".join(
        f"{name} {'–' if value is None else f'{value:.3f}'}" for name, value in names.items()
    )
    error = "" if found.mae is None else f"; distance MAE {found.mae:.4f} eV/atom"
    return (
        f"stable on DFT's fixed hull: {listed}{error}; n = {counts.n}, {found.missing} missing "
        "count as unstable"
    )


def _mean(errors: Iterable[float]) -> float | None:
    found = [abs(error) for error in errors]
    return fmean(found) if found else None


def _counted(reasons: Iterable[str]) -> dict[str, int]:
    """How often each, those about elements together."""
    counts: dict[str, int] = {}
    elements: dict[str, set[str]] = {}
    for reason in reasons:
        kind, of_element, element = reason.partition(" of the element ")
        counts[kind] = counts.get(kind, 0) + 1
        if of_element:
            elements.setdefault(kind, set()).add(element)
    said = {kind: f"{kind} of {', '.join(sorted(names))}" for kind, names in elements.items()}
    return {said.get(kind, kind): count for kind, count in counts.items()}
