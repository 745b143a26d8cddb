"""``pet-flows benchmark``."""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pet_flows.cli.arguments import Dtype
from pet_flows.cli.query import Format

if TYPE_CHECKING:
    from pet_flows.compare.benchmark import Line, Sample

Set = Annotated[
    Path,
    typer.Argument(
        metavar="SET",
        help="A set of matcalc's benchmark_data, .json or .json.gz: elasticity, phonon or "
        "equilibrium.",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", help="As for pet-flows screen (default: pet-mvl); repeatable."),
]
Number = Annotated[int, typer.Option("--sample", min=1, help="How many entries, at random.")]
Seed = Annotated[int, typer.Option(help="Of the choice: the same seed gives the same entries.")]
Variant = Annotated[str | None, typer.Option(help="Which of the models' levels of theory.")]
Name = Annotated[
    str | None, typer.Option("--name", "-n", help="Of the campaign (default: after the sample).")
]
Device = Annotated[str | None, typer.Option(help="auto (default), cpu, cuda or cuda:N.")]
Trust = Annotated[bool, typer.Option("--trust", help="Open the checkpoints --model names.")]
Shape = Annotated[Format, typer.Option("--format", help="A table, or one JSON object.")]


def command(
    path: Set,
    models: Models = None,
    sample: Number = 200,
    seed: Seed = 0,
    variant: Variant = None,
    name: Name = None,
    dtype: Dtype = None,
    device: Device = None,
    trust: Trust = False,
    shape: Shape = Format.table,
) -> None:
    """Compute a sample of a public set with potentials, and tell their errors.

    The sample is written into the folder benchmark/, and its values become references of the store.
    Run again, it computes only what is missing.
    """
    from pet_flows.compare.benchmark import take_sample

    taken = take_sample(path, sample, seed, Path("benchmark"))
    from pet_flows.cli.campaign import build_campaign
    from pet_flows.cli.screen import run_here
    from pet_flows.compare.benchmark import lines_of
    from pet_flows.compare.campaign import compare_campaign
    from pet_flows.dft.importers.given_level import parse_level
    from pet_flows.dft.importers.importing import import_references
    from pet_flows.dft.importers.options import Options
    from pet_flows.flows.campaign_file import CampaignFile
    from pet_flows.settings import get_settings
    from pet_flows.store.results import ResultStore
    from pet_flows.validate import validated

    # of two precisions of a potential, means are not taken together
    campaign = name or "-".join(part for part in (taken.file.stem, dtype) if part)
    potentials = [
        {"model": model, "variant": variant, "dtype": dtype, "trust": trust}
        for model in models or [get_settings().model]
    ]
    values = {
        "name": campaign,
        "inputs": [str(taken.file)],
        "potentials": potentials,
        "properties": {name: dict(own) for name, own in taken.kind.properties.items()},
        "execution": {"device": device},
    }
    asked = validated(CampaignFile, values, lambda place: "")
    options = Options(level=parse_level(taken.kind.level))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other packages; ours are in the records
        with ResultStore.open() as store:
            import_references(store, str(taken.file), options=options)
        run_here(build_campaign(asked))
        with ResultStore.open() as store:
            compared = compare_campaign(store, campaign, across_levels=True)
            lines = lines_of(store, compared, taken.kind)
    if shape is Format.json:
        content = {"set": path.name, "kind": taken.kind.name, "n": taken.n, "of": taken.of,
                   "seed": seed, "potentials": [asdict(line) for line in lines]}  # fmt: skip
        sys.stdout.write(json.dumps(content, indent=1) + "\n")
        return
    _print(lines, taken)


def _print(lines: list[Line], taken: Sample) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        box=None, header_style="bold", title_justify="left",
        title=f"{taken.n} of {taken.of} entries: {taken.kind.name}",
    )  # fmt: skip
    for column in ("potential", "quantity"):
        table.add_column(column)
    for column in ("n", "missing", "MAE", "95 %", "bias", "median"):
        table.add_column(column, justify="right")
    for line in lines:
        for error in line.errors:
            low, high = error.mae_interval or (float("nan"), float("nan"))
            table.add_row(
                line.potential, f"{error.name} {error.unit}", str(error.n), str(error.missing),
                f"{error.mae:.4g}",
                f"{low:.4g} … {high:.4g}", f"{error.bias:+.4g}", f"{error.median:.4g}",
            )  # fmt: skip
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(table)
    for line in lines:
        counts = ", ".join(
            f"{name}: " + " ".join(f"{n} {state}" for state, n in sorted(states.items()))
            for name, states in line.states.items()
        )
        console.print(f"{line.potential}: {counts}; {line.unstable} called unstable")
        for reason, n in sorted(line.reasons.items(), key=lambda item: -item[1]):
            console.print(f"  {n} {reason}")
