"""A VASP task document of molecular dynamics (emmet's ``TaskDoc``) → a reference of ``md``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from ase import units
from pymatgen.core import Element

from pet_flows.dft.importers.dynamics import measure, run_of
from pet_flows.dft.importers.energies import KBAR
from pet_flows.dft.importers.found import Found, structure_in
from pet_flows.dft.importers.frames import Frames
from pet_flows.dft.level import LevelOfTheory
from pet_flows.dft.reference import Reference
from pet_flows.errors import PetFlowsError

#: of the INCAR, what a run is told by
TAGS = ("POTIM", "TEBEG", "TEEND", "SMASS", "MDALGO", "ANDERSEN_PROB", "NSW")

_STEP = ("structure", "forces", "stress", "e_0_energy", "kinetic")
#: where frames are: in the steps of the last run, or in a trajectory beside the document
FIELDS = (
    *(f"calcs_reversed.output.ionic_steps.{name}" for name in _STEP), "vasp_objects.trajectory",
)  # fmt: skip

#: MDALGO → ensemble; of 0, 1 and 3 other tags decide
_ENSEMBLES = {2: "nvt_nose_hoover", 4: "nvt_nose_hoover", 5: "nvt_csvr"}


def references(found: Found, tags: Mapping[str, Any], level: LevelOfTheory) -> Iterator[Reference]:
    """Reference of one run.

    Parameters
    ----------
    found
        The document.
    tags
        Of the last run.
    level
        Of theory.

    Raises
    ------
    PetFlowsError
        It holds no frames, or too few.
    """
    frames = _frames(found)
    asked = int(tags.get("NSW") or 0)
    cut = [f"it ended after {len(frames)} of {asked} steps"] if asked > len(frames) else []
    measured = measure(frames, run_of({**_run(tags), **found.options.md}))
    yield found.reference(
        "md",
        measured.result,
        measured.structure,
        level,
        arrays=measured.arrays,
        problems=(*cut, *measured.problems),
    )


def _run(tags: Mapping[str, Any]) -> dict[str, Any]:
    """What the tags of VASP say of a run; it writes every step."""
    said: dict[str, Any] = {"ensemble": _ensemble(tags)}
    if tags.get("POTIM"):
        said["timestep"] = float(tags["POTIM"])
    begin = float(tags.get("TEBEG") or 0.0)
    end = begin if tags.get("TEEND") is None else float(tags["TEEND"])
    if said["ensemble"] != "nve" and begin > 0:
        said["temperature"] = begin
        if end > 0 and end != begin:
            said["final_temperature"] = end
    return said


def _ensemble(tags: Mapping[str, Any]) -> str:
    algorithm, mass = int(tags.get("MDALGO") or 0), float(tags.get("SMASS") or 0.0)
    if algorithm == 0:
        if tags.get("SMASS") is None or mass == -3:
            return "nve"
        return "nvt_rescaled" if mass == -1 else "nvt_nose_hoover"
    if algorithm == 1:
        return "nvt_andersen" if float(tags.get("ANDERSEN_PROB") or 0.0) else "nve"
    if algorithm == 3:
        return "npt_langevin" if int(tags.get("ISIF") or 2) >= 3 else "nvt_langevin"
    return _ENSEMBLES.get(algorithm, "nvt")


def _frames(found: Found) -> Frames:
    """Frames of the last run, wherever the document has them."""
    content = found.more(FIELDS)
    calculations = content.get("calcs_reversed") or [{}]
    steps = (calculations[0].get("output") or {}).get("ionic_steps") or content.get("ionic_steps")
    if steps:
        return _of_steps(steps)
    held = found.blob((content.get("vasp_objects") or {}).get("trajectory"))
    if not held:
        raise PetFlowsError(
            "It holds no frames: store them, as with atomate2's store_trajectory, or add the "
            "folder with its vasprun.xml."
        )
    if not isinstance(held, Mapping):
        held = held.as_dict()
    return _of_pymatgen(held) if "frame_properties" in held else _of_emmet(held)


def _of_steps(steps: Sequence[Mapping[str, Any]]) -> Frames:
    """Ionic steps of emmet's calculation, and of pymatgen's vasprun.xml."""
    structures = [structure_in(step["structure"]) for step in steps]
    kinetic = [step.get("kinetic") for step in steps]
    return _checked(
        structures[0].atomic_numbers,
        [structure.lattice.matrix for structure in structures],
        [structure.cart_coords for structure in structures],
        [step.get("e_0_energy") for step in steps],
        [step.get("forces") for step in steps],
        [step.get("stress") for step in steps],
        None if None in kinetic else kinetic,
    )


def _of_pymatgen(held: Mapping[str, Any]) -> Frames:
    """Pymatgen's ``Trajectory``, which atomate2 stores."""
    from pymatgen.core.trajectory import Trajectory

    trajectory: Any = Trajectory.from_dict(dict(held))
    trajectory.to_positions()
    properties = trajectory.frame_properties or [{}] * len(trajectory)
    lattices = np.broadcast_to(np.asarray(trajectory.lattice), (len(trajectory), 3, 3))
    numbers = [Element(str(one)).Z for one in trajectory.species]
    return _checked(
        numbers,
        lattices,
        np.asarray(trajectory.coords) @ lattices,
        [one.get("e_0_energy", one.get("energy")) for one in properties],
        [one.get("forces") for one in properties],
        [one.get("stress") for one in properties],
        _of_temperatures([one.get("temperature") for one in properties], len(numbers)),
    )


def _of_emmet(held: Mapping[str, Any]) -> Frames:
    """Emmet's own ``Trajectory``."""
    n = len(held["cart_coords"])
    return _checked(
        held["elements"],
        np.broadcast_to(np.asarray(held["lattice"], float), (n, 3, 3)),
        held["cart_coords"],
        held.get("energy") or [None],
        held.get("forces") or [None],
        held.get("stress") or [None],
        _of_temperatures(held.get("temperature") or [None], len(held["elements"])),
    )


def _of_temperatures(temperatures: Sequence[Any], n_atoms: int) -> Any:
    """Kinetic energies of VASP's temperatures; None where one is missing."""
    if None in temperatures:
        return None
    return np.asarray(temperatures, float) * units.kB * (3 * n_atoms - 3) / 2


def _checked(
    numbers: Any,
    cells: Any,
    positions: Any,
    energies: Sequence[Any],
    forces: Sequence[Any],
    stresses: Sequence[Any],
    kinetic: Any,
) -> Frames:
    if any(one is None for one in (*energies, *forces)):
        raise PetFlowsError(
            "Frames of it have no energy or no forces: store them whole, or add the folder with "
            "its vasprun.xml."
        )
    known = all(one is not None for one in stresses)
    return Frames(
        np.asarray(numbers, dtype=np.int64),
        np.array(cells, dtype=float),
        np.array(positions, dtype=float),
        np.asarray(energies, float),
        np.asarray(forces, float),
        KBAR * units.GPa * np.asarray(stresses, float) if known else None,
        kinetic=None if kinetic is None else np.asarray(kinetic, float),
    )
