"""Lines below the tables of a comparison, and numbers in them."""

from __future__ import annotations

from collections.abc import Sequence

from pet_flows.compare.campaign import Compared
from pet_flows.compare.row import Published
from pet_flows.compare.unmatched import said, unmatched

_ABSENT = "–"
#: no quantity in any of our units can be told from zero by less
ROUND_OFF = 1e-12


def without_dft(compared: Compared, properties: Sequence[str] = ()) -> list[str]:
    """Lines about what stands alone."""
    found = unmatched(compared.documents(), properties)
    lines = []
    if found.records:
        listed = said(found.records)
        if found.across_levels and not compared.across_levels:
            listed += "; --across-levels compares levels of theory that differ"
        lines.append(f"[bold]{'without DFT':<18}[/bold] {listed}")
    if found.pairs:
        lines.append(f"[bold]{'not compared':<18}[/bold] {said(found.pairs)}")
    if found.references:
        lines.append(f"[bold]{'DFT alone':<18}[/bold] {said(found.references)}")
    return lines


def dft_lines(published: set[Published]) -> list[str]:
    """A line for each level of theory and where it was published."""
    lines = []
    for level, doi in sorted({(str(one.level), one.doi or "") for one in published}):
        lines.append(f"[bold]DFT[/bold] {level}" + f", doi:{doi}" * bool(doi))
    return lines


def number(value: float | None, digits: int, *, sign: bool = False) -> str:
    """Write a number, or the sign for none."""
    if value is None:
        return _ABSENT
    return f"{round(value, digits) + 0.0:{'+' if sign else ''}.{digits}f}"  # + 0.0: no −0.0


def short(value: float, *, sign: bool = False) -> str:
    """Write a number with three digits that count; round-off is zero."""
    value = 0.0 if abs(value) < ROUND_OFF else value
    return f"{value + 0.0:{'+' if sign else ''}.3g}"
