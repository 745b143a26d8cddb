"""``pet-flows init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pet_flows.errors import PetFlowsError

File = Annotated[Path, typer.Argument(help="Where to write it; a folder gets a campaign.yaml.")]
Properties = Annotated[
    str | None,
    typer.Option(
        "--properties", "-p", help="Separated by commas (default: relax,eos,phonon,static)."
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]


def command(
    file: File = Path("campaign.yaml"), properties: Properties = None, force: Force = False
) -> None:
    """Write a campaign file with every setting explained, for screen and submit."""
    from pet_flows.flows.campaign_file import DEFAULT_PROPERTIES
    from pet_flows.flows.campaign_template import campaign_template

    chosen = [n.strip() for n in (properties or "").split(",") if n.strip()] or DEFAULT_PROPERTIES
    text = campaign_template(chosen)
    path = file / "campaign.yaml" if file.is_dir() else file
    if path.exists() and not force:
        raise PetFlowsError(f"{path} exists already: choose another name, or use --force.")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PetFlowsError(
            f"{path} cannot be written ({error.strerror}): choose another place."
        ) from None
    typer.echo(f"Wrote {path}. Edit it, then run: pet-flows screen {path}")
