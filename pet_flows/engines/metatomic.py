"""Any metatomic model as a raw model: the general path, and the only one to other outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pet_flows.engines.raw import Copies, Graph, RawResult, build_graph, default_dtype, split
from pet_flows.errors import PetFlowsError

if TYPE_CHECKING:
    from metatomic.torch import AtomisticModel, ModelOutput, System


@contextmanager
def errors_of_the_model() -> Iterator[None]:
    """Raise what an exported model refuses as RuntimeError: TorchScript's own error is none."""
    try:
        yield
    except torch.jit.Error as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = next((line for line in reversed(lines) if "Error: " in line), lines[-1])
        raise RuntimeError(said.partition("Error: ")[2] or said) from error


class MetatomicRaw:
    """The general path: any metatomic model with per-atom energies.

    Parameters
    ----------
    model
        Loaded model; its dtype and device decide where it is evaluated.
    """

    def __init__(self, model: AtomisticModel):
        from metatomic.torch import ModelEvaluationOptions, ModelOutput, pick_output

        capabilities = model.capabilities()
        key = pick_output("energy", capabilities.outputs, None)
        if capabilities.outputs[key].sample_kind != "atom":
            raise PetFlowsError(
                "This model gives no per-atom energies, which symmetrization needs: use another."
            )
        if model.requested_inputs(use_new_names=True):
            wanted = ", ".join(model.requested_inputs(use_new_names=True))
            raise PetFlowsError(
                f"This model needs {wanted} with each structure, and pet_flows has none to give: "
                "use another model."
            )
        self._model = model
        self._key = key
        self._options = ModelEvaluationOptions(
            length_unit="angstrom", outputs={key: ModelOutput(unit="eV", sample_kind="atom")}
        )
        self._lists = model.requested_neighbor_lists()
        if not self._lists:
            raise PetFlowsError(
                "This model asks for no neighbours: its energy does not depend on where atoms "
                "are; use an interatomic potential."
            )
        first = next(iter(model.parameters()), None)
        self.device = first.device if first is not None else torch.device("cpu")
        self.dtype = {"float32": torch.float32, "float64": torch.float64}[capabilities.dtype]
        self.cutoff = max((o.engine_cutoff("angstrom") for o in self._lists), default=0.0)
        reach = capabilities.interaction_range / max(self.cutoff, 1e-9)
        known = bool(np.isfinite(reach))
        # One more than declared: PET says cutoff × layers, but reads out messages exchanged after
        # the last layer, and adaptive cutoffs look at neighbours' neighbours. An infinite range
        # says nothing of layers; four hops are more than any PET has.
        self.n_layers = int(np.ceil(reach - 1e-9)) + 1 if known else 4
        single = len(self._lists) == 1 and self._lists[0].full_list
        self.hops = self.n_layers if known and single else None
        self.atomic_types = frozenset(capabilities.atomic_types)

    def graph(
        self, numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray
    ) -> Graph:
        """Neighbour lists of one structure."""
        cutoffs = [(o.engine_cutoff("angstrom"), o.full_list) for o in self._lists]
        return build_graph(cutoffs, numbers, positions, cell, pbc)

    @property
    def general(self) -> MetatomicRaw:
        """Itself."""
        return self

    @property
    def outputs(self) -> dict[str, ModelOutput]:
        """What the model can give, by name."""
        return dict(self._model.capabilities().outputs)

    def run(self, copies: Sequence[Copies], outputs: dict[str, ModelOutput]) -> dict[str, Any]:
        """Outputs (metatensor's TensorMap) of all copies, rotated as they are; no gradients."""
        from metatomic.torch import ModelEvaluationOptions

        options = ModelEvaluationOptions(length_unit="angstrom", outputs=outputs)
        systems = []
        for c in copies:
            for q in c.rotations:
                x, cell = (c.graph.positions @ q, c.graph.cell @ q)
                x, cell = (t.to(self.device, self.dtype) for t in (x, cell))
                systems.append(self._system(c.graph, x, cell))
        with torch.no_grad(), errors_of_the_model():
            return dict(self._model(systems, options, check_consistency=False))

    def invariant(self, graphs: Sequence[Graph]) -> list[RawResult] | None:
        """Nothing: all terms are inside the model."""
        return None

    def evaluate(self, copies: Sequence[Copies], gradients: bool = True) -> list[RawResult]:
        """One model call over all copies of all structures given."""
        owners = [c for c in copies for _ in range(len(c.rotations))]
        rotations = torch.cat([c.rotations for c in copies])
        positions = torch.cat(
            [(c.graph.positions @ c.rotations).reshape(-1, 3) for c in copies]
        ).to(self.device, self.dtype)
        positions.requires_grad_(gradients)
        cells = torch.stack([c.graph.cell @ q for c, q in zip(owners, rotations, strict=True)])
        cells = cells.to(self.device, self.dtype)
        strain = torch.zeros_like(cells, requires_grad=gradients)
        sizes = [len(c.graph) for c in owners]
        systems = []
        for n, (owner, x) in enumerate(zip(owners, positions.split(sizes), strict=True)):
            deform = torch.eye(3, dtype=self.dtype, device=self.device) + strain[n]
            systems.append(self._system(owner.graph, x @ deform, cells[n] @ deform))
        with (
            torch.set_grad_enabled(gradients),
            default_dtype(self.dtype),
            errors_of_the_model(),
        ):
            output = self._model(systems, self._options, check_consistency=False)
            energies = output[self._key].block().values[:, 0]
        weights = torch.cat([c.weights.reshape(-1) for c in copies])
        if gradients:
            total = (energies * weights.to(energies)).sum()
            dx, ds = torch.autograd.grad(total, [positions, strain])
            dx, ds = dx.double().cpu(), ds.double().cpu()
            # back into the frame of the graph: x' = x Q, so g = g' Qᵀ and T = Q T' Qᵀ
            of_atoms = rotations.repeat_interleave(torch.tensor(sizes), dim=0)
            dx = torch.einsum("na,nba->nb", dx, of_atoms)
            ds = rotations @ ds @ rotations.transpose(1, 2)
        return split(copies, energies, dx if gradients else None, ds if gradients else None)

    def _system(self, graph: Graph, positions: torch.Tensor, cell: torch.Tensor) -> System:
        from metatensor.torch import Labels, TensorBlock
        from metatomic.torch import System

        names = ["first_atom", "second_atom", "cell_shift_a", "cell_shift_b", "cell_shift_c"]
        system = System(graph.numbers.int().to(self.device), positions, cell, graph.pbc)
        for options, (i, j, shift) in zip(self._lists, graph.pairs, strict=True):
            samples = torch.cat([i[:, None], j[:, None], shift], 1).int().to(self.device)
            vectors = positions[samples[:, 1].long()] - positions[samples[:, 0].long()]
            vectors = vectors + shift.to(self.device, self.dtype) @ cell
            block = TensorBlock(
                vectors[:, :, None],
                Labels(names, samples, assume_unique=True),
                [Labels.range("xyz", 3).to(self.device)],
                Labels.range("distance", 1).to(self.device),
            )
            system.add_neighbor_list(options, block)
        return system
