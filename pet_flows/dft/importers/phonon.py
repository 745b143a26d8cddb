"""A phonon document of atomate2 or emmet → reference of ``phonon``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from phonopy import Phonopy
from pymatgen.core import Structure
from pymatgen.io.phonopy import get_phonopy_structure

from pet_flows.dft.importers.found import Found, several
from pet_flows.dft.importers.phonon_result import phonon_result
from pet_flows.dft.reference import Reference
from pet_flows.errors import PetFlowsError
from pet_flows.properties.phonon.declaration import PhononSettings
from pet_flows.properties.phonon.nonanalytical import nac_params
from pet_flows.records.structures import bare

CLASSES = ("PhononBSDOSDoc", "PhononBSDOSTask")

FIELDS = (
    "structure", "force_constants", "phonon_bandstructure", "phonon_dos", "supercell_matrix",
    "primitive_matrix", "born", "epsilon_static", "free_energies", "entropies", "heat_capacities",
    "temperatures", "formula_units", "uuids", "jobdirs", "calc_meta", "code", "material_id",
)  # fmt: skip

#: Å; what atomate2 and phonopy take two positions for equal by
_SYMPREC = 1e-3
#: by how much the ends of two spectra on different meshes, broadened or not, may differ
_ALIKE = 0.1


def references(found: Found) -> Iterator[Reference]:
    """Reference of one document.

    From its force constants, where it has some, on our own mesh: its thermal properties are per
    formula unit, and its ``has_imaginary_modes`` begins at 1e-5 THz. Else from its density of
    states and bands.

    Raises
    ------
    PetFlowsError
        It has neither.
    """
    structure = bare(found.structure())
    known = found.jobs(*displaced(found.content))
    level = None if known is None else known.level
    constants = found.blob(found.at("force_constants"))
    if isinstance(constants, Mapping):
        constants = constants.get("force_constants")
    problems: list[str] = []
    arrays: dict[str, dict[str, np.ndarray]] = {}
    if constants is not None:
        result, held = phonon_result(_phonopy(found, structure, np.array(constants, dtype=float)))
        arrays = {"phonon": held}
        problems += _disagreement(result["max_frequency"], _density(found))
    else:
        result = _of_curves(found, structure)
        problems.append("It has no force constants: only what its curves say.")
    yield found.reference("phonon", result, structure, level, arrays=arrays, problems=problems)


def displaced(content: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Calculations of displaced cells that a document was made of, by uuid and folder."""
    uuids = several((content.get("uuids") or {}).get("displacements_uuids"))
    folders = several((content.get("jobdirs") or {}).get("displacements_job_dirs"))
    for one in several(content.get("calc_meta")):  # emmet's
        if str(one.get("name", "")).startswith("displacement"):
            uuids.append(one.get("identifier"))
            folders.append(one.get("dir_name"))
    return [str(uuid) for uuid in uuids if uuid], [str(place) for place in folders if place]


def _phonopy(found: Found, structure: Structure, constants: np.ndarray) -> Phonopy:
    matrix = found.at("primitive_matrix")
    phonopy = Phonopy(
        get_phonopy_structure(structure),
        supercell_matrix=np.rint(found.need("supercell_matrix")).astype(int),
        primitive_matrix="auto" if matrix is None else matrix,
        symprec=_SYMPREC,
    )
    sizes = (len(phonopy.primitive), len(phonopy.supercell))
    if constants.ndim != 4 or constants.shape[0] not in sizes or constants.shape[1] != sizes[1]:
        raise PetFlowsError(
            f"The force constants have the shape {'×'.join(map(str, constants.shape))}, and the "
            f"supercell {sizes[1]} atoms: compute the document again."
        )
    phonopy.force_constants = constants
    born, dielectric = found.at("born"), found.at("epsilon_static")
    if born is not None and dielectric is not None:
        charges = np.array(born, dtype=float)
        if len(charges) == len(phonopy.unitcell) != sizes[0]:
            supercell = phonopy.supercell
            first = [supercell.s2u_map[atom] for atom in phonopy.primitive.p2s_map]
            charges = charges[[supercell.u2u_map[atom] for atom in first]]
        if len(charges) == sizes[0] and np.abs(charges).max() > 1e-8:
            phonopy.nac_params = nac_params(charges, np.array(dielectric, dtype=float))
    return phonopy


def _density(found: Found) -> list[float]:
    """Frequencies (THz) at which a document's density of states is not zero."""
    dos = found.blob(found.at("phonon_dos"))
    if not isinstance(dos, Mapping):
        return []
    there = np.asarray(dos["densities"]) > 1e-6 * np.max(dos["densities"])
    return list(np.asarray(dos["frequencies"], dtype=float)[there])


def _disagreement(highest: float, theirs: list[float]) -> list[str]:
    """Say so where force constants are not in the order in which phonopy has the atoms now."""
    if not theirs or abs(highest - max(theirs)) < _ALIKE * max(theirs):
        return []
    return [
        f"Its force constants give frequencies up to {highest:.2f} THz here, and its own density "
        f"of states ends at {max(theirs):.2f} THz: the atoms of its supercell may be in another "
        "order, or its cell another one."
    ]


def _of_curves(found: Found, structure: Structure) -> dict[str, Any]:
    """What the density of states, the bands and the thermal properties of a document say."""
    dos = found.blob(found.at("phonon_dos"))
    bands = found.blob(found.at("phonon_bandstructure"))
    frequencies: list[float] = []
    if isinstance(bands, Mapping):
        frequencies = list(np.ravel(bands.get("bands", bands.get("frequencies", []))))
    else:
        frequencies = _density(found)
    if not frequencies:
        raise PetFlowsError(
            "The document has neither force constants nor a density of states: run the flow with "
            "store_force_constants."
        )
    tolerance = PhononSettings().tolerance
    lowest = float(min(frequencies))
    return {
        "min_frequency": lowest,
        "max_frequency": float(max(frequencies)),
        "tolerance": tolerance,
        "has_imaginary_modes": lowest < -tolerance,
        "has_nac": found.at("born") is not None,
        "thermal": _thermal(found, structure, dos) or None,
    }


def _thermal(found: Found, structure: Structure, dos: Any) -> list[dict[str, float]]:
    """Per atom: the document's are per formula unit, J/mol and J/K/mol."""
    temperatures = found.at("temperatures")
    per_atom = 1.0 / structure.composition.reduced_composition.num_atoms
    if temperatures is not None and found.at("free_energies") is not None:
        columns = ("free_energies", "entropies", "heat_capacities")
        f, s, cv = (np.asarray(found.need(name), float) * per_atom for name in columns)
        rows = zip(temperatures, f / 1000.0, s, cv, strict=True)
        return [dict(zip(("T", "f", "s", "cv"), map(float, row), strict=True)) for row in rows]
    if not isinstance(dos, Mapping):
        return []
    from pymatgen.phonon.dos import PhononDos

    curve = PhononDos(dos["frequencies"], dos["densities"])
    n_atoms = np.trapezoid(dos["densities"], dos["frequencies"]) / 3.0
    return [
        {
            "T": float(temperature),
            "f": float(curve.helmholtz_free_energy(temperature) / n_atoms / 1000.0),
            "s": float(curve.entropy(temperature) / n_atoms),
            "cv": float(curve.cv(temperature) / n_atoms),
        }
        for temperature in PhononSettings().temperatures
    ]
