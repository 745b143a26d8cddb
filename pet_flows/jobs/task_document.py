"""A record as atomate2's ForceFieldTaskDocument, so that our makers drop into its flows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Structure

from pet_flows.models.resolve import ResolvedPotential
from pet_flows.records.structures import atoms_of_structure

if TYPE_CHECKING:
    from atomate2.forcefields.schemas import ForceFieldTaskDocument

#: eV/Å³ (ASE: tension positive) → kbar with the sign that atomate2 and VASP use
EV_PER_A3_TO_KBAR = -1602.1766208


def task_document(
    record: dict[str, Any], given: Structure, structure: Structure, potential: ResolvedPotential
) -> ForceFieldTaskDocument:
    """Task document of a relaxation or a static calculation.

    Forces and stress are evaluated once more at the final geometry: the record keeps neither in
    full, and one evaluation costs less than storing them.

    Parameters
    ----------
    record
        A ``relax`` or ``static`` record in state ``ok`` or ``unconverged``.
    given, structure
        Its input and its final structure.
    potential
        The potential of the record.
    """
    from atomate2.ase.schemas import AseTaskDoc, InputDoc, OutputDoc
    from atomate2.forcefields.schemas import ForceFieldTaskDocument
    from emmet.core.types.enums import TaskState

    from pet_flows import __version__
    from pet_flows.engines.evaluation import System
    from pet_flows.engines.potential import get_potential

    loaded = get_potential(potential)
    atoms = atoms_of_structure(structure)
    bound = loaded.bind(atoms, record.get("symmetry_reference") or None)
    evaluation = loaded.evaluator.evaluate([System.of(atoms, bound)])[0]
    stress = np.zeros((3, 3)) if evaluation.stress is None else evaluation.stress
    settings, result = record["settings"], record["result"]
    converged = record["state"] == "ok"
    name = f"pet_flows:{record['potential']['name']}:{record['potential']['digest']}"
    document = AseTaskDoc(
        mol_or_struct=structure,
        input=InputDoc(
            mol_or_struct=given,
            relax_cell=settings.get("relax_cell", False),
            relax_shape=False,
            fix_symmetry=settings.get("fix_symmetry"),
            symprec=settings.get("symprec"),
            steps=settings.get("steps", 1),
            relax_kwargs={},
            optimizer_kwargs={},
        ),
        output=OutputDoc(
            mol_or_struct=structure,
            energy=evaluation.energy,
            energy_per_atom=evaluation.energy / len(structure),
            forces=evaluation.forces.tolist(),
            stress=(EV_PER_A3_TO_KBAR * stress).tolist(),
            ionic_steps=[],
            n_steps=result.get("n_steps", 1),
            elapsed_time=record["provenance"]["wall_time"],
        ),
        ase_calculator_name="SymmetrizedCalculator",
        included_objects=[],
        objects={},
        state=TaskState.SUCCESS if converged else TaskState.FAILED,
        is_force_converged=converged,
        energy_downhill=None,
        dir_name=os.getcwd(),
        tags=[tag for source in record["sources"] for tag in source.get("tags", [])] or None,
    )
    found: Any = ForceFieldTaskDocument.from_ase_task_doc(
        document, forcefield_name=name, forcefield_version=__version__
    )
    return found
