"""An elastic document of atomate2 → reference of ``elastic``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.dft.importers.found import Found, several
from pet_flows.dft.reference import Reference
from pet_flows.errors import PetFlowsError, StructureError
from pet_flows.properties.elastic.axes import ieee_frames, in_ieee_axes
from pet_flows.properties.elastic.tensor import WEIGHTS, moduli, voigt

CLASSES = ("ElasticDocument",)

FIELDS = (
    "structure", "elastic_tensor.raw", "eq_stress", "order", "fitting_data.uuids",
    "fitting_data.job_dirs", "fitting_data.failed_uuids", "material_id",
)  # fmt: skip

#: a tensor is symmetric up to this part of its largest constant, or its stresses are not
_ASYMMETRIC = 0.1


def references(found: Found) -> Iterator[Reference]:
    """Reference of one document.

    Only the tensor in the axes of the structure is taken: what atomate2 and emmet derive from it
    has mixed units (Young's modulus in Pa) and, in emmet, a tensor rounded to whole GPa.

    Raises
    ------
    PetFlowsError
        It has no tensor.
    """
    raw = found.need("elastic_tensor.raw")
    if found.at("order") == 3:  # the second and the third order, in this order
        raw = raw[0]
    structure = found.structure()
    uuids, folders = strained(found.content)
    known = found.jobs(uuids, folders)
    result, problems = elastic_result(raw, structure)
    if failed := several(found.at("fitting_data.failed_uuids")):
        problems.append(f"{len(failed)} strained cells failed and are left out of the fit.")
    result |= {
        "residual_stress": residual_stress(found.at("eq_stress")),
        "ions_relaxed": None if known is None else known.ions_relaxed,
        "n_strains": len(set(uuids)) or None,
    }
    level = None if known is None else known.level
    yield found.reference("elastic", result, structure, level, problems=problems)


def strained(content: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Calculations of strained cells that a document was made of, by uuid and folder."""
    fitted = content.get("fitting_data") or {}
    uuids, folders = several(fitted.get("uuids")), several(fitted.get("job_dirs"))
    return [str(uuid) for uuid in uuids if uuid], [str(place) for place in folders if place]


def elastic_result(raw: Any, structure: Structure) -> tuple[dict[str, Any], list[str]]:
    """Result of ``elastic`` from a tensor, and what may be wrong with it.

    Parameters
    ----------
    raw
        ``(6, 6)`` Voigt, GPa, in the Cartesian axes of `structure`.

    Raises
    ------
    PetFlowsError
        It is no such tensor.
    """
    tensor = np.array(raw, dtype=float)
    if tensor.shape != (6, 6) or not np.isfinite(tensor).all():
        raise PetFlowsError(
            f"The elastic tensor is not 6×6 numbers (got {'×'.join(map(str, tensor.shape))}): "
            "compute it again."
        )
    problems = []
    largest, apart = float(np.abs(tensor).max()), float(np.abs(tensor - tensor.T).max())
    if apart > _ASYMMETRIC * largest:
        problems.append(f"The tensor is asymmetric by {apart:.1f} GPa.")
    mandel = 0.5 * (tensor + tensor.T) * np.outer(WEIGHTS, WEIGHTS)
    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    result: dict[str, Any] = {"tensor": voigt(mandel).tolist()}
    try:
        frames = ieee_frames(SpaceGroup.find(atoms), atoms.cell.array)
    except StructureError:  # no symmetry, and no axes that it would name
        problems.append("No space group fits the structure, so that there is no tensor_ieee.")
    else:
        result["tensor_ieee"] = voigt(in_ieee_axes(mandel, frames)).tolist()
    result |= asdict(moduli(mandel, structure))
    if not result["stable"]:
        problems.append(f"The tensor is unstable ({result['min_eigenvalue']:.1f} GPa).")
    return result, problems


def residual_stress(stress: Any) -> float | None:
    """Largest principal stress in GPa, whatever its sign, of a ``(3, 3)`` stress in GPa."""
    if stress is None:
        return None
    matrix = np.asarray(stress, dtype=float).reshape(3, 3)
    return float(np.abs(np.linalg.eigvalsh(0.5 * (matrix + matrix.T))).max())
