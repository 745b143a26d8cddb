"""ASE databases, trajectories and extended XYZ with energies, forces and stresses; dynamics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress
from ase.units import GPa

from pet_flows.dft.importers.dynamics import measure, run_of
from pet_flows.dft.importers.energies import (
    entry_of,
    parameters_of,
    static_arrays,
    static_result,
)
from pet_flows.dft.importers.found import Found
from pet_flows.dft.importers.frames import Frames
from pet_flows.dft.importers.importing import attempt
from pet_flows.dft.importers.known import Known
from pet_flows.dft.importers.options import Options
from pet_flows.dft.importers.read import Problem, Read
from pet_flows.dft.reference import Reference
from pet_flows.errors import PetFlowsError
from pet_flows.inputs.clean import structure_from_atoms
from pet_flows.inputs.files import is_ase_database, reader_of
from pet_flows.inputs.formats import database_rows, extxyz_frames, pairs_of
from pet_flows.inputs.identifiers import bare_name, material_id_of, name_of_file
from pet_flows.inputs.structure import make_input, make_source
from pet_flows.inputs.text import DamagedError, first_line, refuse_disguised

#: what a frame may hold, by ASE's names: eV of the cell, eV/Å, eV/Å³ with tension positive
QUANTITIES = ("energy", "forces", "stress")

#: name of a frame, and how its atoms and what is said of them are read; or why they cannot be
_Frame = tuple[str, "partial[tuple[Atoms, Mapping[str, Any]]] | str"]


def read(source: str, options: Options, known: Known) -> Iterator[Read]:
    """References of ``static``, one for each frame or row, or one of ``md`` of all of them.

    Parameters
    ----------
    source
        A file that ASE writes.
    options
        ``columns`` names keys with other names: ``{"REF_energy": "energy"}``. With ``md`` the
        frames are those of one run.
    known
        Unused: frames have no dates, and what is the same is not stored again.

    Raises
    ------
    PetFlowsError
        The file as a whole cannot be read, no level is given, or a column is mapped to nothing that
        a frame has.
    """
    options.level_of(None)  # frames do not say theirs: once for all
    wrong = sorted(set(options.columns.values()) - set(QUANTITIES))
    if wrong:
        raise PetFlowsError(
            f"--map names {wrong[0]!r}, which a frame does not have: choose from "
            f"{', '.join(QUANTITIES)}."
        )
    path = Path(source).expanduser()
    where = {"database": str(path.resolve())}
    if options.md:
        yield from attempt(name_of_file(path), partial(_dynamics, path, where, options))
        return
    for name, frame in _frames(path):
        if isinstance(frame, str):
            yield Problem(name, frame)
        else:
            yield from attempt(name, partial(_references, name, frame, where, options))


def _frames(path: Path) -> Iterator[_Frame]:
    suffix = Path(bare_name(path)).suffix.lower()
    kind = (reader_of(path) or ("ASE file", None))[0]
    try:
        refuse_disguised(path, kind, binary=suffix in (".db", ".traj"))
        if suffix in (".xyz", ".extxyz"):
            for name, frame in extxyz_frames(path):
                yield name, frame if isinstance(frame, str) else partial(_of_atoms, frame)
        elif suffix == ".traj":
            from ase.io import Trajectory

            with Trajectory(path) as trajectory:
                for number in range(len(trajectory)):
                    yield f"{name_of_file(path)}-{number}", partial(_of_step, trajectory, number)
        elif suffix == ".db" and not is_ase_database(path):
            raise DamagedError("is the database of another program: name another file.")
        else:
            for name, row in database_rows(path):
                yield name, partial(_of_row, row)
    except DamagedError as error:
        raise PetFlowsError(f"{path} {error}") from error
    except Exception as error:  # parsers raise anything when a file is damaged
        raise PetFlowsError(
            f"{path} cannot be read as {kind} ({first_line(error)}): correct or remove it."
        ) from error


def _of_atoms(atoms: Atoms) -> tuple[Atoms, Mapping[str, Any]]:
    return atoms, {**atoms.arrays, **atoms.info}


def _of_step(trajectory: Any, number: int) -> tuple[Atoms, Mapping[str, Any]]:
    return _of_atoms(trajectory[number])


def _of_row(row: Any) -> tuple[Atoms, Mapping[str, Any]]:
    return row.toatoms(), pairs_of(row)


def _references(
    name: str,
    frame: partial[tuple[Atoms, Mapping[str, Any]]],
    where: Mapping[str, Any],
    options: Options,
) -> Iterator[Reference]:
    atoms, said = frame()
    structure, _ = structure_from_atoms(atoms)
    if structure is None:
        raise PetFlowsError("It does not have three lattice vectors: give it a cell.")
    sound = make_input(structure, make_source())
    if sound.problem is not None or sound.structure is None:
        raise PetFlowsError(sound.problem[1] if sound.problem else "It holds nothing: remove it.")
    structure = sound.structure
    values = _values(atoms, said, options.columns)
    result = static_result(
        values["energy"], len(atoms), values.get("forces"), _stress(values.get("stress"))
    )
    identifier = material_id_of(said)
    content = {} if identifier is None else {"material_id": identifier}
    level = options.level_of(None)
    parameters = parameters_of(level, structure)
    entry = entry_of(structure, result["energy_per_atom"], parameters, entry_id=identifier or name)
    arrays = static_arrays(structure, values.get("forces"))
    yield Found(content, name, options, origin=where).reference(
        "static", result, structure, level, entry=entry, arrays=arrays
    )


def _dynamics(path: Path, where: Mapping[str, Any], options: Options) -> Iterator[Reference]:
    """Reference of the run whose frames a file has, in their order."""
    run = run_of(options.md)
    steps: list[tuple[Atoms, dict[str, Any]]] = []
    for name, frame in _frames(path):
        if isinstance(frame, str):
            raise PetFlowsError(f"Its frame {name} cannot be read: {frame}")
        atoms, said = frame()
        values = _values(atoms, said, options.columns)
        if "forces" not in values:
            raise PetFlowsError(f"Its frame {name} has no forces: write them with each frame.")
        if steps and not np.array_equal(atoms.numbers, steps[0][0].numbers):
            raise PetFlowsError(
                f"Its frame {name} has other atoms than the first: give the frames of one run, in "
                "one order of the atoms."
            )
        if not atoms.pbc.all():
            raise PetFlowsError(
                "It is not periodic along three axes, which dynamics is compared of: leave it out."
            )
        steps.append((atoms, values))
    if not steps:
        raise PetFlowsError("It holds no frames: name another file.")
    every = [atoms for atoms, _ in steps]
    stresses = [values.get("stress") for _, values in steps]
    frames = Frames(
        every[0].numbers,
        np.array([atoms.cell.array for atoms in every]),
        np.array([atoms.positions for atoms in every]),
        np.array([values["energy"] for _, values in steps], dtype=float),
        np.array([values["forces"] for _, values in steps], dtype=float),
        None if any(one is None for one in stresses) else _matrices(stresses),
        np.array([atoms.get_momenta() for atoms in every])
        if all(atoms.has("momenta") for atoms in every)
        else None,
    )
    measured = measure(frames, run)
    yield Found({}, name_of_file(path), options, origin=where).reference(
        "md",
        measured.result,
        measured.structure,
        options.level_of(None),
        arrays=measured.arrays,
        problems=measured.problems,
    )


def _values(atoms: Atoms, said: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """Energy, forces and stress by ASE's names, from the calculator or from the user's keys."""
    results = {} if atoms.calc is None else atoms.calc.results
    found = {name: results[name] for name in QUANTITIES if results.get(name) is not None}
    for key, name in columns.items():
        value = said.get(key, results.get(key))
        if value is None:
            raise PetFlowsError(f"It has no {key}: correct --map, or leave it out.")
        found[name] = value
    if "energy" not in found:
        there = ", ".join(key for key, value in said.items() if isinstance(value, int | float))
        raise PetFlowsError(
            "It has no energy: name the key that holds it with --map KEY=energy"
            + (f" (its numbers are {there})." if there else ".")
        )
    if "forces" in found and np.shape(found["forces"]) != (len(atoms), 3):
        raise PetFlowsError(
            f"Its forces have the shape {np.shape(found['forces'])}, and not three components for "
            f"each of {len(atoms)} atoms: correct or remove it."
        )
    return found


def _matrices(stresses: Iterable[Any]) -> np.ndarray:
    """``(T, 3, 3)`` eV/Å³."""
    return GPa * np.array([_stress(stress) for stress in stresses])


def _stress(given: Any) -> np.ndarray | None:
    """``(3, 3)`` GPa from eV/Å³ in Voigt's order, as nine numbers or as a matrix."""
    if given is None:
        return None
    values = np.asarray(given, dtype=float)
    if values.size == 6:
        values = voigt_6_to_full_3x3_stress(values.ravel())
    if values.size != 9:
        raise PetFlowsError(
            f"Its stress has {values.size} numbers: give six in Voigt's order, or nine."
        )
    return values.reshape(3, 3) / GPa
