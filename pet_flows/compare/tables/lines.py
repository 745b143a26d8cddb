"""Lines below the tables of a comparison, and numbers in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pet_flows.compare.campaign import Compared
from pet_flows.compare.classification import symmetry_kept, verdicts
from pet_flows.compare.documents import VOLUMES_DIFFER
from pet_flows.compare.matching.match import SAME_VOLUME
from pet_flows.compare.matching.unmatched import said, unmatched
from pet_flows.compare.statistics import Document
from pet_flows.compare.tables.row import Published

if TYPE_CHECKING:
    from rich.text import Text

_ABSENT = "–"
#: no quantity in any of our units can be told from zero by less
ROUND_OFF = 1e-12
#: numbers above are written with an exponent
LARGE = 1e5


def without_dft(compared: Compared, properties: Sequence[str] = ()) -> list[str]:
    """Lines about what stands alone."""
    found = unmatched(compared.documents(), properties)
    lines = []
    if found.records:
        lines.append(f"[bold]{'without DFT':<18}[/bold] {said(found.records)}")
    if found.pairs:
        lines.append(f"[bold]{'not compared':<18}[/bold] {said(found.pairs)}")
    if found.references:
        lines.append(f"[bold]{'DFT alone':<18}[/bold] {said(found.references)}")
    if found.across_levels and not compared.across_levels:
        lines.append("--across-levels compares levels of theory that differ.")
    return lines


def agreement_lines(documents: Sequence[Document]) -> list[str]:
    """Lines about what is no number: stability, and space groups of relaxed structures."""
    lines = []
    judged, kept = verdicts(documents), symmetry_kept(documents)
    several = len({one.digest for one in judged} | {one.digest for one in kept}) > 1
    for one in judged:
        counts, of = one.counts, f" {one.potential} {one.digest[:8]}" * several
        f1 = "" if counts.f1 is None else f"F1 {counts.f1:.2f}, "
        lines.append(
            f"[bold]{'stable ' + one.property:<18}[/bold] {f1}as in DFT "
            f"{counts.true_positive + counts.true_negative} of {counts.n}; wrongly stable "
            f"{counts.false_positive}, wrongly unstable {counts.false_negative}{of}"
        )
    for same in kept:
        of = f" {same.potential} {same.digest[:8]}" * several
        lines.append(
            f"[bold]{'symmetry ' + same.tolerance + ' Å':<18}[/bold] as in DFT "
            f"{100 * same.match:.1f} %, lower {100 * same.decrease:.1f} %, higher "
            f"{100 * same.increase:.1f} %; n = {same.n}{of}"
        )
    return lines


def volume_lines(documents: Iterable[Document]) -> list[str]:
    """A line about pairs whose volumes are far apart, which may be of two crystals."""
    count = sum(
        any(warning.startswith(VOLUMES_DIFFER) for warning in document["warnings"])
        for document in documents
    )
    if not count:
        return []
    return [f"[bold]{VOLUMES_DIFFER:<18}[/bold] by more than {SAME_VOLUME:.0%} in {count} pairs"]


def dft_lines(published: set[Published]) -> list[str]:
    """A line for each level of theory and where it was published."""
    lines = []
    for level, doi in sorted({(str(one.level), one.doi or "") for one in published}):
        lines.append(f"[bold]DFT[/bold] {level}" + f", doi:{doi}" * bool(doi))
    return lines


def clipped(text: str, style: str = "") -> Text:
    """Text of a column that may become narrower, before those of numbers do.

    The column itself must not be ``no_wrap``: rich makes those narrower last.
    """
    from rich.text import Text

    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def number(value: float | None, digits: int, *, sign: bool = False) -> str:
    """Write a number, or the sign for none; one that has no place in a column in short form."""
    if value is None:
        return _ABSENT
    if abs(value) >= LARGE:
        return short(value, sign=sign)
    return f"{round(value, digits) + 0.0:{'+' if sign else ''}.{digits}f}"  # + 0.0: no −0.0


def short(value: float, *, sign: bool = False) -> str:
    """Write a number with three digits that count; round-off is zero."""
    value = 0.0 if abs(value) < ROUND_OFF else value
    return f"{value + 0.0:{'+' if sign else ''}.3g}"
