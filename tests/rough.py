"""Models with random weights: a rough PET, about which nothing is invariant, and a soap-bpnn."""

from functools import lru_cache
from pathlib import Path

import torch

from pet_flows.models.catalogue import ModelFile
from pet_flows.models.resolve import ResolvedPotential

TYPES = (1, 6, 7, 8, 11, 12, 13, 14, 16, 17, 22, 26, 28, 29, 30, 32, 42, 56, 74)


#: name → quantity, unit, rank and sample kind of the outputs that turn with the structure
TENSORS = {
    "non_conservative_forces": ("force", "eV/A", 1, "atom"),
    "non_conservative_stress": ("pressure", "eV/A^3", 2, "system"),
    "mtt::polarizability": ("", "", 2, "system"),
}


def dataset_info(types, tensors=False, variants=()):
    """What metatrain wants to know of the data: elements and targets."""
    from metatrain.utils.data import DatasetInfo
    from metatrain.utils.data.target_info import get_energy_target_info, get_generic_target_info

    section = {
        "quantity": "energy", "unit": "eV", "num_subtargets": 1, "type": "scalar",
        "sample_kind": "system", "per_atom": False, "description": "",
    }  # fmt: skip
    names = ["energy", *(f"energy/{variant}" for variant in variants)]
    targets = {name: get_energy_target_info(name, section, True, True) for name in names}
    for name, (quantity, unit, rank, kind) in TENSORS.items() if tensors else ():
        own = {"quantity": quantity, "unit": unit, "type": {"cartesian": {"rank": rank}}}
        targets[name] = get_generic_target_info(name, {**section, **own, "sample_kind": kind})
    return DatasetInfo(length_unit="angstrom", atomic_types=sorted(types), targets=targets)


def build_pet(
    types=TYPES, seed=0, roughness=2.0, n_layers=2, zbl=False, adaptive=None, tensors=False,
    variants=(), **hyperparameters,
):  # fmt: skip
    """metatrain PET module in float64 with edge embeddings scaled by ``roughness``."""
    from metatrain.pet import __model__ as PET
    from metatrain.utils.architectures import get_default_hypers

    torch.manual_seed(seed)
    hypers = get_default_hypers("pet")["model"]
    hypers.update(
        cutoff=4.5, d_pet=32, d_node=64, d_head=32, d_feedforward=64, num_heads=2,
        num_attention_layers=1, num_gnn_layers=n_layers, zbl=zbl, num_neighbors_adaptive=adaptive,
    )  # fmt: skip
    for name, value in hyperparameters.items():
        if isinstance(value, dict):
            hypers[name].update(value)
        else:
            hypers[name] = value
    pet = PET(hypers, dataset_info(types, tensors, variants)).eval().to(torch.float64)
    for layer in pet.backend.gnn_layers:
        layer.edge_embedder.weight.data.mul_(roughness)
    if pet.backend.system_conditioning is not None:  # zero until it is trained
        torch.nn.init.normal_(pet.backend.system_conditioning.project[2].weight)
    return pet


def build_soap_bpnn(types=TYPES, seed=0, tensors=False):
    """metatrain soap-bpnn module in float64: invariant by construction, random weights."""
    from metatrain.soap_bpnn import __model__ as SoapBpnn
    from metatrain.utils.architectures import get_default_hypers

    torch.manual_seed(seed)
    hypers = get_default_hypers("soap_bpnn")["model"]
    hypers["soap"].update(max_angular=3, max_radial=4)
    hypers["soap"]["cutoff"].update(radius=4.5, width=0.5)
    hypers["bpnn"].update(num_neurons_per_layer=16)
    return SoapBpnn(hypers, dataset_info(types, tensors)).eval().to(torch.float64)


@lru_cache(maxsize=2)
def soap_model(**kwargs):
    """Exported metatomic model of :func:`build_soap_bpnn`."""
    return _frozen(build_soap_bpnn(**kwargs))


@lru_cache(maxsize=8)
def rough_model(**kwargs):
    """Exported metatomic model of :func:`build_pet`; same arguments, same object."""
    return _frozen(build_pet(**kwargs))


def _frozen(module):
    model = module.export()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


def unfiled(spec):
    """A spec as if its weights had been found, for models made in memory."""
    return ResolvedPotential(spec, ModelFile("rough", Path("rough.ckpt"), spec.sha256, True))


def save_checkpoint(path: Path, llpr: bool = False, module=None, **kwargs) -> Path:
    """Write a metatrain checkpoint, with ``llpr`` in the format of the upet hub, in float32.

    The numbers of the wrapper are random too: as if calibrated on noise, with an ensemble.
    """
    module = module or build_pet(**kwargs)
    checkpoint = _checkpoint(module)
    if llpr:
        from metatrain.llpr import __model__ as Llpr

        wrapper = Llpr({"num_ensemble_members": {"energy": 4}}, module.dataset_info)
        wrapper.set_wrapped_model(module.to(torch.float32))
        wrapper.to(torch.float32)
        features = torch.randn(500, wrapper.ll_feat_size)
        wrapper._get_covariance("energy_uncertainty").copy_(features.T @ features)
        wrapper.compute_cholesky_decomposition()
        wrapper.generate_ensemble()
        checkpoint = {**wrapper.get_checkpoint(), "wrapped_model_checkpoint": _checkpoint(module)}
    torch.save(checkpoint, path)
    return path


def _checkpoint(module):
    return {**module.get_checkpoint(), "epoch": 0, "best_epoch": 0}
