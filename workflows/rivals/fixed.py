"""A model of metatrain, new, with its atomic energies fixed beforehand."""

from __future__ import annotations

from typing import Any

import torch


def new_model(
    kind: type, architecture: str, hypers: dict[str, Any], fixed: dict[int, float]
) -> Any:
    """A model for energies in eV whose composition part is ``fixed`` (element → eV)."""
    from metatrain.composition.trainer import Trainer
    from metatrain.utils.architectures import get_default_hypers
    from metatrain.utils.data import DatasetInfo
    from metatrain.utils.data.target_info import get_energy_target_info

    unit: Any = {"unit": "eV", "description": ""}
    energy = get_energy_target_info("energy", unit, True, True)
    info = DatasetInfo("angstrom", list(fixed), {"energy": energy})
    model = kind({**get_default_hypers(architecture)["model"], **hypers}, info)
    given = {**get_default_hypers("composition")["training"], "atomic_baseline": {"energy": fixed}}
    cpu = torch.device("cpu")
    Trainer(given).train(model.additive_models[0], torch.float64, [cpu], [[]], [[]], "")
    return model


def save(model: Any, steps: int, file: Any) -> None:
    """Write the checkpoint."""
    torch.save({**model.get_checkpoint(), "epoch": steps, "best_epoch": steps}, file)
