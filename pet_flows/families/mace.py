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
        from pet_flows.engines.wigner import with_exact_coefficients

        try:
            module = torch.load(found.file.path, map_location=device, weights_only=False)
            heads = list(getattr(module, "heads", None) or ["Default"])
            _refuse_other(found.name, found.spec.variant, heads)
            module = module.to(dtype)
            if dtype == torch.float64:
                with_exact_coefficients(module)
                _with_exact_contractions(module)
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


def _with_exact_contractions(model: torch.nn.Module) -> None:
    """The products of coefficients of symmetric contractions as those of tensor products.

    Those of cuequivariance are of another basis, and stay.
    """
    import torch
    from e3nn.o3 import Irreps
    from mace.modules.symmetric_contraction import SymmetricContraction
    from mace.tools.cg import U_matrix_real

    from pet_flows.engines.wigner import replace_rounded

    made: dict[tuple[str, str, int], torch.Tensor] = {}
    for module in model.modules():
        if not isinstance(module, SymmetricContraction):
            continue
        for (_, irrep), contraction in zip(module.irreps_out, module.contractions, strict=True):
            inside = contraction.coupling_irreps
            for order in range(1, contraction.correlation + 1):
                rounded = contraction.U_tensors(order)
                if not torch.equal(rounded, rounded.float().to(rounded.dtype)):
                    continue  # made in float64; to make them takes a while
                key = str(inside), str(irrep), order
                if key not in made:
                    made[key] = U_matrix_real(
                        irreps_in=inside, irreps_out=Irreps(str(irrep)), correlation=order,
                        use_cueq_cg=False, dtype=torch.float64,
                    )[-1]  # fmt: skip
                replace_rounded(rounded, made[key])


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
