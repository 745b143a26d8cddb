"""What ``screen`` and ``submit`` share: their arguments, and the campaign made of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

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
    str, typer.Option("--properties", "-p", help="Of relax, static, eos, phonon, md.")
]
Model = Annotated[
    str | None, typer.Option(help="Bundled name, upet name, or a .ckpt or .pt file. [pet-mvl]")
]
Symmetrize = Annotated[
    str | None,
    typer.Option(help="none, grid:icosahedral, crystal, crystal:icosahedral, ... [crystal]"),
]
Dtype = Annotated[str | None, typer.Option(help="float64 or float32. [float64]")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N. [auto]")]
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


@dataclass
class Campaign:
    """A flow, the store it writes to, and how many structures it has."""

    flow: Flow
    store: JobStore
    n_inputs: int
    properties: tuple[str, ...]


def build_campaign(
    *,
    inputs: list[str] | None,
    properties: str,
    model: str | None,
    symmetrize: str | None,
    dtype: str | None,
    device: str | None,
    name: str,
    batch_size: int,
    from_store: str | None,
    query: str,
    structure_path: str,
    trust: bool,
    retry_failed: bool,
) -> Campaign:
    """Read the inputs, register the campaign, and make its flow.

    Raises
    ------
    PetFlowsError
        Anything about the arguments that cannot be.
    """
    from pet_flows.engines.resolve import resolve
    from pet_flows.flows.screen import ScreenMaker
    from pet_flows.jobs.items import by_reference
    from pet_flows.models.spec import PotentialSpec
    from pet_flows.settings import get_settings
    from pet_flows.store.locate import open_job_store
    from pet_flows.store.results import ResultStore

    settings = get_settings()
    wanted = {
        "model": model or settings.model,
        "symmetrization": symmetrize or settings.symmetrization,
        "dtype": dtype or settings.dtype,
        "device": device or settings.device,
    }
    if wanted["dtype"] not in ("float32", "float64"):
        raise PetFlowsError(f"--dtype is float64 or float32, not {dtype!r}.")
    chosen = tuple(word.strip() for word in properties.split(",") if word.strip())
    maker = ScreenMaker(
        name=name,
        properties=chosen,
        potential=resolve(PotentialSpec(**wanted), trust),  # type: ignore[arg-type]
        batch_size=batch_size,
        retry_failed=retry_failed,
    )
    job_store = open_job_store()
    structures = _read(inputs, job_store, from_store, query, structure_path)
    results = ResultStore.from_job_store(job_store)
    results.put_campaign(maker.manifest(structures))
    flow = maker.make(by_reference(structures, results))
    return Campaign(flow, job_store, len(structures), chosen)


def _read(
    inputs: list[str] | None,
    job_store: JobStore,
    from_store: str | None,
    query: str,
    structure_path: str,
) -> list[InputStructure]:
    from pet_flows.inputs.sources import read_inputs

    found: list[InputStructure] = []
    if inputs:
        found += read_inputs(inputs)
    if from_store:
        from pet_flows.inputs.database import read_store

        documents = job_store.docs_store
        found += read_store(documents, parse_query(query), structure_path, collection=from_store)
    if not found:
        raise PetFlowsError(
            "There is nothing to screen: give files, folders, prototypes:Li,Si or --from-store."
        )
    return found


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
