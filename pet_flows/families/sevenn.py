"""``sevenn:7net-0``, ``sevenn:FILE``: SevenNet, with energies by atom and in either precision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pet_flows.errors import PetFlowsError
from pet_flows.models.family import Family, Weights
from pet_flows.models.installed import folder_of

if TYPE_CHECKING:
    import torch

    from pet_flows.engines.edges import EdgeRaw, Edges
    from pet_flows.models.resolve import ResolvedPotential

#: parts of the model that come after energies by atom, and those that make numbers of elements
_SUMS = ("reduce_total_enegy", "force_output")
_ONE_HOT = ("onehot_idx_to_onehot", "one_hot_modality")
_FOLDER = "pretrained_potentials"
#: in the package, newest first
BUNDLED = {
    "7net-0": "SevenNet_0__11Jul2024/checkpoint_sevennet_0.pth",
    "7net-0_22may2024": "SevenNet_0__22May2024/checkpoint_sevennet_0.pth",
    "7net-l3i5": "SevenNet_l3i5/checkpoint_l3i5.pth",
    "7net-mf-0": "SevenNet_MF_0/checkpoint_sevennet_mf_0.pth",
}
#: MPtrj: PBE, with U on oxides and fluorides of V, Cr, Mn, Fe, Co, Ni, Mo and W, spin-polarized
_MPTRJ: dict[str, Any] = {
    "functional": "PBE", "run_type": "GGA_GGA+U", "u": True, "spin": True,
    "pseudopotentials": "VASP PBE of the Materials Project", "training_data": "MPtrj",
}  # fmt: skip


def find(which: str) -> Weights:
    """Checkpoint of a name, or of a file."""
    if which in BUNDLED:
        file = folder_of("sevenn") / _FOLDER / BUNDLED[which]
        return Weights(which, f"sevenn:{which}", file, trusted=True)
    path = Path(which).expanduser()
    if not path.is_file():
        raise PetFlowsError(
            f"SevenNet has no model {which!r} in its package, and there is no such file: choose "
            f"{', '.join(BUNDLED)}, or give the path of a checkpoint."
        )
    return Weights(path.stem, f"sevenn:{path.resolve()}", path, trusted=False)


def load(found: ResolvedPotential, device: torch.device) -> EdgeRaw:
    """The model of a checkpoint."""
    from pet_flows.engines.edges import EdgeRaw
    from pet_flows.engines.foreign import process_as_it_is
    from pet_flows.engines.wigner import with_exact_coefficients
    from pet_flows.models.load import DTYPES

    with process_as_it_is():
        from sevenn.util import load_checkpoint

        try:
            model = load_checkpoint(str(found.file.path)).build_model()
        except (RuntimeError, ValueError, KeyError, EOFError) as error:
            raise PetFlowsError(
                f"{found.file.path} cannot be read as a checkpoint of SevenNet "
                f"({type(error).__name__}: {error}): download or copy it again."
            ) from None
    modes = model.modal_map or {}
    variant = found.spec.variant
    if variant not in (modes or (None,)):
        offered = ", ".join(modes)
        raise PetFlowsError(
            f"{found.name} has the variants {offered} (got {variant}): choose one by --variant."
            if modes
            else f"{found.name} has no variants (got {variant}): leave --variant out."
        )
    dtype = DTYPES[found.spec.dtype]
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    layers = sum(name.endswith("_convolution") for name in model._modules)
    model = model.to(device, dtype)
    with_exact_coefficients(model)  # of convolutions that stay e3nn's
    return EdgeRaw(
        AtomicEnergies(model, None if variant is None else modes[variant]),
        float(model.cutoff), layers, frozenset(model.type_map), dtype, device, hops=layers,
    )  # fmt: skip


class AtomicEnergies:
    """A SevenNet, asked for its energies by atom.

    Parameters
    ----------
    model
        ``AtomGraphSequential`` in its dtype, on its device.
    mode
        Which level of theory it speaks for, where it knows several.
    """

    def __init__(self, model: Any, mode: int | None = None):
        from pet_flows.engines.sevenn_convolution import with_channels_last

        model.set_is_batch_data(True)
        self._modules = {
            name: module.eval() for name, module in model._modules.items() if name not in _SUMS
        }
        first = next(model.parameters())
        with_channels_last(self._modules, first.dtype)
        self._types = model.z_to_onehot_tensor.to(first.device)
        self._mode = mode

    def __call__(self, edges: Edges) -> torch.Tensor:
        """``(R,)`` eV."""
        import sevenn._keys as key
        import torch

        data: dict[str, Any] = {
            key.ATOMIC_NUMBERS: edges.numbers,
            key.NODE_FEATURE: self._types[edges.numbers],
            key.EDGE_IDX: torch.stack([edges.first, edges.second]),
            key.EDGE_VEC: edges.vectors,
            key.BATCH: edges.copy,
        }
        if self._mode is not None:
            data[key.MODAL_TYPE] = edges.copy.new_full((int(edges.copy.max()) + 1,), self._mode)
        for name, module in self._modules.items():
            data = module(data)
            if name in _ONE_HOT:  # they are float32 always
                data = {
                    k: v.to(edges.vectors.dtype) if v.is_floating_point() else v
                    for k, v in data.items()
                }
        energies: torch.Tensor = data[key.ATOMIC_ENERGY].reshape(-1)
        return energies


FAMILY = Family(
    name="sevenn",
    needs="sevenn",
    find=find,
    load=load,
    help="sevenn:7net-0 (or 7net-l3i5, 7net-mf-0 with --variant PBE), sevenn:FILE: SevenNet",
    cards={
        "7net-0": _MPTRJ,
        "7net-0_22may2024": _MPTRJ,
        "7net-l3i5": _MPTRJ,
        "7net-mf-0": {
            "training_data": "MPtrj (PBE), MP-r2SCAN (R2SCAN)",
            "variants": {
                "PBE": _MPTRJ,
                "R2SCAN": {"functional": "r2SCAN", "run_type": "r2SCAN", "u": False, "spin": True},
            },
        },
    },
)
