"""What ``screen`` and ``submit`` share: their arguments, and the campaign made of them."""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from pet_flows.errors import PetFlowsError

if TYPE_CHECKING:
    from jobflow import Flow, JobStore

    from pet_flows.inputs.structure import InputStructure

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        help="Files (CIF, POSCAR, extxyz, JSON, ASE database), folders, globs, or "
        "prototypes:Li,Si,... (each element in sc, bcc, fcc, hcp, diamond)."
    ),
]
Properties = Annotated[
    str,
    typer.Option(
        "--properties", "-p", help="Of relax, static, eos, elastic, phonon, qha, kappa, md."
    ),
]
Model = Annotated[
    str | None,
    typer.Option(help="Bundled name, upet name, or a .ckpt or .pt file (default: pet-mvl)."),
]
Symmetrize = Annotated[
    str | None,
    typer.Option(help="none, crystal, ecse, grid:icosahedral, ... (default: crystal)."),
]
Dtype = Annotated[str | None, typer.Option(help="float64 (default) or float32.")]
Device = Annotated[str | None, typer.Option(help="auto (default), cpu, cuda or cuda:N.")]
Name = Annotated[str, typer.Option("--name", "-n", help="Name of the campaign.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Structures per job.")]
FromStore = Annotated[
    str | None,
    typer.Option("--from-store", help="Collection of your database to take structures from."),
]
Query = Annotated[str, typer.Option(help="Which documents of --from-store, as JSON.")]
StructurePath = Annotated[str, typer.Option(help="Where in those documents the structure is.")]
Trust = Annotated[bool, typer.Option("--trust", help="Open the pickled checkpoint --model names.")]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Compute failed records again, whatever the reason.")
]


@dataclass(frozen=True)
class Asked:
    """A campaign as asked for on the command line."""

    inputs: Inputs = None
    properties: Properties = "relax,eos,phonon,static"
    model: Model = None
    symmetrize: Symmetrize = None
    dtype: Dtype = None
    device: Device = None
    name: Name = "screen"
    batch_size: BatchSize = 64
    from_store: FromStore = None
    query: Query = "{}"
    structure_path: StructurePath = "structure"
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


@dataclass
class Campaign:
    """A flow, the store it writes to, and how many structures it has.

    Without structures that are left to do there is no flow.
    """

    flow: Flow | None
    store: JobStore
    n_inputs: int
    properties: tuple[str, ...]
    n_done: int = 0


def build_campaign(asked: Asked, *, only_missing: bool = False) -> Campaign:
    """Read the inputs, register the campaign, and make its flow.

    Parameters
    ----------
    asked
        The arguments.
    only_missing
        Whether structures all of whose records are there are left out of the flow.

    Raises
    ------
    PetFlowsError
        Anything about the arguments that cannot be.
    """
    from pet_flows.models.resolve import resolve
    from pet_flows.models.spec import PotentialSpec
    from pet_flows.settings import get_settings

    settings = get_settings()
    wanted = {
        "model": asked.model or settings.model,
        "symmetrization": asked.symmetrize or settings.symmetrization,
        "dtype": asked.dtype or settings.dtype,
        "device": asked.device or settings.device,
    }
    if asked.dtype and asked.dtype not in ("float32", "float64"):  # settings are checked as read
        raise PetFlowsError(f"--dtype is float64 or float32, not {asked.dtype!r}.")
    # says what is wrong with a name before jobflow and the stores are imported
    spec = resolve(PotentialSpec(**wanted), trust=asked.trust).spec  # type: ignore[arg-type]
    from pet_flows.flows.screen import ScreenMaker
    from pet_flows.jobs.items import by_reference
    from pet_flows.store.locate import open_job_store
    from pet_flows.store.results import ResultStore

    chosen = tuple(word.strip() for word in asked.properties.split(",") if word.strip())
    maker = ScreenMaker(
        name=asked.name,
        properties=chosen,
        potential=spec,
        batch_size=asked.batch_size,
        retry_failed=asked.retry_failed,
    )
    job_store = open_job_store()
    structures = _read(asked, job_store)
    results = ResultStore.from_job_store(job_store)
    manifest = maker.manifest(structures)
    results.campaigns.put(manifest)
    inputs = by_reference(structures, results)
    left = inputs
    if only_missing:
        from pet_flows.launch.remaining import remaining

        left = remaining(maker, inputs, results)
    flow = maker.make(left, manifest) if left else None
    n_done = len(inputs) - len(left)
    return Campaign(flow, job_store, len(inputs), tuple(maker.properties), n_done)


def _read(asked: Asked, job_store: JobStore) -> list[InputStructure]:
    from pet_flows.inputs.sources import read_inputs

    if not asked.from_store and (asked.query, asked.structure_path) != ("{}", "structure"):
        raise PetFlowsError(
            "--query and --structure-path say which documents of a collection are meant: name it "
            "with --from-store."
        )
    found: list[InputStructure] = []
    if asked.inputs:
        found += read_inputs(asked.inputs)
    if asked.from_store:
        from pet_flows.inputs.database import read_store

        found += read_store(
            job_store.docs_store,
            parse_query(asked.query),
            asked.structure_path,
            collection=asked.from_store,
        )
    if not found:
        raise PetFlowsError(
            "There is nothing to screen: give files, folders, prototypes:Li,Si or --from-store."
        )
    return found


def counted(number: int, word: str) -> str:
    """``1 record``, ``2 records``."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


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
        raise PetFlowsError(f"The query {text!r} is no JSON object {{...}}.")
    return query
