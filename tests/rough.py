"""A deliberately rough PET with random weights: nothing about it is rotationally invariant."""

from functools import lru_cache
from pathlib import Path

import torch

TYPES = (1, 6, 7, 8, 11, 12, 13, 14, 16, 17, 22, 26, 28, 29, 30, 32, 42, 56, 74)


def build_pet(types=TYPES, seed=0, roughness=2.0, n_layers=2, zbl=False, adaptive=None):
    """metatrain PET module in float64 with edge embeddings scaled by ``roughness``."""
    from metatrain.pet import __model__ as PET
    from metatrain.utils.architectures import get_default_hypers
    from metatrain.utils.data import DatasetInfo
    from metatrain.utils.data.target_info import get_energy_target_info

    torch.manual_seed(seed)
    hypers = get_default_hypers("pet")["model"]
    hypers.update(
        cutoff=4.5, d_pet=32, d_node=64, d_head=32, d_feedforward=64, num_heads=2,
        num_attention_layers=1, num_gnn_layers=n_layers, zbl=zbl, num_neighbors_adaptive=adaptive,
    )  # fmt: skip
    section = {
        "quantity": "energy", "unit": "eV", "num_subtargets": 1, "type": "scalar",
        "sample_kind": "system", "per_atom": False, "description": "",
    }  # fmt: skip
    target = get_energy_target_info(
        "energy", section, add_position_gradients=True, add_strain_gradients=True
    )
    info = DatasetInfo(
        length_unit="angstrom", atomic_types=sorted(types), targets={"energy": target}
    )
    pet = PET(hypers, info).eval().to(torch.float64)
    for layer in pet.backend.gnn_layers:
        layer.edge_embedder.weight.data.mul_(roughness)
    return pet


@lru_cache(maxsize=8)
def rough_model(**kwargs):
    """Exported metatomic model of :func:`build_pet`; same arguments, same object."""
    model = build_pet(**kwargs).export()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


def save_checkpoint(path: Path, **kwargs) -> Path:
    """Write a metatrain checkpoint in the format of the upet hub."""
    pet = build_pet(**kwargs)
    checkpoint = pet.get_checkpoint()
    checkpoint["epoch"] = checkpoint["best_epoch"] = 0
    torch.save(checkpoint, path)
    return path
