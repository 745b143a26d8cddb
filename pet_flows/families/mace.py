"""``mace:FILE``: a MACE model, in batches of whole structures and either precision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pet_flows.errors import PetFlowsError
from pet_flows.families.torchsim import raw_of
from pet_flows.models.family import Family, Weights

if TYPE_CHECKING:
    import torch

    from pet_flows.engines.whole import WholeRaw
    from pet_flows.models.resolve import ResolvedPotential


def find(which: str) -> Weights:
    """The file of a model."""
    path = Path(which).expanduser()
    if not path.is_file():
        raise PetFlowsError(f"There is no MACE model at {path}: check the path.")
    return Weights(path.stem, f"mace:{path.resolve()}", path, trusted=False)


def load(found: ResolvedPotential, device: torch.device) -> WholeRaw:
    """The model of a file; its heads are variants."""
    import torch

    from pet_flows.engines.foreign import process_as_it_is
    from pet_flows.models.load import DTYPES

    dtype = DTYPES[found.spec.dtype]
    with process_as_it_is(dtype):
        from mace.calculators.mace_torchsim import MaceTorchSimModel

        from pet_flows.engines.quiet import torch_sim  # noqa: F401  without its greeting

        try:
            module = torch.load(found.file.path, map_location=device, weights_only=False)
            heads = list(getattr(module, "heads", None) or ["Default"])
            _refuse_other(found.name, found.spec.variant, heads)
            model = MaceTorchSimModel(
                module, device=device, dtype=dtype, head=found.spec.variant or heads[0]
            )
        except PetFlowsError:
            raise
        except Exception as error:  # unpickling fails in as many ways as there are damaged files
            said = (str(error).splitlines() or [""])[0]
            raise PetFlowsError(
                f"{found.file.path} cannot be used by the installed mace-torch "
                f"({type(error).__name__}: {said}): use the version that wrote it."
            ) from None
    types = frozenset(int(z) for z in module.atomic_numbers)
    layers = int(module.num_interactions)
    return raw_of(model, types, layers, is_invariant=True, cutoff=float(module.r_max))


def _refuse_other(name: str, variant: str | None, heads: list[str]) -> None:
    """Refuse a head that is not there, or none where there are several."""
    if variant in heads or (variant is None and len(heads) == 1):
        return
    if len(heads) == 1:
        raise PetFlowsError(f"{name} has no variants (got {variant}): leave --variant out.")
    raise PetFlowsError(
        f"{name} has the variants {', '.join(heads)} (got {variant}): choose one by --variant."
    )


FAMILY = Family(
    name="mace",
    needs="mace",
    find=find,
    load=load,
    help="mace:FILE: a MACE model, its heads by --variant",
)
