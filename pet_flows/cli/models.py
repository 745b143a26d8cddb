"""``pet-flows models``."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Any

import typer

#: columns of the names, and of the whole where there is no terminal to fill
NAMES, WIDTH = 19, 100


def command(
    model: Annotated[
        str | None, typer.Argument(help="Show one model in full: a name or a file.")
    ] = None,
    trust: Annotated[bool, typer.Option("--trust", help="Open this pickled checkpoint.")] = False,
) -> None:
    """List the potentials there are: bundled ones, and the names of the upet hub."""
    if model is not None:
        _show(model, trust)
        return
    from rich.console import Console
    from rich.table import Table

    from pet_flows.models.catalogue import bundled, find
    from pet_flows.models.family import families
    from pet_flows.models.hub import LEVELS, known_names

    table = Table(box=None, header_style="bold")
    for column in ("model", "elements", "functional", "size", "sha256", "licence"):
        table.add_column(column)
    for name, card in bundled().items():
        file = find(name)
        size = f"{file.path.stat().st_size / 1e6:.1f} MB"
        table.add_row(name, " ".join(card["elements"]), card["functional"], size,
                      file.sha256[:12], card["licence"])  # fmt: skip
    for name in known_names():
        level = LEVELS.get(name.rpartition("-")[0], {})
        functional = level.get("functional", "?") + (", +U" if level.get("u") else "")
        table.add_row(name, "see the hub", functional, "download", "", "see the hub")
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    typer.echo("Other families, by name or file:")
    for family in families().values():
        missing = family.needs is not None and find_spec(family.needs) is None
        typer.echo(f"  {family.help}" + (f" (pip install 'pet-flows[{family.name}]')" * missing))


def _show(model: str, trust: bool) -> None:
    """Everything one model file says of itself."""
    from ase.data import chemical_symbols

    from pet_flows.models.resolve import resolve

    found = resolve(model, trust=trust)  # says what is wrong with a name before torch is imported
    from pet_flows.models.load import describe

    file, known = found.file, describe(found)
    card = dict(file.card)
    validation, note = card.pop("validation", {}), card.pop("validation_note", None)
    rows = {
        "name": file.name,
        "description": card.pop("description", None),
        "file": str(file.path),
        "size": f"{file.path.stat().st_size / 1e6:.1f} MB",
        "sha256": file.sha256,
        "elements": " ".join(chemical_symbols[z] for z in known["elements"]),  # type: ignore[attr-defined]
        "functional": found.functional or "not stated",
        "parameters": known.get("parameters"),
        "interaction range": f"{known['interaction_range']} Å",
        "frames": known.get("frames"),
        **{k: v for k, v in card.items() if k not in ("elements", "functional", "path")},
    }
    width = shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH
    for key, value in rows.items():
        if value is not None:
            typer.echo(_wrapped(key.replace("_", " "), value, width))
    if validation:
        typer.echo(
            _wrapped("validation", f"mean absolute errors; {note or ''}".rstrip("; "), width)
        )
        _errors(validation)


def _wrapped(key: str, value: Any, width: int) -> str:
    """A row of the card, below itself where it is long."""
    if isinstance(value, Mapping):
        said = (" ".join(v) if isinstance(v, list) else str(v) for v in value.values())
        value = ", ".join(f"{k} {v}" for k, v in zip(value, said, strict=True))
    paragraphs = value if isinstance(value, list) else [value]
    lines = [
        line
        for one in paragraphs
        for line in textwrap.wrap(
            str(one), max(20, width - NAMES), break_long_words=False, break_on_hyphens=False
        )
    ]
    starts = [key, *[""] * (len(lines) - 1)]
    return "\n".join(f"{a:{NAMES - 1}} {b}" for a, b in zip(starts, lines, strict=True))


def _errors(validation: Mapping[str, Mapping[str, float]]) -> None:
    """The validation errors of each set of elements, as a table."""
    from rich.console import Console
    from rich.table import Table

    columns = {
        "n": ("n_structures", "d"),
        "energy meV/atom": ("energy_mae_meV_per_atom", ".1f"),
        "forces eV/Å": ("forces_mae_eV_per_A", ".3f"),
        "stress GPa": ("stress_mae_GPa", ".2f"),
    }
    table = Table(box=None, header_style="bold")
    table.add_column("elements")
    for column in columns:
        table.add_column(column, justify="right")
    for elements, errors in validation.items():
        cells = [
            format(errors[key], form) if key in errors else "" for key, form in columns.values()
        ]
        table.add_row(elements, *cells)
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)
