"""One property of one structure by DFT → a reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.dft.importers.energies import entry_of, lattice, static_arrays
from pet_flows.dft.level import LevelOfTheory
from pet_flows.dft.reference import Origin, Reference
from pet_flows.engines.potential import Potential
from pet_flows.errors import PetFlowsError
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.property import Property
from pet_flows.properties.settings import PropertySettings

#: properties that are calculated, and settings that suit DFT of small cells better than those of a
#: potential: noise of forces, and size of supercells
LIVE: Mapping[str, Mapping[str, Any]] = {
    "static": {},
    "relax": {"fmax": 0.01, "smax": 0.003, "steps": 60},
    "eos": {"fmax": 0.01, "smax": 0.003, "steps": 60},
    "phonon": {"min_length": 8.0, "max_atoms": 64},
}


def calculate(
    structure: Structure,
    declared: Property,
    settings: PropertySettings,
    potential: Potential,
    level: LevelOfTheory,
    source: Origin,
    **links: tuple[str, ...],
) -> Reference:
    """Compute a property of one structure as a record would have it.

    Parameters
    ----------
    structure
        Never changed.
    declared, settings
        The property.
    potential
        `pet_flows.dft.live.calculator.calculator_potential`.
    level
        Of it, for this structure.
    source
        Of the reference.
    links
        ``material_ids`` and ``records`` of the reference.

    Raises
    ------
    PetFlowsError
        It failed or did not converge; says why.
    """
    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    (outcome,) = declared.function()([atoms], potential, settings, [None])
    if outcome.state != "ok":
        raise PetFlowsError(
            f"{declared.name} of {structure.composition.reduced_formula} by "
            f"{level.code} is {outcome.state} ({outcome.reason}): {outcome.message}"
        )
    return _reference(outcome, declared, level, source, structure, links)


def _reference(
    outcome: Outcome,
    declared: Property,
    level: LevelOfTheory,
    source: Origin,
    given: Structure,
    links: Mapping[str, tuple[str, ...]],
) -> Reference:
    final = given if outcome.atoms is None else AseAtomsAdaptor.get_structure(outcome.atoms)
    result = {name: value for name, value in outcome.result.items() if name != "energy"}
    if "lattice" in result:
        result["lattice"] = lattice(final)
    arrays, entry = dict(outcome.blobs), None
    if "static" in arrays:
        arrays |= static_arrays(final, arrays["static"]["forces"])
    if "energy" in outcome.result:
        parameters = {"run_type": level.functional}
        entry = entry_of(final, result["energy_per_atom"], parameters, entry_id=source.name)
    return Reference(
        property=declared.name,
        result=result,
        structure=final,
        level=level,
        source=source,
        entry=entry,
        arrays=arrays,
        problems=outcome.warnings,
        **links,
    )
