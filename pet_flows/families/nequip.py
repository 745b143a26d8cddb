"""``nequip:FILE``: NequIP and what is built on it, with energies by atom and in either precision.

Checkpoints and packages hold the model itself, which takes edge vectors as well as positions. A
compiled file holds only what was compiled: total energies of whole structures.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pet_flows.errors import PetFlowsError
from pet_flows.models.family import Family, Weights

if TYPE_CHECKING:
    import torch

    from pet_flows.engines.edges import EdgeRaw, Edges
    from pet_flows.models.resolve import ResolvedPotential

ENDINGS = (".ckpt", ".nequip.zip")
#: compiled by `nequip-compile`
COMPILED = (".nequip.pt2", ".nequip.pth")
#: parameters that nequip keeps in float64 whatever the precision of the model
_ALWAYS_DOUBLE = ("_rmax_recip", "bessel_weights", "scales", "shifts", "_qqr2exesquare")


def find(which: str) -> Weights:
    """The file of a checkpoint or package."""
    path = Path(which).expanduser()
    if path.name.endswith(COMPILED):
        raise PetFlowsError(
            f"{which} is compiled, which leaves no energies by atom and one precision: give the "
            "checkpoint (.ckpt) or package (.nequip.zip) that it was compiled from."
        )
    ending = next((each for each in ENDINGS if path.name.endswith(each)), None)
    if ending is None:
        raise PetFlowsError(
            f"{which} is neither a checkpoint of NequIP (.ckpt) nor a package (.nequip.zip): give "
            "a file with one of these endings."
        )
    if not path.is_file():
        raise PetFlowsError(f"There is no NequIP model at {path}: check the path.")
    return Weights(path.name.removesuffix(ending), f"nequip:{path.resolve()}", path, trusted=False)


def load(found: ResolvedPotential, device: torch.device) -> EdgeRaw:
    """The model of a file; where it holds several, their names are variants."""
    import e3nn  # noqa: F401  their settings are put back only if they are there before
    import torch
    import torch._dynamo.config

    from pet_flows.engines.edges import EdgeRaw
    from pet_flows.engines.foreign import process_as_it_is
    from pet_flows.engines.wigner import with_exact_coefficients
    from pet_flows.models.load import DTYPES

    with process_as_it_is(torch.float64):
        model = _chosen(_opened(found.file.path), found).eval()
        types = _types(found.name, model)
        cutoff = float(model.metadata["r_max"])
    fields = getattr(model, "model_input_fields", ())
    if wanted := sorted({"charge", "spin", "dataset"} & set(fields)):
        raise PetFlowsError(
            f"{found.name} needs {', '.join(wanted)} with each structure, and pet_flows has none "
            "to give it: use a model without."
        )
    dtype = DTYPES[found.spec.dtype]
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    layers = sum(type(each).__name__ == "ConvNetLayer" for each in model.modules())
    model = _converted(model, dtype).to(device)
    with_exact_coefficients(model)
    return EdgeRaw(
        AtomicEnergies(model, types), cutoff, max(1, layers),
        frozenset(types), dtype, device, hops=layers or None,
    )  # fmt: skip


def _opened(path: Path) -> Any:
    """Models of a file by their names."""
    import torch

    try:
        from nequip.model.saved_models import ModelFromCheckpoint, ModelFromPackage
        from nequip.utils import global_state

        # what it sets is put back after each model: it has to set it again for the next
        global_state._GLOBAL_STATE_INITIALIZED = False
        global_state.set_global_state()
        packed = path.name.endswith(".zip")
        models = (ModelFromPackage if packed else ModelFromCheckpoint)(str(path))
    except Exception as error:  # unpickling fails in as many ways as there are damaged files
        said = (str(error).splitlines() or [""])[0]
        raise PetFlowsError(
            f"{path} cannot be used by the installed nequip ({type(error).__name__}: {said:.200}): "
            "use the version that wrote it, or copy it again."
        ) from None
    assert isinstance(models, torch.nn.Module)
    return models


def _chosen(models: Any, found: ResolvedPotential) -> Any:
    """The model that a variant names, or the only one."""
    names, variant = list(models.keys()), found.spec.variant
    if len(names) == 1:
        if variant is not None:
            raise PetFlowsError(
                f"{found.name} has no variants (got {variant}): leave --variant out."
            )
        return models[names[0]]
    if variant not in names:
        raise PetFlowsError(
            f"{found.name} has the variants {', '.join(names)} (got {variant}): choose one by "
            "--variant."
        )
    return models[variant]


def _types(name: str, model: Any) -> dict[int, int]:
    """Atomic number → type."""
    from ase.data import atomic_numbers

    names = list(model.type_names)
    if strange := [each for each in names if each not in atomic_numbers]:
        raise PetFlowsError(
            f"{name} has atom types that are no elements ({', '.join(strange)}): use a model whose "
            "types are chemical symbols."
        )
    return {atomic_numbers[each]: number for number, each in enumerate(names)}


def _converted(model: Any, dtype: torch.dtype) -> Any:
    """The model in another precision, as nequip would have made it."""
    import torch

    for each in model.modules():
        for tensors in (each._parameters, each._buffers):
            for name, tensor in tensors.items():
                if tensor is not None and tensor.is_floating_point():
                    kept = name in _ALWAYS_DOUBLE
                    tensor.data = tensor.data.to(torch.float64 if kept else dtype)
        for name in ("_output_dtype", "model_dtype"):
            if name in vars(each):
                setattr(each, name, dtype)
    return model


class AtomicEnergies:
    """A NequIP model, asked for its energies by atom.

    Parameters
    ----------
    model
        In its dtype, on its device.
    types
        Atomic number → type.
    """

    def __init__(self, model: Any, types: dict[int, int]):
        import torch

        inside = model.model
        # derivatives are taken of the edges, outside
        self._model = inside.func if type(inside).__name__ == "ForceStressOutput" else inside
        first = next(model.parameters())
        self._types = torch.zeros(119, dtype=torch.long, device=first.device)
        self._types[list(types)] = torch.tensor(list(types.values()), device=first.device)

    def __call__(self, edges: Edges) -> torch.Tensor:
        """``(R,)`` eV."""
        import torch

        found = self._model(
            {
                "atom_types": self._types[edges.numbers],
                "edge_index": torch.stack([edges.first, edges.second]),
                "edge_vectors": edges.vectors.double(),  # geometry is float64 there, always
                "batch": edges.copy,
                "num_atoms": torch.bincount(edges.copy),
                # the number of atoms is that of its rows
                "pos": edges.vectors.new_zeros(len(edges.numbers), 3, dtype=torch.float64),
            }
        )
        energies: torch.Tensor = found["atomic_energy"].reshape(-1)
        return energies


FAMILY = Family(
    name="nequip",
    needs="nequip",
    find=find,
    load=load,
    help="nequip:FILE: a checkpoint (.ckpt) or package (.nequip.zip) of NequIP",
)
