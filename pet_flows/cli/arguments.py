"""The arguments that ``screen`` and ``submit`` share."""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, get_type_hints

import typer

from pet_flows.errors import PetFlowsError

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        help="Files (CIF, POSCAR, extxyz, JSON, ASE database), folders, globs, or "
        "prototypes:Li,Si,... (each element in sc, bcc, fcc, hcp, diamond); or first a campaign "
        "file (.yaml, see pet-flows init), whose values the options replace."
    ),
]
Properties = Annotated[
    str | None,
    typer.Option(
        "--properties",
        "-p",
        help="Separated by commas (default: relax,eos,phonon,static); see pet-flows settings.",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="PROPERTY.SETTING=VALUE",
        help="A setting, such as md.temperature=600 or execution.chunk_atoms=300; repeatable. "
        "pet-flows settings PROPERTY lists them.",
    ),
]
Model = Annotated[
    list[str] | None,
    typer.Option(
        help="Bundled name, upet name, a .ckpt or .pt file, or another family's, such as "
        "sevenn:7net-0 (default: pet-mvl); repeatable."
    ),
]
Variant = Annotated[
    str | None, typer.Option(help="Which of the model's levels of theory, such as pbesol.")
]
Symmetrize = Annotated[
    str | None,
    typer.Option(
        help="none, crystal, ecse, grid:icosahedral, ... (default: crystal, and none for other "
        "families)."
    ),
]
Dtype = Annotated[str | None, typer.Option(help="float64 (default) or float32.")]
Device = Annotated[str | None, typer.Option(help="auto (default), cpu, cuda or cuda:N.")]
Name = Annotated[
    str | None, typer.Option("--name", "-n", help="Name of the campaign (default: screen).")
]
BatchSize = Annotated[int | None, typer.Option(help="Structures per job (default: 64).")]
FromStore = Annotated[
    str | None,
    typer.Option("--from-store", help="Collection of your database to take structures from."),
]
Query = Annotated[str | None, typer.Option(help="Which documents of --from-store, as JSON.")]
StructurePath = Annotated[
    str | None,
    typer.Option(
        help="Where the structure is in documents of --from-store or of JSON files, such as "
        "output.structure."
    ),
]
Trust = Annotated[bool, typer.Option("--trust", help="Open the pickled checkpoint --model names.")]
RetryFailed = Annotated[
    bool,
    typer.Option("--retry-failed", help="Compute failed records again, for any reason they have."),
]


@dataclass(frozen=True)
class Asked:
    """A campaign as asked for on the command line; None where nothing was said."""

    inputs: Inputs = None
    properties: Properties = None
    settings: Set = None
    model: Model = None
    variant: Variant = None
    symmetrize: Symmetrize = None
    dtype: Dtype = None
    device: Device = None
    name: Name = None
    batch_size: BatchSize = None
    from_store: FromStore = None
    query: Query = None
    structure_path: StructurePath = None
    trust: Trust = False
    retry_failed: RetryFailed = False


def campaign_command(function: Callable[..., None]) -> Callable[..., None]:
    """A command with the arguments of `Asked` before its own; the function is given an `Asked`."""

    def command(**given: Any) -> None:
        asked = Asked(**{field.name: given.pop(field.name) for field in fields(Asked)})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other packages; ours are in the records
            function(asked, **given)

    def parameters(of: Callable[..., Any], leave_out: int) -> list[inspect.Parameter]:
        hints = get_type_hints(of, include_extras=True)
        known = list(inspect.signature(of).parameters.values())[leave_out:]
        return [
            p.replace(annotation=hints[p.name], kind=inspect.Parameter.KEYWORD_ONLY) for p in known
        ]

    accepted = [*parameters(Asked, 0), *parameters(function, 1)]
    command.__signature__ = inspect.Signature(accepted)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in accepted}
    command.__doc__ = function.__doc__
    return command


CampaignName = Annotated[str, typer.Argument(help="Name of the campaign.")]


def parse_query(text: str) -> dict[str, Any]:
    """Decode a MongoDB query given as JSON (extended JSON for dates and ids).

    Raises
    ------
    PetFlowsError
        It is not JSON, or not an object.
    """
    from bson import json_util
    from bson.errors import BSONError

    try:
        query = json_util.loads(text)
    except json.JSONDecodeError as error:
        raise PetFlowsError(
            f"The query {text!r} is not JSON ({error.msg} at character {error.pos}); write it "
            """like '{"state": "ok", "elements": "Si"}'."""
        ) from None
    except (ValueError, TypeError, BSONError) as error:
        raise PetFlowsError(f"The query {text!r} holds an impossible value: {error}") from None
    if not isinstance(query, dict):
        raise PetFlowsError(f"The query {text!r} must be a JSON object: write {{...}}.")
    return query
