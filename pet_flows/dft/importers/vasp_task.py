"""A VASP task document (emmet's ``TaskDoc``) → references of ``static``, ``relax`` or ``md``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from pet_flows.dft.importers import vasp_dynamics
from pet_flows.dft.importers.energies import entry_of, lattice, static_arrays, static_of_task
from pet_flows.dft.importers.found import Found, JobFacts
from pet_flows.dft.importers.given_level import completed
from pet_flows.dft.level import LevelOfTheory
from pet_flows.dft.reference import Reference
from pet_flows.errors import PetFlowsError

CLASSES = ("TaskDoc", "CoreTaskDoc", "TaskDocument", "ValidationTaskDoc")

_INPUT = (
    "incar", "hubbards", "is_hubbard", "potcar_spec.titel", "potcar_spec.hash", *(
        f"parameters.{tag}" for tag in (
            "GGA", "METAGGA", "ISPIN", "IVDW", "ENMAX", "LNONCOLLINEAR", "LSORBIT", "LASPH",
            "IBRION", "ISIF", "PSTRESS", *vasp_dynamics.TAGS,
        )
    ),
)  # fmt: skip
FIELDS = (
    "structure", "output.energy", "output.forces", "output.stress", "state", "dir_name",
    "run_type", "calcs_reversed.run_type", "task_type", "calcs_reversed.task_type",
    "entry.data", "entry.parameters.run_type", "material_id", "task_id",
    *(f"input.{name}" for name in _INPUT), *(f"calcs_reversed.input.{name}" for name in _INPUT),
)  # fmt: skip
"""What is read of it. POTCARs are their titles and hashes, not their statistics."""

#: beginnings of emmet's names for what is neither a static calculation nor a relaxation
_OTHERS = ("NSCF", "Optic", "NMR")
_DYNAMICS = "Molecular Dynamics"
_RELAXATION = "Structure Optimization"


def references(found: Found) -> Iterator[Reference]:
    """References of one document: ``static``, and ``relax`` of a relaxation of the cell; ``md``.

    Raises
    ------
    PetFlowsError
        It did not end well, or its energy is not that of a structure at rest without pressure.
    """
    kind = _kind(found)
    state = found.at("state")
    # dynamics that was stopped is shorter, and no worse
    if kind != _DYNAMICS and state is not None and _value(state) != "successful":
        raise PetFlowsError(
            f"VASP did not end successfully (state {_value(state)}): run it again, or leave it out."
        )
    if kind.startswith(_OTHERS):
        raise PetFlowsError(
            f"It is of the type {kind}, whose energy is not that of a structure: leave it out."
        )
    tags = _tags(found)
    if pressure := float(tags.get("PSTRESS") or 0.0):
        raise PetFlowsError(
            f"It was calculated under a pressure of {pressure:g} kbar (PSTRESS): leave it out, "
            "because records are compared without one."
        )
    if kind == _DYNAMICS:
        level = found.options.level_of(partial(level_of, found))
        yield from vasp_dynamics.references(found, tags, level)
        return
    structure = found.structure()
    result = static_of_task(found, structure)
    level = found.options.level_of(partial(level_of, found))
    entry = entry_of(
        structure,
        result["energy_per_atom"],
        _parameters(found),
        _data(found),
        found.at("task_id") and str(found.at("task_id")),
    )
    arrays = static_arrays(structure, found.at("output.forces"))
    yield found.reference("static", result, structure, level, entry=entry, arrays=arrays)
    if kind == _RELAXATION:
        relaxed = {**result, "lattice": lattice(structure), "converged": True}
        yield found.reference("relax", relaxed, structure, level, entry=entry)


def level_of(found: Found) -> LevelOfTheory:
    """Level of theory of the last run in the folder of a document.

    Raises
    ------
    PetFlowsError
        As :meth:`~pet_flows.dft.level.LevelOfTheory.from_run_type`, where no functional was given.
    """
    given = _last_input(found)
    run_type = _run_type(found)
    hubbards = {
        element: float(value) for element, value in (given.get("hubbards") or {}).items() if value
    }
    if "functional" in found.options.level:
        named = str(completed(found.options.level)["functional"])
        run_type = named + "+U" * run_type.endswith("+U")
    elif not run_type:
        raise PetFlowsError("The document has no run_type: give --level functional=PBE.")
    titles = [str(one["titel"]) for one in _potcars(found) if one["titel"]]
    return LevelOfTheory.from_run_type(
        run_type, incar=_tags(found) or None, hubbards=hubbards, titles=titles or None
    )


def facts(found: Found) -> JobFacts:
    """What a document says of others that were made of it."""
    steps = _tags(found).get("NSW")
    return JobFacts(
        found.options.level_of(partial(level_of, found)),
        None if steps is None else int(steps) > 0,
    )


def _last_input(found: Found) -> Mapping[str, Any]:
    """Input of the last run: ``input`` of a document is that of the first one of its folder."""
    last = found.at("calcs_reversed.0.input") or {}
    first = found.at("input") or {}
    # an empty value of the last run is none of the first
    return {**first, **{name: value for name, value in last.items() if value is not None}}


def _tags(found: Found) -> dict[str, Any]:
    """All tags that are known, those that the user wrote last; VASP mangles them in parameters."""
    given = _last_input(found)
    parameters = {
        str(name).strip(): value for name, value in (given.get("parameters") or {}).items()
    }
    tags = {**parameters, **(given.get("incar") or {})}
    if "ENCUT" not in tags and tags.get("ENMAX"):
        tags["ENCUT"] = tags["ENMAX"]
    return tags


def _run_type(found: Found) -> str:
    """Of the last run; documents of before 2025 have it only there and in their entry."""
    paths = ("run_type", "calcs_reversed.0.run_type", "entry.parameters.run_type")
    return str(next(filter(None, (_value(found.at(path)) for path in paths)), ""))


def _kind(found: Found) -> str:
    """What kind of calculation the last run was, as emmet calls it."""
    for path in ("task_type", "calcs_reversed.0.task_type"):
        if said := _value(found.at(path)):
            return str(said)
    from emmet.core.vasp.calc_types import task_type

    return str(_value(task_type({"incar": _tags(found)})))


def _potcars(found: Found) -> list[dict[str, Any]]:
    spec = _last_input(found).get("potcar_spec") or ()
    return [{name: one.get(name) for name in ("titel", "hash")} for one in spec]


def _parameters(found: Found) -> dict[str, Any]:
    """What pymatgen's corrections know a calculation by."""
    given = _last_input(found)
    return {
        "run_type": _run_type(found),
        "is_hubbard": bool(given.get("is_hubbard")),
        "hubbards": dict(given.get("hubbards") or {}),
        "potcar_spec": _potcars(found),
    }


def _data(found: Found) -> dict[str, Any]:
    """Data of the document's own entry, without the date on which emmet read it."""
    held = found.at("entry.data") or {}
    return {key: value for key, value in held.items() if key != "last_updated"}


def _value(said: Any) -> Any:
    """Value of an enum, which a document read from a file may hold."""
    return getattr(said, "value", said)
