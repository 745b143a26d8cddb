"""Folders of phonopy and phono3py: cells, with forces or force constants beside them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import chdir
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms
from pymatgen.core import Structure

from pet_flows.dft.importers.found import Found
from pet_flows.dft.importers.importing import attempt
from pet_flows.dft.importers.known import Known
from pet_flows.dft.importers.options import Options
from pet_flows.dft.importers.phonon_result import phonon_result
from pet_flows.dft.importers.phonopy_cells import (
    CONSTANTS,
    DIM,
    FORCES,
    SUPERCELL,
    UNIT_CELLS,
    phonopy_of_forces,
)
from pet_flows.dft.importers.read import Read, Unchanged
from pet_flows.dft.reference import Origin, Reference
from pet_flows.errors import PetFlowsError
from pet_flows.properties.phonon.masses import masses

if TYPE_CHECKING:
    from phono3py import Phono3py

#: names of the files with cells, that which says most first; each may be compressed
_PHONOPY = ("phonopy_params.yaml", "phonopy.yaml", "phonopy_disp.yaml")
_PHONO3PY = ("phono3py_params.yaml", "phono3py.yaml", "phono3py_disp.yaml")
#: what phonopy finds beside them
_BESIDE = (
    FORCES, CONSTANTS, "force_constants.hdf5", "BORN", "FORCES_FC2", "FORCES_FC3",
    "fc2.hdf5", SUPERCELL, *UNIT_CELLS,
)  # fmt: skip
_CONDUCTIVITY = "kappa-m*.hdf5"


def read(source: str, options: Options, known: Known) -> Iterator[Read]:
    """References of ``phonon``, and of ``kappa`` where phono3py left some.

    Force constants are taken, or made of the forces, with Born charges where there are some;
    everything else is computed of them, as for records.

    Parameters
    ----------
    source
        A YAML file of phonopy or phono3py, FORCE_SETS or FORCE_CONSTANTS beside a POSCAR of the
        unit cell, a folder with one of these, or a folder of such folders.
    options
        ``columns`` may say the supercell where there is no YAML: ``{"dim": "2x2x2"}``.

    Raises
    ------
    PetFlowsError
        No level is given, or there is no such file.
    """
    options.level_of(None)  # these files do not say theirs: once for all
    if wrong := sorted(options.columns.keys() - {DIM}):
        raise PetFlowsError(
            f"--map names {wrong[0]!r}, of which phonopy knows nothing: give {DIM} alone."
        )
    given = Path(source).expanduser()
    origins = {file: _origin(file) for file in ([given] if given.is_file() else _files(given))}
    if not origins:
        listed = ", ".join([*_PHONOPY, *_PHONO3PY])
        raise PetFlowsError(
            f"{source} holds nothing of phonopy at any depth, neither YAML ({listed}) nor "
            f"{FORCES} or {CONSTANTS}: name another folder."
        )
    unchanged = known.unchanged(origins.values())
    for file, origin in origins.items():
        if origin.identity in unchanged:
            yield Unchanged(origin.name, unchanged[origin.identity])
        else:
            yield from attempt(origin.name, partial(_references, file, origin, options))


def _files(folder: Path) -> list[Path]:
    """In each folder the file that says most, of phonopy before phono3py."""
    found: dict[Path, Path] = {}
    for name in (*_PHONOPY, *_PHONO3PY, FORCES, CONSTANTS):
        for file in sorted(folder.rglob(f"{name}*")):
            found.setdefault(file.parent, file)
    return [found[place] for place in sorted(found)]


def _origin(file: Path) -> Origin:
    path = file.resolve()
    used = [path, *(path.parent / name for name in _BESIDE), *path.parent.glob(_CONDUCTIVITY)]
    changed = max(one.stat().st_mtime for one in used if one.exists())
    return Origin(
        name=str(path),
        dir_name=str(path.parent),
        completed_at=datetime.fromtimestamp(changed, UTC),
    )


def _references(file: Path, origin: Origin, options: Options) -> Iterator[Reference]:
    where = origin.model_dump(include={"dir_name", "completed_at"})
    found = Found({}, origin.name, options, origin=where)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "phono3py" in file.name.lower():
            phonopy = _of_phono3py(file)
        elif file.name in (FORCES, CONSTANTS):
            with chdir(file.resolve().parent):  # phonopy looks for BORN where it is
                phonopy = phonopy_of_forces(Path(file.name), options.columns.get(DIM))
        else:
            phonopy = _of_phonopy(file)
    phonopy = _in_electronvolts(phonopy)
    structure = _structure(phonopy.primitive)
    for conductivity in sorted(file.resolve().parent.glob(_CONDUCTIVITY)):
        modes = _modes(conductivity, phonopy.primitive)
        kept = {"kappa": modes} if modes else {}
        isotopes = {"isotopes": "gamma_isotope" in modes} if modes else {}
        result = _conductivity(conductivity) | isotopes
        yield found.reference("kappa", result, structure, None, arrays=kept)
    result, arrays = phonon_result(phonopy)
    yield found.reference("phonon", result, structure, None, arrays={"phonon": arrays})


def _of_phonopy(file: Path) -> Phonopy:
    import phonopy

    with chdir(file.resolve().parent):  # phonopy looks for the other files where it is
        found = phonopy.load(file.name, fc_calculator="symfc", produce_fc=True, log_level=0)
    if found.force_constants is None:
        raise PetFlowsError(
            f"{file.name} has no forces, and there is neither FORCE_SETS nor FORCE_CONSTANTS "
            "beside it: put one there."
        )
    return found


def _of_phono3py(file: Path) -> Phonopy:
    """Second-order part of a calculation of phono3py."""
    try:
        import phono3py
    except ImportError:
        raise PetFlowsError(
            "phono3py is not installed, with which its files are read: install it with pip install "
            "'pet-flows[kappa]'."
        ) from None
    with chdir(file.resolve().parent):
        whole: Phono3py = phono3py.load(file.name, produce_fc=False, log_level=0)
        if whole.fc2 is None:
            try:
                whole.produce_fc2(fc_calculator="symfc")
            except RuntimeError:
                raise PetFlowsError(
                    f"{file.name} has no forces, and there is neither FORCES_FC2 nor fc2.hdf5 "
                    "beside it: put one there."
                ) from None
    matrix = whole.phonon_supercell_matrix
    found = Phonopy(
        whole.unitcell,
        supercell_matrix=whole.supercell_matrix if matrix is None else matrix,
        primitive_matrix=whole.primitive_matrix,
        calculator=whole.calculator,
    )
    found.force_constants = whole.fc2
    found.nac_params = whole.nac_params
    return found


def _in_electronvolts(phonopy: Phonopy) -> Phonopy:
    """The same in Å and eV/Å²: phonopy keeps the units of the code that gave the forces."""
    from phonopy.physical_units import get_calculator_physical_units

    units = get_calculator_physical_units(phonopy.calculator)
    length, constant = units.distance_to_A, units.force_to_eVperA / units.distance_to_A
    if abs(length - 1) < 1e-9 and abs(constant - 1) < 1e-9:
        return phonopy
    given = phonopy.unitcell
    found = Phonopy(
        PhonopyAtoms(
            numbers=given.numbers,
            cell=given.cell * length,
            scaled_positions=given.scaled_positions,
            masses=masses(given.numbers),
        ),
        supercell_matrix=phonopy.supercell_matrix,
        primitive_matrix=phonopy.primitive_matrix,
    )
    found.force_constants = np.array(phonopy.force_constants) * constant
    found.nac_params = phonopy.nac_params
    return found


def _structure(cell: PhonopyAtoms) -> Structure:
    return Structure(cell.cell, [str(symbol) for symbol in cell.symbols], cell.scaled_positions)


def _conductivity(file: Path) -> dict[str, Any]:
    """Result of ``kappa``, W/m/K, above 0 K."""
    import h5py

    with h5py.File(file) as held:
        if "kappa" not in held or "temperature" not in held:
            raise PetFlowsError(f"{file.name} holds no conductivity: compute it again.")
        temperatures, values = np.array(held["temperature"]), np.array(held["kappa"])
        mesh = np.array(held["mesh"]).ravel().tolist()
    if values.shape != (len(temperatures), 6):
        raise PetFlowsError(
            f"{file.name} holds conductivities of the shape {values.shape}: compute them for one "
            "width of smearing."
        )
    points = []
    for temperature, (xx, yy, zz, yz, xz, xy) in zip(temperatures, values.tolist(), strict=True):
        if temperature > 0:
            tensor = [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]
            points.append({"T": float(temperature), "tensor": tensor, "mean": (xx + yy + zz) / 3})
    return {"kappa": points, "mesh": [int(n) for n in mesh]}


def _modes(file: Path, cell: PhonopyAtoms) -> dict[str, np.ndarray]:
    """Blob ``kappa`` of the modes of an irreducible mesh; empty where the file lacks some."""
    import h5py

    names = {
        "temperature": "temperatures", "frequency": "frequencies", "gamma": "gamma",
        "group_velocity": "group_velocities", "weight": "weights", "qpoint": "qpoints",
    }  # fmt: skip
    with h5py.File(file) as held:
        if not names.keys() <= held.keys():
            return {}
        found = {ours: np.array(held[name]) for name, ours in names.items()}
        if "gamma_isotope" in held:
            found["gamma_isotope"] = np.array(held["gamma_isotope"])
    modes = found["frequencies"].shape
    if found["gamma"].shape != (len(found["temperatures"]), *modes):
        return {}
    return found | {
        "primitive_cell": np.array(cell.cell),
        "primitive_positions": np.array(cell.positions),
        "primitive_numbers": np.array(cell.numbers),
    }
