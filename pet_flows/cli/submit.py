"""``pet-flows submit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pet_flows.cli.campaign import (
    BatchSize,
    Device,
    Dtype,
    FromStore,
    Inputs,
    Model,
    Name,
    Properties,
    Query,
    RetryFailed,
    StructurePath,
    Symmetrize,
    Trust,
    build_campaign,
)

Category = Annotated[str | None, typer.Option(help="pet-gpu or pet-cpu. [by --device]")]
LaunchpadFile = Annotated[
    Path | None, typer.Option("--launchpad", "-l", help="my_launchpad.yaml, if not the usual one.")
]
Priority = Annotated[int | None, typer.Option(help="Larger runs first.")]


def command(
    inputs: Inputs = None,
    properties: Properties = "relax,eos,phonon,static",
    model: Model = None,
    symmetrize: Symmetrize = None,
    dtype: Dtype = None,
    device: Device = None,
    name: Name = "screen",
    batch_size: BatchSize = 64,
    from_store: FromStore = None,
    query: Query = "{}",
    structure_path: StructurePath = "structure",
    trust: Trust = False,
    retry_failed: RetryFailed = False,
    category: Category = None,
    launchpad: LaunchpadFile = None,
    priority: Priority = None,
) -> None:
    """Put a campaign on the LaunchPad; `pet-flows worker` runs it.

    Needs a MongoDB: a jobflow.yaml for the results and a my_launchpad.yaml for the fireworks.
    """
    from pet_flows.launch.launchpad import load_launchpad, shared_job_store
    from pet_flows.launch.submit import submit

    shared_job_store().close()  # a server for the results, or the sentence why not
    pad = load_launchpad(launchpad)
    campaign = build_campaign(
        inputs=inputs, properties=properties, model=model, symmetrize=symmetrize, dtype=dtype,
        device=device, name=name, batch_size=batch_size, from_store=from_store, query=query,
        structure_path=structure_path, trust=trust, retry_failed=retry_failed,
    )  # fmt: skip
    ids = submit(campaign.flow, category=category, launchpad=pad, priority=priority)
    typer.echo(
        f"Campaign {name}: {campaign.n_inputs} structures in {len(ids)} fireworks "
        f"({min(ids)} to {max(ids)}). Run pet-flows worker, look with lpad get_fws."
    )
