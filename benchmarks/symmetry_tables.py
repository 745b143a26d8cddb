"""Rows and tables of ``benchmarks/symmetry.py``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One strategy on one structure; lengths in Å, energies in eV."""

    structure: str
    strategy: str
    evaluations: int | None = None
    milliseconds: float | None = None
    energy_error: float | None = None
    force_error: float | None = None
    stress_error: float | None = None
    energy_distance: float | None = None
    force_distance: float | None = None
    copies: int = 0
    refused: str | None = None


def table(rows: list[Row], structure: str) -> str:
    """The rows of one structure, as Markdown."""
    head = "strategy|evals|ms|ΔE eV/atom|ΔF eV/Å|Δσ eV/Å³|E − Ē meV/atom|F − F̄ meV/Å"
    lines = [f"| {head.replace('|', ' | ')} |", "|---|" + "---:|" * 7]
    for row in rows:
        if row.structure != structure:
            continue
        if row.refused:
            lines.append(f"| {row.strategy} | refused | | | | | | |")
            continue
        if row.milliseconds is None:
            lines.append(f"| {row.strategy} | {row.evaluations}, not run | | | | | | |")
            continue
        cells = [
            f"{row.evaluations}",
            f"{row.milliseconds:.0f}",
            f"{row.energy_error:.0e}",
            f"{row.force_error:.0e}",
            "" if row.stress_error is None else f"{row.stress_error:.0e}",
            "" if row.energy_distance is None else f"{1e3 * row.energy_distance:.3f}",
            "" if row.force_distance is None else f"{1e3 * row.force_distance:.3f}",
        ]
        lines.append(f"| {row.strategy} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def summary(rows: list[Row]) -> str:
    """Evaluations and distance from the mean in meV/Å, strategies by structures, as Markdown."""
    names = list(dict.fromkeys(row.structure for row in rows))
    lines = [f"| strategy | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
    for strategy in dict.fromkeys(row.strategy for row in rows):
        cells = []
        for name in names:
            row = next(r for r in rows if (r.strategy, r.structure) == (strategy, name))
            if row.refused:
                cells.append("refused")
            elif row.force_distance is None or row.milliseconds is None:
                cells.append(f"{row.evaluations}, not run")
            else:
                far = 1e3 * row.force_distance
                cells.append(f"{row.evaluations} / {row.milliseconds:.0f} / {far:.3f}")
        lines.append(f"| {strategy} | {' | '.join(cells)} |")
    return "\n".join(lines)


def exactness(rows: list[Row]) -> str:
    """Largest covariance errors over all structures, as Markdown."""
    lines = ["| strategy | ΔE eV/atom | ΔF eV/Å | Δσ eV/Å³ |", "|---|---:|---:|---:|"]
    for strategy in dict.fromkeys(row.strategy for row in rows):
        mine = [row for row in rows if row.strategy == strategy and row.copies]
        worst = [
            max((getattr(row, f"{what}_error") or 0.0 for row in mine), default=float("nan"))
            for what in ("energy", "force", "stress")
        ]
        lines.append(f"| {strategy} | " + " | ".join(f"{value:.0e}" for value in worst) + " |")
    return "\n".join(lines)


def show(report: dict[str, Any]) -> None:
    """Print what a report holds."""
    settings = report["settings"]
    print(f"{settings['model']} ({settings['sha256'][:12]}), {settings['dtype']}")
    for key, title in (("rows", "trained model"), ("rough_rows", "rough random PET, float64")):
        rows = [Row(**row) for row in report.get(key, [])]
        for name in dict.fromkeys(row.structure for row in rows):
            print(f"\n## {name}, {title}\n")
            known = report["mean_known_to"].get(name) if key == "rows" else None
            if known:
                print(
                    f"O(3) mean known to {1e3 * known['energy']:.4f} meV/atom and "
                    f"{1e3 * known['forces']:.4f} meV/Å ({known['evaluations']} evaluations)\n"
                )
            print(table(rows, name))
        if rows and key == "rows":
            print(f"\n## Evaluations / ms / distance from the mean (meV/Å), {title}\n")
            print(summary(rows))
        if rows:
            print(f"\n## Largest covariance errors, {title}\n")
            print(exactness(rows))
    if "claims" in report:
        print("\n## Claims\n")
        for name, value in report["claims"].items():
            print(f"{name}: {json.dumps(value, ensure_ascii=False, indent=1)}")
