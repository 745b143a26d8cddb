"""Output of atomate2's flows of equations of state → reference of ``eos``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pet_flows.dft.importers.found import Found, several, structure_in
from pet_flows.dft.reference import Reference
from pet_flows.errors import PetFlowsError
from pet_flows.inputs.documents import value_at
from pet_flows.properties.eos import birch_murnaghan

_KINDS = ("relax", "static")
SCALED_FIELDS = tuple(
    name
    for kind in _KINDS
    for name in (
        f"{kind}.dir_name",
        f"{kind}.structure.lattice.matrix",
        f"initial_{kind}.V0",
    )
)
FIELDS = tuple(
    f"{kind}.{name}" for kind in _KINDS for name in ("energy", "volume", "structure", "dir_name")
)

#: relative; the cell from which the others were scaled is among them
_SAME_VOLUME = 1e-9


def references(found: Found) -> Iterator[Reference]:
    """Reference of one output: our fit of its points, of the statics where it has these.

    Raises
    ------
    PetFlowsError
        There are fewer than five points, or no minimum among them.
    """
    points = found.at("static") or found.need("relax")
    known = found.jobs([], folders(found.content))
    structures = [structure_in(one) for one in several(points.get("structure"))]
    if not structures:
        raise PetFlowsError(
            "The output has no structures, and the number of atoms is not known: run the flow "
            "again with a recent atomate2."
        )
    n_atoms = len(structures[0])
    volumes = np.array([float(v) for v in points["volume"]])
    energies = np.array([float(e) for e in points["energy"]])
    result = eos_result(volumes / n_atoms, energies / n_atoms)
    # atomate2 sorts volumes and energies, but neither structures nor folders
    off = [abs(one.volume / n_atoms - result["v0_per_atom"]) for one in structures]
    nearest = structures[int(np.argmin(off))]
    final = nearest.copy()
    final.scale_lattice(result["v0_per_atom"] * n_atoms)
    yield found.reference("eos", result, final, None if known is None else known.level)


def folders(content: Mapping[str, Any]) -> list[str]:
    """Folders of the calculations at each volume."""
    kinds = (content.get(kind) or {} for kind in reversed(_KINDS))
    return [str(place) for kind in kinds for place in several(kind.get("dir_name"))]


def scaled(content: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Calculations (no uuids, but folders) of cells that were scaled, which were not relaxed."""
    found = []
    for kind in _KINDS:
        points, first = content.get(kind) or {}, content.get(f"initial_{kind}") or {}
        # in one order, which is not that of the volumes
        places, cells = several(points.get("dir_name")), several(points.get("structure"))
        for place, cell in zip(places, cells, strict=False):
            volume = abs(float(np.linalg.det(np.array(value_at(cell, "lattice.matrix")))))
            if abs(volume - float(first.get("V0") or 0.0)) > _SAME_VOLUME * volume:
                found.append(str(place))
    return [], found


def eos_result(volumes: np.ndarray, energies: np.ndarray) -> dict[str, Any]:
    """Result of ``eos`` from points, which are fitted as those of a record are.

    Parameters
    ----------
    volumes, energies
        ``(n,)`` Å³ and eV, per atom, in any order.

    Raises
    ------
    PetFlowsError
        As `references`.
    """
    if len(volumes) != len(energies) or len(volumes) < 5:
        raise PetFlowsError(
            f"There are {len(volumes)} volumes and {len(energies)} energies, and a fit needs "
            "five points: compute more."
        )
    order = np.argsort(volumes)
    volumes, energies = volumes[order], energies[order]
    fit = birch_murnaghan.fit(volumes, energies)
    if fit is None:
        raise PetFlowsError(
            f"The energy has no minimum between {volumes[0]:.2f} and {volumes[-1]:.2f} Å³/atom: "
            "compute it at other volumes."
        )
    return {
        "v0_per_atom": fit.v0,
        "e0_per_atom": fit.e0,
        "b0": fit.b0,
        "b0_prime": fit.b0_prime,
        "residual": fit.residual,
        "volumes": volumes.tolist(),
        "energies": energies.tolist(),
    }
