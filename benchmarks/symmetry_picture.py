"""The picture of ``benchmarks/symmetry.py``: errors against cost, one column per structure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symmetry_tables import Row

#: label, colour, line, and strategy → marker; families are joined in the order given
FAMILIES: list[tuple[str, str, str, dict[str, str]]] = [
    ("none (plain PET)", "black", "", {"none": "X"}),
    (
        "grid: tetrahedral 12, octahedral 24, icosahedral 60",
        "tab:blue",
        "-",
        {"grid:tetrahedral": "^", "grid:octahedral": "D", "grid:icosahedral": "o"},
    ),
    (
        "… with inversion",
        "tab:cyan",
        "-",
        {
            "grid:tetrahedral:inversion": "^",
            "grid:octahedral:inversion": "D",
            "grid:icosahedral:inversion": "o",
        },
    ),
    (
        "grid: Lebedev 1 to 5",
        "tab:gray",
        "-",
        {f"grid:lebedev:{n}": f"${n}$" for n in range(1, 6)},
    ),
    (
        "metatomic SymmetrizedCalculator, l_max 1 to 5",
        "tab:brown",
        ":",
        {f"metatomic l_max {n}": f"${n}$" for n in range(1, 6)},
    ),
    ("metatomic plain", "tab:brown", "", {"metatomic plain": "X"}),
    ("crystal:orientation", "tab:red", "", {"crystal:orientation": "*"}),
    (
        "crystal: alone, tetrahedral, icosahedral",
        "tab:red",
        "-",
        {"crystal": "s", "crystal:tetrahedral": "^", "crystal:icosahedral": "o"},
    ),
    *(
        (
            f"ecse, {scope} scope: alone, tetrahedral, icosahedral",
            color,
            "-",
            {f"ecse{word}": "s", f"ecse{word}:tetrahedral": "^", f"ecse{word}:icosahedral": "o"},
        )
        for scope, word, color in (
            ("local", "", "tab:green"),
            ("atom", ":atom", "yellowgreen"),
            ("structure", ":structure", "darkgreen"),
        )
    ),
]
#: below this an error is round-off (eV/Å)
FLOOR = 1e-16


def draw(rows: Sequence[Row], path: Path) -> None:
    """Covariance error above, distance from the O(3) mean below, against ms per call."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(row.structure for row in rows))
    figure, axes = plt.subplots(
        2, len(names), figsize=(3.3 * len(names) + 0.6, 8.2), sharex=True, sharey="row",
        squeeze=False,
    )  # fmt: skip
    for column, name in enumerate(names):
        found = {row.strategy: row for row in rows if row.structure == name and row.copies}
        missing = [row.strategy for row in rows if row.structure == name and row.refused]
        for label, color, line, members in FAMILIES:
            present = [(found[s], m) for s, m in members.items() if s in found]
            _family(axes[0][column], present, "error", color, line, label)
            _family(axes[1][column], present, "distance", color, line, label)
        axes[0][column].set_title(name)
        if any(s.startswith("crystal") for s in missing):
            axes[0][column].text(
                0.97, 0.5, "crystal: refused", color="tab:red", ha="right", fontsize=9,
                transform=axes[0][column].transAxes,
            )  # fmt: skip
        for row in axes:
            row[column].set(xscale="log", yscale="log")
            row[column].grid(alpha=0.25)
        axes[1][column].set_xlabel("ms per call, one thread")
    axes[0][0].set_ylabel("largest change of a force\nwhen turned or reflected, eV/Å")
    axes[1][0].set_ylabel("rms distance of forces\nfrom the O(3) mean, eV/Å")
    handles, labels = _legend(plt)
    figure.legend(handles, labels, loc="lower center", ncols=3, fontsize=9, frameon=False)
    figure.tight_layout(rect=(0, 0.12, 1, 1))
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _family(
    axis: Any, present: list[tuple[Row, str]], what: str, color: str, line: str, label: str
) -> None:
    """Points of one family, joined in order of its members."""
    points = []
    for row, marker in present:
        value = row.force_error if what == "error" else row.force_distance
        if value is None:
            continue
        points.append((row.milliseconds, max(value, FLOOR)))
        axis.scatter(
            *points[-1], marker=marker, color=color, s=70 if marker == "*" else 38, zorder=3,
            linewidths=0.6, alpha=0.85,
        )  # fmt: skip
    if line and len(points) > 1:
        axis.plot(*zip(*points, strict=True), line, color=color, lw=1.0, alpha=0.6)


def _legend(plt: Any) -> tuple[list[Any], list[str]]:
    """One entry per family, with the markers of all its members."""
    handles = []
    for _, color, line, members in FAMILIES:
        marker = next(iter(members.values()))
        handles.append(
            plt.Line2D([], [], color=color, marker=marker, linestyle=line or "none", markersize=6)
        )
    return handles, [label for label, *_ in FAMILIES]
