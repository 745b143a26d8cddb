"""Tables of what was measured, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from rivals import CUTOFF, MODULES
from rivals.cell import Cell
from rivals.data import DATA_SETS

#: Å and THz: lattice constant of PBE, and the measured mode at Γ
SILICON = (5.469, 15.09)
#: Å, of silicon's sublattices, small and about that of a vibration: where the energy is smooth, the
#: mode at Γ is one and the same (`frozen_mode` of :mod:`rivals.measure`)
MOVED = (0.001, 0.1)
ERRORS = "energy meV/atom · force meV/Å"
ROTATED = "changes when rotated"


@dataclass(frozen=True)
class Found:
    """A training and the files that there are of it."""

    cell: Cell
    files: Mapping[str, Mapping[str, Any]]

    @property
    def trained(self) -> Mapping[str, Any]:
        """What the training left; empty without one."""
        return self.files.get("trained", {})

    @property
    def failure(self) -> str | None:
        """Why it broke down."""
        return self.files["failure"]["message"] if "failure" in self.files else None

    def row(self, name: str) -> Mapping[str, Any]:
        """What was measured of a symmetrization; empty if nothing was."""
        return self.files.get(name, {})


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, numbers to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def pair(found: Mapping[str, Any], first: str, second: str, digits: int = 1) -> str:
    """Two of the numbers."""
    if not found or first not in found:
        return "–"
    return " · ".join(number(found[name], digits) for name in (first, second))


def milliseconds(found: Mapping[str, Any]) -> str:
    """CPU time per atom."""
    return f"{found['ms_per_atom']:.2f}" if found else "–"


def number(value: float, digits: int) -> str:
    """Fixed digits; where these would be zeros, the power of ten."""
    return f"{value:.{digits}f}" if value >= 0.5 * 10**-digits else f"{value:.0e}"


def silicon(found: Mapping[str, Any]) -> str:
    """Lattice constant and mode at Γ."""
    if "lattice" not in found:
        return "–"
    gamma = f"{found['gamma']:.2f}" if "gamma" in found else "–"
    return f"{found['lattice']:.3f} · {gamma}"


class Side:
    """What was found of one data set, by name of a row and size."""

    def __init__(self, found: Sequence[Found], data: str):
        self.own = [one for one in found if one.cell.data == data]
        self.sizes = sorted({one.cell.size for one in self.own})
        self.names = list(dict.fromkeys(name for one in self.own for name in one.cell.rows))

    def rows(self, name: str, part: str) -> list[Mapping[str, Any]]:
        """A part of what was measured at each size, with the first seed."""
        by_size = {
            one.cell.size: one.row(name).get(part) or {}
            for one in self.own
            if one.cell.seed == 0 and name in one.cell.rows
        }
        return [by_size.get(size, {}) for size in self.sizes]

    @property
    def heads(self) -> list[str]:
        """Of the columns of sizes."""
        return [f"{size} structures" for size in self.sizes]

    def accuracy(self) -> str:
        """Errors by size; rotational error and cost of the largest training that was measured."""
        lines = []
        for name in self.names:
            tested = self.rows(name, "all")
            if any(tested):
                errors = [pair(one, "energy", "force") for one in tested]
                cost = milliseconds(self.last(name, "all"))
                lines.append([name, *errors, self.rotated(name), cost])
        return markdown([ERRORS, *self.heads, ROTATED, "ms per atom"], lines)

    def rotated(self, name: str) -> str:
        """Rotational error of the largest training that was measured."""
        found = self.last(name, "rotation")
        return pair(found, "energy_rotation", "force_rotation", 2)

    def last(self, name: str, part: str) -> Mapping[str, Any]:
        """A part of the largest training of which there is one; empty without any."""
        return next((one for one in reversed(self.rows(name, part)) if one), {})

    def symmetrized(self) -> str:
        """Plain and symmetrized PET, the same weights on the same few; and another seed."""
        lines = []
        for one in sorted(self.own, key=lambda one: (one.cell.size, one.cell.seed)):
            for name in one.cell.rows if one.cell.rival == "PET" else ():
                if not (row := one.row(name)):
                    continue
                seed = ", second seed" if one.cell.seed else ""
                lines.append(
                    [f"{name}, {one.cell.size}{seed}", pair(row["few"], "energy", "force"),
                     pair(row["rotation"], "energy_rotation", "force_rotation", 2),
                     milliseconds(row["few"])]
                )  # fmt: skip
        return markdown([ERRORS, "on the few", ROTATED, "ms per atom"], lines)

    def crystal(self) -> str:
        """Relaxation and phonon of silicon, and what failed."""
        lines = []
        for name in self.names:
            found = self.rows(name, "silicon")
            if any(found):
                each = zip(self.sizes, found, strict=True)
                why = [f"{size}: {one['failure']}" for size, one in each if one.get("failure")]
                frozen = next((one["frozen"] for one in reversed(found) if "frozen" in one), ())
                modes = " · ".join(f"{mode:.2f}" for mode in frozen) or "–"
                lines.append([name, *map(silicon, found), modes, "; ".join(why) or "none"])
        known = f"{SILICON[0]:.3f} · {SILICON[1]:.2f}"
        lines.append(["PBE · measured", *[known] * len(self.sizes), "", ""])
        moved = " and ".join(f"{length:g}" for length in MOVED)
        head = ["a in Å · mode at Γ in THz", *self.heads, f"Γ, moved {moved} Å", "failures"]
        return markdown(head, lines)


def trainings(found: Sequence[Found], missing: Mapping[str, str]) -> str:
    """What each rival is, what the budget bought, and what broke down."""
    lines = []
    for rival in dict.fromkeys(one.cell.rival for one in found):
        own = [one for one in found if one.cell.rival == rival]
        why = dict.fromkeys(f"{one.cell.name}: {one.failure}" for one in own if one.failure)
        if rival in missing:
            why[missing[rival]] = None
        trained = [one.trained for one in own if one.trained]
        steps = sorted(each["steps"] for each in trained)
        budgets = sorted({f"{each['budget']:g}" for each in trained})
        parameters = sorted({each["parameters"] for each in trained})
        lines.append(
            [rival, import_module(f"rivals.{MODULES[rival]}").ABOUT,
             " to ".join(f"{n / 1000:.0f}k" for n in (parameters[:1] + parameters[1:][-1:])) or "–",
             ", ".join(budgets) or "–",
             f"{steps[0]} to {steps[-1]}" if steps else "–", "; ".join(why) or "none"]
        )  # fmt: skip
    head = [f"cutoff {CUTOFF} Å", "what it is", "parameters", "CPU s", "steps", "failures"]
    return markdown(head, lines)


def report(found: Sequence[Found], missing: Mapping[str, str]) -> str:
    """All tables.

    Parameters
    ----------
    missing
        Rival → why its process ended early.
    """
    parts = [trainings(found, missing)]
    for data in dict.fromkeys(one.cell.data for one in found):
        side, title = Side(found, data), DATA_SETS[data].title
        parts += [f"### {title[0].upper()}{title[1:]}", side.accuracy(), side.symmetrized()]
        if data == "Si":
            parts.append(side.crystal())
    return "\n\n".join(parts)
