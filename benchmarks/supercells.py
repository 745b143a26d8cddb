"""How long a supercell must be: phonons of relaxed crystals against those of the longest one.

    python benchmarks/supercells.py [--lengths 10 12 14 16 18] [--reference 20]

For each `min_length`: atoms, evaluations and CPU seconds of `phonon` with its other defaults; the
largest and the root-mean-square difference of its mesh's frequencies, and that of the free energy
at 300 K, from the reference; and how far the stiffnesses ρv² of its long acoustic waves are from
those of the elastic tensor, which is measured on strained primitive cells and knows no supercell.
"""

from __future__ import annotations

import argparse
import gc
import time
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from ase.units import _amu
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms
from properties_crystals import GROUND_STATES
from properties_peers import results

from pet_flows.engines.potential import Potential, get_potential
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.elastic.declaration import ElasticSettings
from pet_flows.properties.elastic.elastic import elastic
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.phonon.declaration import PhononSettings
from pet_flows.properties.phonon.phonon import phonon
from pet_flows.properties.relax.declaration import RelaxSettings
from pet_flows.properties.relax.relax import relax

#: beside the ground states: an ordered alloy, and a hexagonal metal where the model is a guess
OTHERS = {
    "MoTa B2": bulk("MoTa", "cesiumchloride", a=3.25),
    "Ni hcp": bulk("Ni", "hcp", a=2.49, c=4.07),
}
CHOSEN = ("Si diamond", "Cu fcc", "W bcc", "Nb bcc", "MoTa B2", "Ni hcp")
DIRECTIONS = np.array([[1, 0, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1]]) / np.sqrt([[1], [1], [2], [3]])
#: 1/Å, of the acoustic waves; short enough to be sound
WAVE = 0.01
#: places of Voigt's notation
VOIGT = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])


def crystals() -> dict[str, Atoms]:
    ground = GROUND_STATES.items()
    return {f"{name} {kind}": bulk(name, kind, a=a) for name, (kind, a) in ground} | OTHERS


def christoffel(tensor: np.ndarray) -> np.ndarray:
    """Stiffnesses ρv² (d, 3) in GPa, ascending, of waves along :data:`DIRECTIONS`."""
    full = tensor[VOIGT[:, :, None, None], VOIGT[None, None]]
    return np.array([np.linalg.eigvalsh(np.einsum("ijkl,j,l", full, n, n)) for n in DIRECTIONS])


def acoustic(outcome: Outcome) -> np.ndarray:
    """The same from the slopes of the phonons; an imaginary wave counts as negative."""
    arrays = outcome.blobs["phonon"]
    phonopy = Phonopy(
        PhonopyAtoms(
            numbers=arrays["primitive_numbers"],
            cell=arrays["primitive_cell"],
            positions=arrays["primitive_positions"],
        ),
        supercell_matrix=arrays["supercell_matrix"],
        primitive_matrix="P",
        is_symmetry=False,  # minutes for the largest, and of no use here
    )
    phonopy.force_constants = arrays["force_constants"]
    cell = phonopy.primitive
    phonopy.run_qpoints(WAVE * DIRECTIONS @ cell.cell.T / (2 * np.pi))
    qpoints: Any = phonopy.qpoints
    slopes = 2 * np.pi * np.sort(qpoints.frequencies, axis=1)[:, :3] / WAVE  # Å THz = 100 m/s
    density = cell.masses.sum() * _amu / (cell.volume * 1e-30)
    return np.sort(np.sign(slopes) * density * (100 * slopes) ** 2 / 1e9, axis=1)


def seconds_of(atoms: Outcome, potential: Potential, length: float) -> tuple[Outcome, float]:
    settings = PhononSettings(min_length=length, max_atoms=5000)
    assert atoms.atoms is not None
    gc.collect()
    start = time.process_time()
    (found,) = results(phonon([atoms.atoms], potential, settings, [atoms.inherited]))
    return found, time.process_time() - start


def free_energy(outcome: Outcome) -> float:
    """meV/atom at 300 K."""
    kilojoule = next(row["f"] for row in outcome.result["thermal"] if row["T"] == 300.0)
    return kilojoule * 1e3 / 96.485332


def rows(
    name: str, atoms: Atoms, potential: Potential, lengths: list[float], reference: float
) -> list[dict[str, Any]]:
    (relaxed,) = results(relax([atoms], potential, RelaxSettings(fmax=1e-4, smax=1e-5)))
    small = ElasticSettings(strain_magnitudes=(0.001, 0.002))
    (strained,) = results(elastic([relaxed.atoms], potential, small, [relaxed.inherited]))
    stiff = christoffel(np.array(strained.result["tensor"]))
    best, best_seconds = seconds_of(relaxed, potential, reference)
    found = []
    for length in [*lengths, reference]:
        if length == reference:
            mine, seconds = best, best_seconds
        else:
            mine, seconds = seconds_of(relaxed, potential, length)
        away = mine.blobs["phonon"]["mesh_frequencies"] - best.blobs["phonon"]["mesh_frequencies"]
        weights = best.blobs["phonon"]["mesh_weights"]
        waves = np.abs(acoustic(mine) - stiff).max() / stiff.max()
        found.append(
            {
                "crystal": name,
                "min_length": length,
                "atoms": len(mine.blobs["phonon"]["supercell_numbers"]),
                "evaluations": mine.n_evaluations,
                "seconds": seconds,
                "largest": float(np.abs(away).max()),
                "rms": float(np.sqrt(weights @ (away**2).mean(1) / weights.sum())),
                "free_energy": free_energy(mine) - free_energy(best),
                "sound": float(waves),
                "softest": float(acoustic(mine).min()),
                "softest_strained": float(stiff.min()),
                "min_frequency": mine.result["min_frequency"],
            }
        )
    return found


def summary(found: list[dict[str, Any]], lengths: list[float]) -> str:
    """A row for each length and a column for each crystal: what is in docs/performance.md."""
    names = list(dict.fromkeys(row["crystal"] for row in found))
    lines = [f"| `min_length` | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for length in lengths:
        mine = [row for row in found if row["min_length"] == length]
        cells = [
            f"{r['atoms']}, {r['seconds']:.1f} s, {r['largest']:.3f} THz, {100 * r['sound']:.1f} %"
            for r in mine
        ]
        lines.append(f"| {length:g} Å | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="pet-mvl")
    parser.add_argument("--lengths", type=float, nargs="+", default=[10, 12, 14, 16, 18])
    parser.add_argument("--reference", type=float, default=20.0)
    parser.add_argument("--crystals", nargs="+", default=list(CHOSEN))
    args = parser.parse_args()
    torch.set_num_threads(1)
    potential = get_potential(PotentialSpec(model=args.model, dtype="float64"))
    print(f"{args.model} reaches {potential.reach:.1f} Å")
    every = crystals()
    seconds_of(results(relax([every["Si diamond"]], potential))[0], potential, 8.0)  # imports
    columns = (
        "crystal", "`min_length`, Å", "atoms", "evaluations", "s", "largest, THz", "rms, THz",
        "F(300 K), meV/atom", "ρv², % of the stiffest", "softest ρv² (strained), GPa",
        "lowest, THz",
    )  # fmt: skip
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    found = []
    for name in args.crystals:
        for r in rows(name, every[name], potential, args.lengths, args.reference):
            print(
                f"| {r['crystal']} | {r['min_length']:g} | {r['atoms']} | {r['evaluations']} "
                f"| {r['seconds']:.1f} | {r['largest']:.3f} | {r['rms']:.3f} "
                f"| {r['free_energy']:+.2f} | {100 * r['sound']:.1f} "
                f"| {r['softest']:.1f} ({r['softest_strained']:.1f}) | {r['min_frequency']:.2f} |",
                flush=True,
            )
            found.append(r)
    print("\natoms, CPU seconds, largest THz, ρv²:\n")
    print(summary(found, [*args.lengths, args.reference]))


if __name__ == "__main__":
    main()
