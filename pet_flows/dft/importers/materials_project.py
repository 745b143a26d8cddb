"""Documents of the Materials Project (emmet's models) → references."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pymatgen.core import Structure

from pet_flows.dft.importers import elastic, phonon
from pet_flows.dft.importers.energies import entry_of, lattice
from pet_flows.dft.importers.found import Found, date_of, structure_in
from pet_flows.dft.level import LevelOfTheory
from pet_flows.dft.material_ids import normalized
from pet_flows.dft.reference import Reference
from pet_flows.errors import PetFlowsError

DATABASE = "Materials Project"
LICENCES = {"BY-C": "CC BY 4.0", "BY-NC": "CC BY-NC 4.0"}

#: what is said of a material's place in its database's phase diagram
_HULL = (
    "thermo_type", "energy_above_hull", "formation_energy_per_atom", "is_stable",
)  # fmt: skip


@dataclass(frozen=True)
class DocumentModel:
    """One of emmet's models.

    Parameters
    ----------
    collection
        Its name in the Materials Project.
    tells
        Whether a document is of this model.
    references
        Document → its references.
    """

    collection: str
    tells: Callable[[Mapping[str, Any]], bool]
    references: Callable[[Found], Iterator[Reference]]


def of_entries(found: Found) -> Iterator[Reference]:
    """References of ``static`` and ``relax`` from a ``ThermoDoc`` or a ``MaterialsDoc``.

    One for each functional that it has an entry of; energies are those of VASP, without the
    corrections that make its own ``energy_per_atom``. All of the Materials Project's calculations
    are spin-polarized.

    Raises
    ------
    PetFlowsError
        It has no entries, or one of them no structure.
    """
    entries = found.need("entries")
    given = {name: entry for name, entry in entries.items() if entry is not None}
    if not given:
        raise PetFlowsError("The document has no entries: download it with all its fields.")
    for name, entry in given.items():
        if not entry.get("structure"):
            raise PetFlowsError(
                f"The entry {name} has no structure: download the document with all its fields."
            )
        yield from _of_entry(found, name, entry)


def _of_entry(found: Found, name: str, entry: Mapping[str, Any]) -> Iterator[Reference]:
    structure = structure_in(entry["structure"])
    # pymatgen's own energy: corrections are beside it, in energy_adjustments
    energy = float(entry["energy"]) / len(structure)
    run_type = _run_type(name, entry)
    parameters = {**(entry.get("parameters") or {}), "run_type": run_type}
    one = replace(
        found,
        name=f"{found.name} {run_type}",
        content={"material_id": found.at("material_id"), **entry.get("data", {})},
    )
    said = {name: found.at(name) for name in _HULL if found.at(name) is not None}
    if found.at("energy_type") in (None, run_type) and found.at("thermo_type") is not None:
        said["corrected_energy_per_atom"] = found.at("energy_per_atom")
    held = entry_of(
        structure,
        energy,
        parameters,
        {**(entry.get("data") or {}), **said},
        _entry_id(found, run_type),
    )
    for property, result in _results(energy, structure):
        yield one.reference(
            property,
            result,
            structure,
            lambda: _level(run_type, parameters),
            entry=held,
            problems=_deprecated(found),
        )


def _run_type(name: str, entry: Mapping[str, Any]) -> str:
    said = (entry.get("parameters") or {}).get("run_type")
    return str(said or name.replace("_U", "+U"))


def _results(energy: float, structure: Structure) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("static", {"energy_per_atom": energy}),
        (
            "relax",
            {"energy_per_atom": energy, "lattice": lattice(structure), "converged": True},
        ),
    ]


def _level(run_type: str, parameters: Mapping[str, Any]) -> LevelOfTheory:
    titles = [str(one["titel"]) for one in parameters.get("potcar_spec") or () if one.get("titel")]
    level = LevelOfTheory.from_run_type(
        run_type, hubbards=parameters.get("hubbards"), titles=titles or None
    )
    return level.model_copy(update={"spin": True})


def of_elasticity(found: Found) -> Iterator[Reference]:
    """Reference of ``elastic`` from an ``ElasticityDoc``.

    Of its tensors the raw one is taken: the one in IEEE's axes is rounded to whole GPa.

    Raises
    ------
    PetFlowsError
        Its fit failed, or it has neither a tensor nor moduli.
    """
    state = found.at("state")
    if state not in (None, "successful"):
        raise PetFlowsError(f"The fit did not succeed (state {state}): leave it out.")
    structure = found.structure()
    problems = list(_deprecated(found))
    result: dict[str, Any]
    if (raw := found.at("elastic_tensor.raw")) is not None:
        result, more = elastic.elastic_result(raw, structure)
        problems += more
    else:
        result = _moduli(found)
        problems.append("It has no tensor: only moduli are compared.")
    tasks = found.at("fitting_data.deformation_tasks") or found.at("fitting_data.deformations")
    stress = elastic.residual_stress(found.at("fitting_data.equilibrium_cauchy_stress"))
    result |= {"n_strains": len(tasks) if tasks else None, "residual_stress": stress}
    yield found.reference("elastic", result, structure, None, problems=problems)


def _moduli(found: Found) -> dict[str, Any]:
    names = {
        f"{letter}_{mean}": found.at(f"{field}.{mean}")
        for letter, field in (("k", "bulk_modulus"), ("g", "shear_modulus"))
        for mean in ("voigt", "reuss", "vrh")
    }
    if all(value is None for value in names.values()):
        raise PetFlowsError(
            "The document has neither a tensor nor moduli: download it with all its fields."
        )
    return names


def of_summary(found: Found) -> Iterator[Reference]:
    """References of ``static``, ``relax`` and ``elastic`` from a ``SummaryDoc``.

    It mixes calculations of several functionals and does not say of which its energy is.

    Raises
    ------
    PetFlowsError
        Nobody says the functional.
    """
    structure = found.structure()
    energy = found.at("uncorrected_energy_per_atom")
    if energy is not None:
        for property, result in _results(float(energy), structure):
            yield found.reference(property, result, structure, None, problems=_deprecated(found))
    if found.at("bulk_modulus") or found.at("shear_modulus"):
        problems = [*_deprecated(found), "It has no tensor: only moduli are compared."]
        yield found.reference("elastic", _moduli(found), structure, None, problems=problems)


MODELS = (
    DocumentModel(
        "thermo", lambda document: "thermo_type" in document and "entries" in document, of_entries
    ),
    DocumentModel(
        "elasticity",
        lambda document: (
            document.get("property_name") == "elasticity"
            or ("elastic_tensor" in document and "material_id" in document)
        ),
        of_elasticity,
    ),
    DocumentModel(
        "summary", lambda document: document.get("property_name") == "summary", of_summary
    ),
    DocumentModel(
        "phonon",
        lambda document: bool({"phonon_dos", "phonon_bandstructure"} & set(document)),
        phonon.references,
    ),
    DocumentModel(
        "materials",
        lambda document: isinstance(document.get("entries"), Mapping) and "task_ids" in document,
        of_entries,
    ),
)


def model_of(document: Mapping[str, Any]) -> DocumentModel | None:
    """Model of a document; None where it is none of these."""
    return next((model for model in MODELS if model.tells(document)), None)


def origin_of(document: Mapping[str, Any], model: DocumentModel) -> dict[str, Any]:
    """Where a document comes from; the same wherever it was downloaded to."""
    meta = document.get("builder_meta") or {}
    return {
        "database": DATABASE,
        "collection": model.collection,
        "licence": LICENCES.get(str(meta.get("license"))),
        "completed_at": date_of(document.get("last_updated")),
    }


def names_of(document: Mapping[str, Any]) -> list[str]:
    """Names under which the references of a document are stored, one for each of its entries."""
    name, entries = name_of(document), document.get("entries")
    if not isinstance(entries, Mapping):
        return [name]
    there = {key: entry for key, entry in entries.items() if isinstance(entry, Mapping)}
    return [f"{name} {_run_type(key, entry)}" for key, entry in there.items()]


def name_of(document: Mapping[str, Any]) -> str:
    """Name of a document: identifier, and what energies it mixes."""
    known = document.get("material_id") or document.get("identifier")
    if known is None:
        raise PetFlowsError("The document has no material_id: download it with all its fields.")
    thermo = document.get("thermo_type")
    return " ".join(filter(None, [normalized(str(known)), str(thermo) if thermo else ""]))


def _entry_id(found: Found, run_type: str) -> str | None:
    known = found.at("material_id")
    return None if known is None else f"{normalized(str(known))}-{run_type}"


def _deprecated(found: Found) -> list[str]:
    reasons = found.at("deprecation_reasons")
    return [f"It is deprecated: {', '.join(map(str, reasons))}."] if reasons else []
