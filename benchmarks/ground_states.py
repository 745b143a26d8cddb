"""The nine ground states of the bundled model beside DFT: equations of state and elastic constants.

    python benchmarks/ground_states.py DATA [--model pet-mvl]

DATA is the folder with ``mlearn_*.extxyz.gz`` and ``monbtaw.extxyz.gz`` that the model was trained
on. Volumes and bulk moduli are compared with all-electron PBE (`pet_flows.dft.acwf`; nickel without
spin there, so left out). Elastic constants are compared with those of the data's strained cells,
evaluated by the model on the same cells and fitted alike: the strain energy of a cubic crystal to
third order (K. Brugger, Phys. Rev. 133, A1611, 1964) around the cubic cell of lowest energy, to
energies and, where there are any, stresses, ions clamped. Copper and nickel have none, and their
strains do not tell C12. Beside them the constants that `pet_flows.elastic` finds at the model's own
volume, ions relaxed. Lithium's sheared cells have stresses that are noise of its k-points, so that
its DFT C44 says nothing. At last the optical Γ mode of silicon; DFT's, from phono3py's Si-PBE
example, is 15.094 THz.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflows"))
from mvl_data import align_molybdenum, load, primitive

import pet_flows
from pet_flows.dft import acwf
from pet_flows.engines.evaluation import System
from pet_flows.engines.potential import get_potential
from pet_flows.models.spec import PotentialSpec

GPA = 160.21766208
#: largest Lagrangian strain of cells that constants are fitted to, and weight of energies per
#: volume (eV/Å³) beside stresses, as a strain
LARGEST, SCALE = 0.045, 0.02
ATOMS = {"bcc": 2, "fcc": 4, "diamond": 8}  # in a³
#: indices of a symmetric matrix in Voigt's order
VOIGT = (np.array([0, 1, 2, 1, 0, 0]), np.array([0, 1, 2, 2, 2, 1]))


def energies(e: np.ndarray) -> np.ndarray:
    """Derivatives of the energy density with respect to −p and the nine constants, ``(n, 10)``.

    ``e`` are ``(n, 6)`` strains in Voigt's order, shears doubled: p, C11, C12, C44, C111, C112,
    C123, C144, C155, C456.
    """
    a, b, c, x, y, z = e.T
    return np.stack([
        a + b + c,
        (a**2 + b**2 + c**2) / 2, a * b + b * c + c * a, (x**2 + y**2 + z**2) / 2,
        (a**3 + b**3 + c**3) / 6, (a**2 * (b + c) + b**2 * (a + c) + c**2 * (a + b)) / 2, a * b * c,
        (a * x**2 + b * y**2 + c * z**2) / 2,
        ((b + c) * x**2 + (a + c) * y**2 + (a + b) * z**2) / 2,
        x * y * z,
    ], axis=1)  # fmt: skip


def stresses(e: np.ndarray) -> np.ndarray:
    """The same of the second Piola-Kirchhoff stress, ``(n, 6, 10)``: its gradient, exactly.

    Central differences of a cubic polynomial, with two steps, have no error but round-off.
    """
    columns = []
    for k in range(6):
        step = np.eye(6)[k]
        one = energies(e + step) - energies(e - step)
        two = energies(e + 2 * step) - energies(e - 2 * step)
        columns.append((8 * one - two) / 12)
    return np.stack(columns, axis=1)


def constants(
    cells: list[Atoms], found: list[tuple[float, np.ndarray]], reference: np.ndarray
) -> np.ndarray:
    """C11, C12 and C44 in GPa at a cubic reference cell; C12 is NaN without stresses.

    ``found`` are the energy (eV/atom) and stress (eV/Å³, NaN where there is none) of each cell.
    """
    deformation = np.stack([np.linalg.solve(reference, atoms.cell.array) for atoms in cells])
    strain = (deformation @ deformation.transpose(0, 2, 1) - np.eye(3)) / 2
    near = np.abs(strain).max((1, 2)) < LARGEST
    vectors = strain[:, *VOIGT] * (1, 1, 1, 2, 2, 2)
    energy = np.array([e for e, _ in found]) * len(cells[0]) / abs(np.linalg.det(reference))
    level = np.ones((len(cells), 1))
    rows = [np.hstack([energies(vectors), level])[near] / SCALE]
    values = [(energy - energy.min())[near] / SCALE]
    cauchy = np.stack([stress for _, stress in found])
    given = near & np.isfinite(cauchy).all((1, 2))
    known = np.full(11, given.any())
    known[[0, 1, 3, 4, 7, 8, 10]] = True  # all but C12, C112, C123, and C456
    if given.any():
        inverse = np.linalg.inv(deformation[given].transpose(0, 2, 1))  # columns, as in textbooks
        second = inverse @ cauchy[given] @ inverse.transpose(0, 2, 1)
        second *= np.linalg.det(deformation[given])[:, None, None]
        matrix = stresses(vectors[given])
        rows.append(np.concatenate([matrix, np.zeros((*matrix.shape[:2], 1))], 2).reshape(-1, 11))
        values.append(second[:, *VOIGT].ravel())
    solution = np.full(11, np.nan)
    solution[known] = np.linalg.lstsq(np.concatenate(rows)[:, known], np.concatenate(values))[0]
    return np.asarray(GPA * solution[1:4])


def strained(structures: list[Atoms], element: str) -> tuple[list[Atoms], np.ndarray]:
    """Primitive strained perfect crystals of an element, and the cubic cell nearest their minimum.

    In the cell of the reference: each is a strained copy of it, atom for atom.
    """
    own = {"Nb": "monbtaw:Nb", "Mo": "monbtaw:Mo", "Ta": "monbtaw:Ta", "W": "monbtaw:W"}
    group = own.get(element, f"mlearn_{element}")
    atoms_in = {"diamond": 2}.get(acwf.GROUND_STATES[element], 1)
    wanted = [f"{group}_Elastic", f"{group}:Elastic", f"{group}:all"]
    found = [primitive(a) for a in structures if a.info["group"] in wanted]
    found = [standard(a, element) for a in found if len(a) == atoms_in]
    cubic = [a for a in found if np.ptp(a.cell.lengths()) < 1e-3 and np.ptp(a.cell.angles()) < 1e-2]
    lowest = min(cubic, key=lambda a: a.info["ref_energy"])
    return found, lowest.cell.array


def standard(atoms: Atoms, element: str) -> Atoms:
    """A primitive cell with the vectors that are nearest to those of ASE's for this crystal."""
    phase = acwf.GROUND_STATES[element]
    edge = (atoms.get_volume() / len(atoms) * ATOMS[phase]) ** (1 / 3)
    wanted = bulk(element, phase, a=edge).cell.array
    change = np.rint(wanted @ np.linalg.inv(atoms.cell.array))
    if abs(round(np.linalg.det(change))) != 1:
        raise ValueError(f"{atoms.info['group']}: no strained {phase}.")
    atoms.set_cell(change @ atoms.cell.array)
    return atoms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="pet-mvl")
    args = parser.parse_args()
    structures = load(args.data)
    align_molybdenum(structures)
    crystal = PotentialSpec(model=args.model, symmetrization="crystal")
    potential = get_potential(crystal, trust=True)
    loaded = pet_flows.load_potential(args.model, trust=True)
    references = {
        element: acwf.find(element, phase) for element, phase in acwf.GROUND_STATES.items()
    }
    expected = {element: found.result for element, found in references.items() if found}
    start = [bulk(element, phase, a=(ATOMS[phase] * expected[element]["v0_per_atom"]) ** (1 / 3))
             for element, phase in acwf.GROUND_STATES.items()]  # fmt: skip
    relaxed = pet_flows.relax(start, loaded)
    curves, tensors = pet_flows.eos(relaxed, loaded), pet_flows.elastic(relaxed, loaded)
    print("| | V0, Å³: here, DFT | B0, GPa | B0′ | C11, C12, C44 of the data, GPa: here | DFT "
          "| of `elastic` |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for (element, phase), curve, tensor in zip(
        acwf.GROUND_STATES.items(), curves, tensors, strict=True
    ):
        cells, reference = strained(structures, element)
        found = potential.evaluator.evaluate([System.of(a, potential.bind(a)) for a in cells])
        n = len(cells[0])
        here = [(float(f.energy) / n, np.asarray(f.stress)) for f in found]
        labels = [(a.info["ref_energy"] / n, a.info["ref_stress"].reshape(3, 3)) for a in cells]
        dft = expected[element]
        row = []
        for name, digits in (("v0_per_atom", 2), ("b0", 0), ("b0_prime", 1)):
            values = [getattr(curve, name), *([dft[name]] if element != "Ni" else [])]
            row.append(", ".join(f"{value:.{digits}f}" for value in values))
        own = np.array(tensor.tensor_ieee)[[0, 0, 3], [0, 1, 3]]
        for three in (constants(cells, here, reference), constants(cells, labels, reference), own):
            row.append(", ".join("–" if np.isnan(c) else f"{c:.0f}" for c in three))
        print(f"| {element} {phase} | {' | '.join(row)} |", flush=True)
    (silicon,) = (a for a in relaxed if a.formula.startswith("Si"))
    (spectrum,) = pet_flows.phonon([silicon], loaded)
    print(f"Si: {spectrum.max_frequency:.3f} THz at Γ")


if __name__ == "__main__":
    main()
