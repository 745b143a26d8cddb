"""``pet-flows export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ase import Atoms


def command(
    model: Annotated[str, typer.Argument(help="Model: a bundled name, a upet name or a file.")],
    symmetrize: Annotated[
        str, typer.Option(help="Symmetrization, such as grid:icosahedral or crystal.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, ending in .pt.")],
    reference: Annotated[
        str | None,
        typer.Option(help="For crystal: a file with the crystal that goes into the model file."),
    ] = None,
    dtype: Annotated[str, typer.Option(help="float64 or float32.")] = "float64",
    chunk_atoms: Annotated[
        int | None, typer.Option(min=1, help="Atoms evaluated together; bounds the memory.")
    ] = None,
    trust: Annotated[bool, typer.Option("--trust", help="Open this pickled checkpoint.")] = False,
) -> None:
    """Write a symmetrized model as one file, which any metatomic engine runs by itself."""
    from pet_flows.errors import PetFlowsError
    from pet_flows.models.resolve import resolve
    from pet_flows.models.spec import PotentialSpec

    if dtype not in ("float32", "float64"):
        raise PetFlowsError(f"--dtype must be float32 or float64 (got {dtype!r}).")
    spec = PotentialSpec(model=model, symmetrization=symmetrize, dtype=dtype)  # type: ignore[arg-type]
    found = resolve(spec, trust=trust)  # says what is wrong with a name before torch is imported
    from pet_flows.export.model import export_model

    atoms = None if reference is None else _only_structure(reference)
    path = export_model(found, output, atoms, chunk_atoms)
    typer.echo(f"{path} ({path.stat().st_size / 1e6:.1f} MB): {model} with {symmetrize}, {dtype}")


def _only_structure(source: str) -> Atoms:
    """The one structure of a source."""
    from pymatgen.io.ase import AseAtomsAdaptor

    from pet_flows.errors import PetFlowsError
    from pet_flows.inputs.sources import read_inputs

    found = read_inputs([source])
    if len(found) != 1:
        raise PetFlowsError(
            f"--reference needs one structure, but {source} holds {len(found)}; give a file with "
            "the crystal alone."
        )
    structure, problem = found[0].structure, found[0].problem
    if structure is None or problem is not None:
        why = "It holds no structure: give another file." if problem is None else problem[1]
        raise PetFlowsError(f"The reference {source} cannot be used. {why}")
    return AseAtomsAdaptor.get_atoms(structure, msonable=False)
