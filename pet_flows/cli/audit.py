"""``pet-flows audit``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pet_flows.cli.compare import PICTURES, check_file
from pet_flows.cli.query import Format

if TYPE_CHECKING:
    from ase import Atoms

    from pet_flows.audit.audit import Audit
    from pet_flows.audit.table import Progress

STRATEGIES = (
    "none,grid:tetrahedral,grid:icosahedral,crystal:orientation,crystal,crystal:icosahedral"
)

Model = Annotated[str | None, typer.Option(help="Model to audit (default: pet-mvl).")]
Variant = Annotated[str | None, typer.Option(help="Which of its levels of theory.")]
Structures = Annotated[
    list[str] | None,
    typer.Option(
        help="A file, folder or prototypes:Si,...; may be repeated. By default a perfect and a "
        "rattled crystal."
    ),
]
Strategies = Annotated[str, typer.Option("--symmetrize", help="Strategies, joined by commas.")]
Shape = Annotated[Format, typer.Option("--format", help="A table, or one JSON object.")]
Picture = Annotated[
    Path | None,
    typer.Option(help="Draw errors against evaluations into this file (.png, .pdf, .svg)."),
]
Trust = Annotated[bool, typer.Option("--trust", help="Open this pickled checkpoint.")]


def command(
    model: Model = None,
    variant: Variant = None,
    structures: Structures = None,
    symmetrize: Strategies = STRATEGIES,
    shape: Shape = Format.table,
    picture: Picture = None,
    trust: Trust = False,
) -> None:
    """Measure how symmetric a model is under each symmetrization, in float64.

    Each structure is rotated, inverted, permuted, shifted and given other cells; the default takes
    a minute or two.
    """
    from pet_flows.models.choose import completed
    from pet_flows.models.resolve import resolve
    from pet_flows.symmetrization.spec import canonical_spec

    check_file(picture, PICTURES, "--picture")
    spec = completed(model=model, variant=variant, symmetrization="none", dtype="float64")
    strategies = [canonical_spec(name) for name in symmetrize.split(",") if name.strip()]
    found = resolve(spec, trust=trust)  # says what is wrong with a name before torch is imported
    sys.stderr.write(f"Loading {found.spec.model}\n")
    from pet_flows.audit.table import audit_all
    from pet_flows.engines.ase import SymmetrizedCalculator
    from pet_flows.engines.potential import get_potential
    from pet_flows.errors import PetFlowsError

    potential = get_potential(found)

    def make(strategy: str) -> SymmetrizedCalculator:
        return SymmetrizedCalculator(potential, symmetrization=strategy)

    chosen = _structures(structures, potential.elements)
    if not strategies or not chosen:
        raise PetFlowsError("There is nothing to audit: name a symmetrization and a structure.")
    with _progress() as progress:
        table = audit_all(make, strategies, chosen, progress)
    if shape is Format.json:
        plain = {
            s: {n: a if isinstance(a, str) else a.as_dict() for n, a in row.items()}
            for s, row in table.items()
        }
        sys.stdout.write(json.dumps(plain, indent=1) + "\n")
    else:
        _print(table)
    if picture is not None:
        _draw(table, picture)
        typer.echo(f"Picture in {picture}", err=True)


@contextmanager
def _progress() -> Iterator[Progress]:
    """Say on stderr what is measured: in one changing line, or a line for each combination."""
    if not sys.stderr.isatty():
        told = 0

        def line(number: int, of: int, which: str, what: str) -> None:
            nonlocal told
            if number != told:
                told = number
                sys.stderr.write(f"{number}/{of} {which}\n")
                sys.stderr.flush()

        yield line
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status("") as status:
        yield lambda number, of, which, what: status.update(
            escape(f"{number}/{of} {which}: {what}")
        )


def _structures(given: list[str] | None, elements: frozenset[int]) -> dict[str, Atoms]:
    from pymatgen.io.ase import AseAtomsAdaptor

    from pet_flows.errors import PetFlowsError
    from pet_flows.inputs.prototypes import build_prototype
    from pet_flows.inputs.sources import read_inputs
    from pet_flows.records.structures import atoms_of_structure

    if given:
        chosen: dict[str, Atoms] = {}
        found = read_inputs(given)
        problems = [one.problem[1] for one in found if one.problem is not None]
        if len(problems) == len(found):
            raise PetFlowsError(f"This cannot be audited: {problems[0]}")
        for one in found:
            if one.problem is None and one.structure is not None:
                name, n = one.label, 1
                while name in chosen:  # polymorphs share their formula
                    n += 1
                    name = f"{one.label} ({n})"
                chosen[name] = atoms_of_structure(one.structure)
        return chosen
    from ase.data import chemical_symbols

    element = "Si" if 14 in elements else chemical_symbols[min(elements)]
    perfect = AseAtomsAdaptor.get_atoms(build_prototype(element, "diamond"), msonable=False)
    rattled = perfect * (2, 2, 1)
    rattled.rattle(0.05, seed=0)
    return {f"{element} perfect": perfect, f"{element} rattled": rattled}


def _rows(table: dict[str, dict[str, Audit | str]]) -> list[tuple[str, str, Audit | str]]:
    return [(s, n, audit) for s, row in table.items() for n, audit in row.items()]


def _print(table: dict[str, dict[str, Audit | str]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    out = Table(box=None, header_style="bold")
    for name in ("symmetrization", "structure", "evals", "ms", "energy", "forces", "stress",
                 "cell setting", "site", "O(3) mean"):  # fmt: skip
        out.add_column(name, justify="left" if name in ("symmetrization", "structure") else "right")
    refusals = []
    for strategy, label, found in _rows(table):
        name = escape(label)
        if isinstance(found, str):
            out.add_row(strategy, name, "refused")
            refusals.append(f"{strategy}, {label}: {found}")
            continue
        changes = [found.errors["rotation"], found.errors["inversion"]]
        stresses = [e.stress for e in changes if e.stress is not None]
        setting = found.errors.get("cell setting")
        out.add_row(
            strategy, name, _count(found.n_evaluations), f"{found.milliseconds:.1f}",
            f"{max(e.energy for e in changes):.0e}", f"{max(e.forces for e in changes):.0e}",
            f"{max(stresses):.0e}" if stresses else "", f"{setting.energy:.0e}" if setting else "",
            "" if found.site_symmetry is None else f"{found.site_symmetry:.0e}",
            "" if found.mean_distance is None else f"{found.mean_distance.energy:.0e}",
        )  # fmt: skip
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(out)
    for refusal in refusals:
        console.print(refusal, markup=False)
    console.print(
        "Largest change under rotations and inversion (eV/atom, eV/Å, eV/Å³); energy change with "
        "the setting of the cell; forces that the site symmetry forbids (eV/Å); distance from the "
        "O(3) mean of the model (eV/atom)."
    )


def _count(n: int | None) -> str:
    return "" if n is None else str(n)


def _draw(table: dict[str, dict[str, Audit | str]], path: Path) -> None:
    """Covariance error and distance from the O(3) mean against evaluations."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(next(iter(table.values())))
    figure, axes = plt.subplots(1, len(names), figsize=(5.2 * len(names), 4.2), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        for color, (strategy, row) in enumerate(table.items()):
            found: Any = row[name]
            if isinstance(found, str) or found.n_evaluations is None:
                continue
            error = max(found.errors[k].energy for k in ("rotation", "inversion"))
            style = {"color": f"C{color}", "s": 60, "label": strategy}
            axis.scatter(found.n_evaluations, max(error, 1e-16), **style)
            if found.mean_distance is not None:
                mean = max(found.mean_distance.energy, 1e-16)
                axis.scatter(
                    found.n_evaluations, mean, **{**style, "facecolor": "none", "label": None}
                )
        axis.set(xscale="log", yscale="log", xlabel="model evaluations", title=name)
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("eV/atom: ● change when rotated, ○ distance from the O(3) mean")
    axes[0][-1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=150)
