"""A task document of atomate2's force fields → references of ``static`` and ``relax``."""

from __future__ import annotations

from collections.abc import Iterator

from pet_flows.dft.importers.energies import entry_of, lattice, static_arrays, static_of_task
from pet_flows.dft.importers.found import Found, JobFacts
from pet_flows.dft.level import FORCE_FIELD, LevelOfTheory
from pet_flows.dft.reference import Reference
from pet_flows.errors import PetFlowsError

CLASSES = ("ForceFieldTaskDocument", "AseStructureTaskDoc", "AseStructureTaskDocument")

FIELDS = (
    "structure", "output.energy", "output.forces", "output.stress", "state", "is_force_converged",
    "forcefield_name", "forcefield_version", "ase_calculator_name", "input.relax_cell",
    "input.steps", "input.relax_kwargs", "dir_name", "material_id",
)  # fmt: skip


def references(found: Found) -> Iterator[Reference]:
    """References of one document: ``static``, and ``relax`` where the cell relaxed.

    Raises
    ------
    PetFlowsError
        It did not end well, or is molecular dynamics.
    """
    if _moved(found):
        raise PetFlowsError(
            "It is molecular dynamics, whose last frame is not a result, and it does not say how "
            "it was made: add the trajectory itself (traj_file of its maker) with --md and --level."
        )
    state = found.at("state")
    if state is not None and state != "successful":
        raise PetFlowsError(
            f"The calculation did not end successfully (state {state}): run it again."
        )
    relaxed = facts(found).ions_relaxed
    if relaxed and found.at("is_force_converged") is False:
        raise PetFlowsError(
            "The relaxation did not converge (is_force_converged is false): run it again with "
            "more steps."
        )
    structure = found.structure()
    result = static_of_task(found, structure)
    level = level_of(found)
    entry = entry_of(structure, result["energy_per_atom"], {"run_type": level.functional})
    arrays = static_arrays(structure, found.at("output.forces"))
    yield found.reference("static", result, structure, level, entry=entry, arrays=arrays)
    if relaxed and found.at("input.relax_cell"):
        final = {**result, "lattice": lattice(structure), "converged": True}
        yield found.reference("relax", final, structure, level, entry=entry)


def _moved(found: Found) -> bool:
    """Whether atoms moved at a temperature: relaxations say how they were made, and how they ended.

    A document of dynamics says neither, and ``relax_cell`` of all that changed its cell.
    """
    steps = found.at("input.steps")
    said = found.at("input.relax_kwargs"), found.at("is_force_converged"), found.at("state")
    return steps is not None and int(steps) > 1 and said == (None, None, None)


def level_of(found: Found) -> LevelOfTheory:
    """A force field is a level of its own: what it was trained on is for the user to say."""
    name = found.at("forcefield_name") or found.need("ase_calculator_name")
    version = found.at("forcefield_version")
    return LevelOfTheory(
        functional=str(name).removeprefix("MLFF."),
        code=FORCE_FIELD,
        settings=f"version {version}" if version not in (None, "", "Unknown") else None,
    )


def facts(found: Found) -> JobFacts:
    """What a document says of others that were made of it."""
    steps = found.at("input.steps")
    return JobFacts(level_of(found), None if steps is None else int(steps) > 1)
