"""Energy, forces and stress of a calculation → results of ``static`` and ``relax``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pymatgen.core import Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry

from pet_flows.crystallography.alignment import PrimitiveCell
from pet_flows.dft.documents import primitive_structure
from pet_flows.dft.importers.found import Found
from pet_flows.dft.level import LevelOfTheory

#: GPa per kbar; VASP, and documents that follow it, count compression as positive
KBAR = -0.1


def static_result(
    energy: float, n_atoms: int, forces: Any = None, stress: Any = None
) -> dict[str, Any]:
    """Result of ``static``.

    Parameters
    ----------
    energy
        eV, of the cell.
    n_atoms
        In the cell.
    forces
        ``(n_atoms, 3)`` eV/Å, or None.
    stress
        ``(3, 3)`` GPa, tension positive, or None.
    """
    result: dict[str, Any] = {"energy_per_atom": float(energy) / n_atoms}
    if forces is not None and len(forces):
        result["max_force"] = float(np.linalg.norm(np.asarray(forces, float), axis=1).max())
    if stress is not None:
        symmetric = 0.5 * (np.asarray(stress, float) + np.asarray(stress, float).T)
        result["stress"] = symmetric.tolist()
        result["pressure"] = float(-np.trace(symmetric) / 3)
    return result


def static_of_task(found: Found, structure: Structure) -> dict[str, Any]:
    """Result of ``static`` of a task document of emmet's kind, whose stress is in kbar."""
    stress = found.at("output.stress")
    return static_result(
        found.need("output.energy"),
        len(structure),
        found.at("output.forces"),
        None if stress is None else KBAR * np.asarray(stress, float),
    )


def static_arrays(structure: Structure, forces: Any) -> dict[str, dict[str, np.ndarray]]:
    """Blob ``static``: forces ``(n, 3)`` eV/Å on the atoms of the primitive cell, which is kept.

    Empty without forces.
    """
    if forces is None or len(forces) != len(structure):
        return {}
    if structure.is_ordered and all(structure.lattice.pbc):
        forces = np.asarray(forces, float)[PrimitiveCell.of(structure).atoms]
    return {"static": {"forces": np.asarray(forces, float)}}


def lattice(structure: Structure) -> dict[str, float]:
    """Lattice parameters of the primitive cell, of Niggli's choice among its vectors."""
    found = primitive_structure(structure).lattice.get_niggli_reduced_lattice()
    names = ("a", "b", "c", "alpha", "beta", "gamma")
    return dict(zip(names, map(float, found.parameters), strict=True))


def entry_of(
    structure: Structure,
    energy_per_atom: float,
    parameters: Mapping[str, Any],
    data: Mapping[str, Any] | None = None,
    entry_id: str | None = None,
) -> dict[str, Any]:
    """A pymatgen entry of the primitive cell, without corrections: these are the comparison's.

    Parameters
    ----------
    structure
        Any cell of the crystal.
    energy_per_atom
        eV, uncorrected.
    parameters
        As pymatgen's corrections read them: ``run_type``, ``hubbards``, ``potcar_spec``.
    data
        What else is known.
    """
    primitive = primitive_structure(structure)
    found: dict[str, Any] = ComputedStructureEntry(
        primitive,
        float(energy_per_atom) * len(primitive),
        parameters=dict(parameters),
        data=dict(data or {}),
        entry_id=entry_id,
    ).as_dict()
    return found


def parameters_of(level: LevelOfTheory, structure: Structure) -> dict[str, Any]:
    """Parameters of an entry whose source says only its level: run type and U, eV by element.

    A U that is not known is none of the run type; the comparison's corrections refuse an energy
    on which one is expected.
    """
    u = level.u_of({element.symbol for element in structure.composition.elements}) or {}
    return {
        "run_type": f"{level.functional}{'+U' * bool(u)}",
        "is_hubbard": bool(u),
        "hubbards": dict(u),
    }
