"""Measure a trained model and write its card: errors per element, ground states, provenance.

    python workflows/model_card.py runs/pet-mvl/model.ckpt --data runs/pet-mvl/validation.extxyz \
        --out pet_flows/models/data/pet-mvl --recipe "workflows/train_pet_mvl.py, 16 epochs"

copies the checkpoint without its optimizer state to ``<out>.ckpt`` and writes ``<out>.json``.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.io import read

from pet_flows.engines.evaluation import System
from pet_flows.engines.potential import Potential, get_potential
from pet_flows.models.spec import PotentialSpec

TRAINING_PHASES = {
    "Li": ["bcc"], "Si": ["diamond"], "Ni": ["fcc"], "Cu": ["fcc"], "Ge": ["diamond"],
    "Nb": ["bcc"], "Mo": ["bcc"], "Ta": ["bcc"], "W": ["bcc"],
}  # fmt: skip


def inference_only(checkpoint: Path, target: Path) -> None:
    """Copy the best weights, without optimizer state and training history."""
    from metatomic.torch import ModelMetadata  # noqa: F401  its class is unpickled

    content = torch.load(checkpoint, weights_only=False, map_location="cpu")
    keep = (
        "architecture_name", "model_ckpt_version", "metadata", "model_data", "epoch", "best_epoch",
        "best_model_state_dict",
    )  # fmt: skip
    slim = {key: content[key] for key in keep if key in content}
    slim["model_state_dict"] = slim["best_model_state_dict"]
    torch.save(slim, target)


def errors(potential: Potential, structures: list[Atoms], chunk: int = 50) -> dict[str, Any]:
    """Errors per chemical system: energy meV/atom, forces eV/Å, stress GPa."""
    collected: dict[str, dict[str, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))
    for start in range(0, len(structures), chunk):
        batch = structures[start : start + chunk]
        systems = [System.of(a, potential.bind(a)) for a in batch]
        for atoms, result in zip(batch, potential.evaluator.evaluate(systems), strict=True):
            label = "-".join(sorted(set(atoms.get_chemical_symbols())))
            entry = collected[label]
            difference = result.energy - atoms.info["ref_energy"]
            entry["energy"].append(np.array([1000 * difference / len(atoms)]))
            entry["forces"].append((result.forces - atoms.arrays["ref_forces"]).ravel())
            stress = np.reshape(atoms.info["ref_stress"], (3, 3))
            if np.isfinite(stress).all():
                entry["stress"].append(160.21766208 * (result.stress - stress).ravel())
    table = {label: _summary(entry) for label, entry in sorted(collected.items())}
    whole: dict[str, list[np.ndarray]] = defaultdict(list)
    for entry in collected.values():
        for quantity, values in entry.items():
            whole[quantity] += values
    return {"all": _summary(whole), **table}


def _summary(entry: dict[str, list[np.ndarray]]) -> dict[str, float]:
    units = {"energy": "meV_per_atom", "forces": "eV_per_A", "stress": "GPa"}
    summary: dict[str, float] = {"n_structures": len(entry["energy"])}
    for quantity, unit in units.items():
        if entry.get(quantity):
            flat = np.concatenate(entry[quantity])
            summary[f"{quantity}_mae_{unit}"] = round(float(np.abs(flat).mean()), 4)
            summary[f"{quantity}_rmse_{unit}"] = round(float(np.sqrt((flat**2).mean())), 4)
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="validation.extxyz")
    parser.add_argument("--out", type=Path, required=True, help="target, without suffix")
    parser.add_argument("--recipe", required=True, help="in words, how it was trained")
    args = parser.parse_args()

    target = args.out.with_suffix(".ckpt")
    inference_only(args.checkpoint, target)
    spec = PotentialSpec(model=str(target), symmetrization="none", dtype="float32")
    potential = get_potential(spec, trust=True)
    validation = errors(potential, list(read(args.data, ":")))
    card = {
        "description": "Small PET for nine elements, trained from scratch for this package.",
        "elements": sorted(TRAINING_PHASES),
        "functional": "PBE",
        "run_type": "GGA",
        "spin": True,
        "spin_note": "as in the sources: Ni spin-polarized (energies of its strained cells have "
        "their minimum near 10.9 Å³/atom, as spin-polarized PBE has it; non-magnetic 10.83), the "
        "rest non-magnetic elements, where spin changes nothing",
        "licence": "BSD-3-Clause",
        "training_data": [
            "Zuo et al., J. Phys. Chem. A 124, 731 (2020): Li, Si, Ni, Cu, Ge, Mo (BSD-3-Clause)",
            "Li et al., npj Comput. Mater. 6, 70 (2020): Nb, Mo, Ta, W (BSD-3-Clause)",
        ],
        "recipe": args.recipe,
        "training_phases": TRAINING_PHASES,
        "validation": validation,
        "validation_note": "one orientation each, no symmetrization, float32",
    }
    args.out.with_suffix(".json").write_text(
        json.dumps(card, indent=1, ensure_ascii=False) + "\n", "utf-8"
    )
    for label, row in validation.items():
        print(f"{label:6}", row)


if __name__ == "__main__":
    main()
