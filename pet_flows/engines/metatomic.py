"""Any metatomic model as a raw model: the general path, and the only one to other outputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pet_flows.engines.graphs import Graphs
from pet_flows.engines.raw import Copies, RawResult, default_dtype
from pet_flows.engines.surroundings import Lists
from pet_flows.errors import PetFlowsError
from pet_flows.geometry.electrons import NEUTRAL

if TYPE_CHECKING:
    from metatomic.torch import AtomisticModel, ModelOutput, System


#: units of the inputs besides atoms
UNITS = {"charge": "e", "spin_multiplicity": ""}


@contextmanager
def errors_of_the_model() -> Iterator[None]:
    """Raise what a model refuses as RuntimeError, as it would be in TorchScript or outside."""
    try:
        yield
    except torch.jit.Error as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = next((line for line in reversed(lines) if "Error: " in line), lines[-1])
        raise RuntimeError(said.partition("Error: ")[2] or said) from error
    except ValueError as error:  # such as a charge that it was not trained for
        raise RuntimeError(str(error)) from error


def beside_energy(key: str, what: str) -> str:
    """Output of ``uncertainty`` or ``ensemble`` that belongs to an output of energies."""
    return f"energy_{what}" if key == "energy" else f"mtt::aux::{key}_{what}"


def energy_key(model: AtomisticModel, variant: str | None = None) -> str:
    """Name of the output that holds the energies of a variant, or of none.

    Raises
    ------
    PetFlowsError
        There is no such output; the sentence lists those that there are.
    """
    from metatomic.torch import pick_output

    outputs = model.capabilities().outputs
    try:
        return str(pick_output("energy", outputs, variant))
    except ValueError:
        offered = sorted(name.partition("/")[2] for name in outputs if name.startswith("energy/"))
        if not offered:
            raise PetFlowsError(
                f"The model has no variants (got {variant}): leave --variant out."
            ) from None
        raise PetFlowsError(
            f"The model has the variants {', '.join(offered)} (got {variant}): choose one by "
            "--variant."
        ) from None


class MetatomicRaw:
    """The general path: any metatomic model with per-atom energies.

    Parameters
    ----------
    model
        Loaded model; its dtype and device decide where it is evaluated.
    variant
        Which of its energies, where it has several.
    member
        Evaluate this member of its ensemble of energies instead of their mean.
    """

    def __init__(
        self, model: AtomisticModel, variant: str | None = None, member: int | None = None
    ):
        from metatomic.torch import ModelEvaluationOptions, ModelOutput

        capabilities = model.capabilities()
        key = energy_key(model, variant)
        if member is not None:
            key = beside_energy(key, "ensemble")
        self.variant = variant
        self._column = member or 0
        self._members: dict[int, MetatomicRaw] = {}
        if capabilities.outputs[key].sample_kind != "atom":
            raise PetFlowsError(
                "This model gives no per-atom energies, which symmetrization needs: use another."
            )
        inputs = set(model.requested_inputs(use_new_names=True))
        self.takes = tuple(name for name in NEUTRAL if name in inputs)
        if wanted := ", ".join(sorted(inputs - NEUTRAL.keys())):
            raise PetFlowsError(
                f"This model needs {wanted} with each structure, and pet_flows has none to give: "
                "use another model."
            )
        self._model = model
        self._key = key
        self._options = ModelEvaluationOptions(
            length_unit="angstrom", outputs={key: ModelOutput(unit="eV", sample_kind="atom")}
        )
        self._requested = model.requested_neighbor_lists()
        if not self._requested:
            raise PetFlowsError(
                "This model asks for no neighbours: its energy does not depend on where atoms "
                "are; use an interatomic potential."
            )
        first = next(iter(model.parameters()), None)
        self.device = first.device if first is not None else torch.device("cpu")
        self.dtype = {"float32": torch.float32, "float64": torch.float64}[capabilities.dtype]
        self.cutoff = max((o.engine_cutoff("angstrom") for o in self._requested), default=0.0)
        reach = capabilities.interaction_range / max(self.cutoff, 1e-9)
        known = bool(np.isfinite(reach))
        # One more than declared: PET says cutoff × layers, but reads out messages exchanged after
        # the last layer, and adaptive cutoffs look at neighbours' neighbours. An infinite range
        # says nothing of layers; four hops are more than any PET has.
        self.n_layers = int(np.ceil(reach - 1e-9)) + 1 if known else 4
        single = len(self._requested) == 1 and self._requested[0].full_list
        self.hops = self.n_layers if known and single else None
        self.atomic_types = frozenset(capabilities.atomic_types)

    @property
    def lists(self) -> Lists:
        """Those that it asks for."""
        return tuple((o.engine_cutoff("angstrom"), o.full_list) for o in self._requested)

    @property
    def general(self) -> MetatomicRaw:
        """Itself."""
        return self

    @property
    def key(self) -> str:
        """Output that holds its energies."""
        return self._key

    @property
    def n_members(self) -> int:
        """Members of the ensemble that belongs to its energies; none without a wrapper for it."""
        layers = getattr(self._model.module, "ensemble_weight_sizes", {})
        return int(layers.get(self._key, 0))

    def member(self, number: int) -> MetatomicRaw:
        """The same model, speaking for one member of its ensemble of energies."""
        if number not in self._members:  # what a call takes of memory is measured once for each
            self._members[number] = MetatomicRaw(self._model, self.variant, number)
        return self._members[number]

    @property
    def outputs(self) -> dict[str, ModelOutput]:
        """What the model can give, by name."""
        return dict(self._model.capabilities().outputs)

    def run(self, copies: Copies, outputs: dict[str, ModelOutput]) -> dict[str, Any]:
        """Outputs (metatensor's TensorMap) of all copies, rotated as they are; no gradients."""
        from metatomic.torch import ModelEvaluationOptions

        options = ModelEvaluationOptions(length_unit="angstrom", outputs=outputs)
        positions, cells = self._rotated(copies)
        systems = self._systems(copies, positions, cells)
        with torch.no_grad(), errors_of_the_model():
            return dict(self._model(systems, options, check_consistency=False))

    def invariant(self, graphs: Graphs) -> RawResult | None:
        """Nothing: all terms are inside the model."""
        return None

    def evaluate(self, copies: Copies, gradients: bool = True) -> RawResult:
        """One model call over all copies given."""
        positions, cells = self._rotated(copies)
        positions.requires_grad_(gradients)
        strain = torch.zeros_like(cells, requires_grad=gradients)
        deform = torch.eye(3, dtype=self.dtype, device=self.device) + strain
        of_row = copies.of_row.to(self.device)
        with (
            torch.set_grad_enabled(gradients),
            default_dtype(self.dtype),
            errors_of_the_model(),
        ):
            moved = torch.bmm(positions[:, None], deform[of_row])[:, 0]
            systems = self._systems(copies, moved, cells @ deform)
            output = self._model(systems, self._options, check_consistency=False)
            energies = output[self._key].block().values[:, self._column]
        found = energies.detach().double().cpu()
        if not gradients:
            return RawResult(found, None, None)
        total = (energies * copies.weights.to(energies)).sum()
        dx, ds = torch.autograd.grad(total, [positions, strain])
        dx, ds = dx.double().cpu(), ds.double().cpu()
        # back into the frame of the graph: x' = x Q, so g = g' Qᵀ and T = Q T' Qᵀ
        back = copies.rotations.mT
        dx = torch.bmm(dx[:, None], back[copies.of_row])[:, 0]
        return RawResult(found, dx, copies.rotations @ ds @ back)

    def _rotated(self, copies: Copies) -> tuple[torch.Tensor, torch.Tensor]:
        """Positions (R, 3) and cells (C, 3, 3) of all copies, as the model takes them."""
        graphs, q = copies.graphs, copies.rotations
        x = torch.bmm(graphs.positions[copies.atoms][:, None], q[copies.of_row])[:, 0]
        cells = graphs.cells[torch.from_numpy(copies.owners)] @ q
        return x.to(self.device, self.dtype), cells.to(self.device, self.dtype)

    def _systems(
        self, copies: Copies, positions: torch.Tensor, cells: torch.Tensor
    ) -> list[System]:
        """Metatomic's systems of all copies; the model takes a list of them."""
        graphs = copies.graphs
        numbers = graphs.numbers.int().to(self.device).split(graphs.sizes.tolist())
        lists = [
            [
                torch.cat([first[:, None] - start, second[:, None] - start, shift], 1)
                for start, first, second, shift in zip(
                    graphs.starts.tolist(),
                    *(each.split(pairs.counts.tolist())
                      for each in (pairs.first, pairs.second, pairs.shift)),
                    strict=True,
                )
            ]
            for pairs in graphs.pairs
        ]  # fmt: skip
        found = [
            self._system(numbers[s], x, cell, graphs.pbc[s], [each[s] for each in lists])
            for s, x, cell in zip(
                copies.owners.tolist(), positions.split(copies.sizes.tolist()), cells, strict=True
            )
        ]
        if self.takes and graphs.electrons is not None:
            for s, system in zip(copies.owners.tolist(), found, strict=True):
                self._tell(system, graphs.electrons[s])
        return found

    def _tell(self, system: System, electrons: np.ndarray) -> None:
        """Add the charge and spin multiplicity ``(2,)`` of a system, as far as it is asked."""
        from metatensor.torch import Labels, TensorBlock, TensorMap

        one = torch.zeros(1, 1, dtype=torch.int32, device=self.device)
        for name, value in zip(NEUTRAL, electrons.tolist(), strict=True):
            if name in self.takes:
                block = TensorBlock(
                    torch.full((1, 1), value, dtype=self.dtype, device=self.device),
                    Labels("system", one), [], Labels(name, one),
                )  # fmt: skip
                data = TensorMap(Labels("_", one), [block])
                data.set_info("unit", UNITS[name])
                system.add_data(name, data)

    def _system(
        self,
        numbers: torch.Tensor,
        positions: torch.Tensor,
        cell: torch.Tensor,
        pbc: torch.Tensor,
        lists: list[torch.Tensor],
    ) -> System:
        from metatensor.torch import Labels, TensorBlock
        from metatomic.torch import System

        names = ["first_atom", "second_atom", "cell_shift_a", "cell_shift_b", "cell_shift_c"]
        system = System(numbers, positions, cell, pbc.to(self.device))
        for options, pairs in zip(self._requested, lists, strict=True):
            samples = pairs.int().to(self.device)
            vectors = positions[samples[:, 1].long()] - positions[samples[:, 0].long()]
            vectors = vectors + samples[:, 2:].to(self.dtype) @ cell
            block = TensorBlock(
                vectors[:, :, None],
                Labels(names, samples, assume_unique=True),
                [Labels.range("xyz", 3).to(self.device)],
                Labels.range("distance", 1).to(self.device),
            )
            system.add_neighbor_list(options, block)
        return system
