"""``torchsim:MODULE:CLASS``: any model of torch-sim, asked for batches of whole structures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pet_flows.errors import StructureError
from pet_flows.families.ase import USUAL_CUTOFF, refuse_choices
from pet_flows.families.calls import parse_call
from pet_flows.models.family import Family, Weights

if TYPE_CHECKING:
    import torch
    from ase import Atoms

    from pet_flows.engines.whole import Whole, WholeRaw
    from pet_flows.models.resolve import ResolvedPotential

FORM = "torchsim:MODULE:CLASS(name=value, ...)"


def find(which: str) -> Weights:
    """The model's class, not imported."""
    return parse_call(_dotted(which), FORM).weights("torchsim")


def load(found: ResolvedPotential, device: torch.device) -> WholeRaw:
    """Make the model."""
    from pet_flows.engines.foreign import process_as_it_is

    refuse_choices(found)
    call = parse_call(found.spec.model.partition(":")[2], FORM)
    with process_as_it_is():
        from pet_flows.engines.quiet import torch_sim as ts

        base = ts.models.interface.ModelInterface
        model = call.make(base, device=device, compute_forces=True, compute_stress=True)
    return raw_of(model)


def _dotted(which: str) -> str:
    """``MODULE:CLASS(…)`` as ``MODULE.CLASS(…)``: the first colon before any bracket."""
    name, bracket, rest = which.partition("(")
    return name.replace(":", ".", 1) + bracket + rest


def raw_of(
    model: Any,
    atomic_types: frozenset[int] = frozenset(range(1, 119)),
    n_layers: int = 1,
    is_invariant: bool = False,
    cutoff: float | None = None,
) -> WholeRaw:
    """Raw model over a model of torch-sim.

    Parameters
    ----------
    model
        A ``ModelInterface`` with forces.
    atomic_types, n_layers, is_invariant
        As far as they are known.
    cutoff
        Å; the model's own, or what is usual, where it is not given.
    """
    from pet_flows.engines.whole import WholeRaw

    known = cutoff or getattr(model, "cutoff", None) or USUAL_CUTOFF
    return WholeRaw(
        Batches(model), float(known), n_layers, atomic_types,
        is_invariant, dtype=model.dtype, device=model.device,
    )  # fmt: skip


class Batches:
    """A model of torch-sim, asked for batches of whole structures.

    Parameters
    ----------
    model
        A ``ModelInterface`` with forces and stress.
    """

    def __init__(self, model: Any):
        self._model = model

    def __call__(self, structures: Sequence[Atoms], gradients: bool) -> list[Whole]:
        """What it says of structures, in one batch for each kind of periodicity."""
        kinds: dict[tuple[bool, ...], list[int]] = {}
        for number, atoms in enumerate(structures):
            kinds.setdefault(tuple(atoms.pbc.tolist()), []).append(number)
        found: list[Whole | None] = [None] * len(structures)
        for pbc, numbers in kinds.items():
            batch = self._batch([structures[n] for n in numbers], pbc, gradients)
            for number, whole in zip(numbers, batch, strict=True):
                found[number] = whole
        return [one for one in found if one is not None]

    def _batch(
        self, structures: Sequence[Atoms], pbc: tuple[bool, ...], gradients: bool
    ) -> list[Whole]:
        import torch

        from pet_flows.engines.quiet import torch_sim as ts
        from pet_flows.engines.whole import Whole

        if gradients and all(pbc) and not self._model.compute_stress:
            raise StructureError(
                "no_stress",
                "This model gives no stress, which crystals need: use another potential.",
            )
        device = self._model.device
        sizes = [len(atoms) for atoms in structures]
        options = {"dtype": self._model.dtype, "device": device}
        kinds = np.concatenate([atoms.numbers for atoms in structures])
        numbers = torch.as_tensor(kinds, dtype=torch.int64, device=device)
        # an open direction has a vector of its own all the same
        cells = np.stack([atoms.cell.complete().array for atoms in structures])
        state = ts.SimState(
            positions=torch.as_tensor(np.concatenate([a.positions for a in structures]), **options),
            masses=torch.ones(len(numbers), **options),
            cell=torch.as_tensor(cells.swapaxes(1, 2).copy(), **options),
            pbc=torch.tensor(pbc, device=device),
            atomic_numbers=numbers,
            system_idx=torch.repeat_interleave(
                torch.arange(len(sizes), device=device),
                torch.tensor(sizes, device=device),
            ),
        )
        told = {k: v.detach().double().cpu().numpy() for k, v in self._model(state).items()
                if k in ("energy", "forces", "stress")}  # fmt: skip
        forces = np.split(told["forces"], np.cumsum(sizes)[:-1])
        stresses = told.get("stress") if all(pbc) else None
        return [
            Whole(float(told["energy"][s]), forces[s], None if stresses is None else stresses[s])
            for s in range(len(sizes))
        ]


FAMILY = Family(
    name="torchsim",
    needs=None,
    find=find,
    load=load,
    help="torchsim:MODULE:CLASS(...): any model of torch-sim, in batches",
)
