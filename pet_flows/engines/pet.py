"""The fast path for PET: what no rotation changes is computed once, only edges are rotated.

The backend of a PET checkpoint is a function of edge vectors. Neighbour lists, the dense edge
layout and the additive terms (atomic energies, ZBL) are shared by all orientations of a
structure, and the gradient with respect to the *unrotated* edges gives back-rotated forces and
virials at no cost. Composition, scaler and ZBL are applied here, since the backend does not.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from pet_flows.engines.graphs import Graphs
from pet_flows.engines.metatomic import MetatomicRaw, energy_key
from pet_flows.engines.pet_columns import Columns
from pet_flows.engines.pet_layers import lean
from pet_flows.engines.raw import Copies, RawResult, default_dtype
from pet_flows.engines.surroundings import Lists
from pet_flows.geometry.ragged import starts_of

if TYPE_CHECKING:
    from metatomic.torch import AtomisticModel

#: dense edges of graphs: the backend's tensors, edges (n, width, 3) float64, the neighbour of each
_Layout = tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]


def unwrapped(module: Any) -> Any:
    """The module that gives the energies, where it is wrapped for uncertainties (LLPR)."""
    return module.model if type(module).__name__ == "LLPRUncertaintyModel" else module


class PETRaw:
    """Raw model over the backend of a metatrain PET.

    Parameters
    ----------
    model
        A metatomic model whose module is metatrain's PET, perhaps wrapped for uncertainties, for
        which :meth:`supports` is true.
    variant
        Which of its energies, where it has several.
    """

    def __init__(self, model: AtomisticModel, variant: str | None = None):
        pet = unwrapped(model.module)
        self._model = model
        self._variant = variant
        self._pet = pet
        self.device = next(pet.parameters()).device
        self._key = energy_key(model, variant)
        self._backend, self._columns = pet.backend, None
        if self.device.type == "cpu":
            if Columns.supports(pet.backend, self._key):
                self._columns = Columns(pet.backend, self._key)
            else:
                self._backend = lean(pet.backend)
        self.dtype = next(pet.parameters()).dtype
        self.cutoff = float(self._backend.cutoff)
        # messages are exchanged once more after the last layer, before they are read out
        self.n_layers = int(self._backend.num_gnn_layers) + 1
        self.hops: int | None = self.n_layers
        self.atomic_types = frozenset(pet.atomic_types)
        self._zbl = next((m for m in pet.additive_models if type(m).__name__ == "ZBL"), None)
        self.scale = self._energy_scale()
        self._baseline = self._atomic_energies()
        self._last: tuple[Graphs, _Layout] | None = None

    @staticmethod
    def supports(model: AtomisticModel, variant: str | None = None) -> bool:
        """Whether this path knows every part of the model; otherwise the general one serves."""
        pet = unwrapped(model.module)
        backend = getattr(pet, "backend", None)
        if type(pet).__name__ != "PET" or backend is None:
            return False
        additive = {type(m).__name__ for m in pet.additive_models}
        capabilities = model.capabilities()
        return (
            backend.num_neighbors_adaptive is None
            and not pet.long_range
            and pet.system_conditioning is None
            and additive <= {"CompositionModel", "ZBL"}
            and capabilities.length_unit.lower() in ("angstrom", "a", "")  # none is Å too
            and capabilities.outputs[energy_key(model, variant)].unit == "eV"
        )

    @cached_property
    def general(self) -> MetatomicRaw:
        """The same weights on the general path."""
        return MetatomicRaw(self._model, self._variant)

    @property
    def lists(self) -> Lists:
        """PET's, and ZBL's."""
        own = ((self.cutoff, True),)
        return own if self._zbl is None else (*own, (float(self._zbl.cutoff_radius), True))

    def evaluate(self, copies: Copies, gradients: bool = True) -> RawResult:
        """One backend call over all copies given."""
        last = self._last  # of whatever thread: read once
        if last is None or last[0] is not copies.graphs:
            # copies of a structure that take several calls share it; two need not fit into memory
            last = self._last = None
            last = self._last = copies.graphs, self._layout(copies.graphs)
        batch, edges64, neighbor = last[1]
        mask = batch["padding_mask"]
        width = mask.shape[1]
        rows, copy_of_row = copies.atoms.to(self.device), copies.of_row.to(self.device)
        # of each copy, how far its rows are from the atoms they are copies of
        moved = torch.from_numpy(starts_of(copies.sizes) - copies.graphs.starts[copies.owners])
        moved = moved.to(self.device)[copy_of_row]

        rotations = copies.rotations.to(self.device, self.dtype)
        edges = edges64.to(self.dtype)[rows].requires_grad_(gradients)
        with torch.set_grad_enabled(gradients):
            rotated = torch.bmm(edges, rotations[copy_of_row])
            energies = self._energies(batch, rows, moved * width, edges, rotated)
        found = energies.detach().double().cpu()
        if not gradients:
            return RawResult(found, None, None)

        (g,) = torch.autograd.grad((energies * copies.weights.to(energies)).sum(), edges)
        g = (g * mask[rows][:, :, None]).double()
        per_atom = edges64[rows].mT @ g
        virials = g.new_zeros(len(copies.rotations), 3, 3).index_add_(0, copy_of_row, per_atom)
        target = neighbor[rows] + moved[:, None]
        real = mask[rows]
        dx = -g.sum(1)
        dx = dx.index_add(0, target[real], g[real])
        return RawResult(found, dx.cpu(), virials.cpu())

    def _layout(self, graphs: Graphs) -> _Layout:
        """Dense edge layout of all graphs: backend tensors, edges float64, neighbour of each."""
        device, pairs = self.device, graphs.pairs[0]
        batch = self._backend.preprocess(
            graphs.positions.to(device),
            pairs.first.to(device),
            pairs.second.to(device),
            graphs.numbers.to(device),
            graphs.cells.to(device),
            pairs.shift.to(device),
            graphs.owners.to(device),
            float(getattr(self._pet, "cutoff_width_adaptive", 1.0)),
        )
        mask = batch["padding_mask"]
        neighbor = torch.zeros(mask.shape, dtype=torch.long, device=device)
        neighbor[batch["centers"], batch["nef_to_edges_neighbor"]] = batch["neighbors"]
        # padded places refer to themselves, so that they stay inside their own copy
        own = torch.arange(mask.numel(), device=device).reshape(mask.shape)
        batch["reverse_neighbor_index"] = torch.where(
            mask, batch["reverse_neighbor_index"].reshape(mask.shape), own
        )
        return batch, batch["edge_vectors"], neighbor

    def _energies(
        self,
        batch: dict[str, torch.Tensor],
        rows: torch.Tensor,
        offset: torch.Tensor,
        edges: torch.Tensor,
        rotated: torch.Tensor,
    ) -> torch.Tensor:
        """(rows,) eV without the additive terms."""
        from metatrain.pet.modules.utilities import cutoff_func_bump, cutoff_func_cosine

        backend = self._backend
        mask = batch["padding_mask"][rows]
        # 1e-15 as in the backend's own preprocessing: padded edges have length zero
        distances = torch.sqrt((edges**2).sum(-1) + 1e-15)
        cutoff = cutoff_func_bump if backend.cutoff_function == "Bump" else cutoff_func_cosine
        flat = distances.reshape(-1)
        factors = cutoff(flat, torch.full_like(flat, self.cutoff), backend.cutoff_width)
        factors = torch.where(mask, factors.reshape(mask.shape), torch.zeros_like(distances))
        inputs: dict[str, Any] = {
            "element_indices_nodes": batch["element_indices_nodes"][rows],
            "element_indices_neighbors": batch["element_indices_neighbors"][rows],
            "padding_mask": mask,
            "reverse_neighbor_index": batch["reverse_neighbor_index"][rows] + offset[:, None],
            "edge_vectors": rotated,
            "edge_distances": distances,
            "cutoff_factors": factors,
        }
        if self._columns is not None:
            return self._columns.energies(inputs) * self.scale
        nodes, edge_features = backend.calculate_features(inputs)
        # cells and owners matter to stress-like outputs only
        cells = torch.zeros(1, 3, 3, dtype=edges.dtype, device=edges.device)
        owners = torch.zeros(len(rows), dtype=torch.long, device=edges.device)
        prediction, _, _ = backend.predict(nodes, edge_features, inputs, cells, owners, [self._key])
        return prediction[self._key][0].reshape(-1) * self.scale

    def invariant(self, graphs: Graphs) -> RawResult | None:
        """Atomic energies and ZBL, once per structure."""
        energies = self._baseline[graphs.numbers]
        gradient = torch.zeros(len(energies), 3, dtype=torch.float64)
        virials = torch.zeros(len(graphs), 3, 3, dtype=torch.float64)
        if self._zbl is None or not len(graphs.pairs[1].first):
            return RawResult(energies, gradient, virials)
        i, j = graphs.pairs[1].first, graphs.pairs[1].second
        vectors = graphs.vectors(1).requires_grad_(True)
        kinds = (graphs.numbers[each].to(self.device) for each in (i, j))
        with default_dtype(torch.float64):
            pair = self._zbl.get_pairwise_zbl(*kinds, vectors.norm(dim=1).to(self.device))
        pair = pair.double().cpu()
        (slope,) = torch.autograd.grad(pair.sum(), vectors)
        energies.index_add_(0, i, pair.detach())
        gradient.index_add_(0, j, slope).index_add_(0, i, -slope)
        products = vectors.detach()[:, :, None] * slope[:, None, :]
        virials.index_add_(0, graphs.owners[i], products)
        return RawResult(energies, gradient, virials)

    def _one_atom_systems(self) -> list[Any]:
        from metatomic.torch import System

        zero = torch.zeros(1, 3, dtype=self.dtype, device=self.device)
        cell = torch.zeros(3, 3, dtype=self.dtype, device=self.device)
        pbc = torch.zeros(3, dtype=torch.bool, device=self.device)
        return [
            System(torch.tensor([z], dtype=torch.int32, device=self.device), zero, cell, pbc)
            for z in sorted(self.atomic_types)
        ]

    def _energy_scale(self) -> float:
        """Factor from the backend's output to eV."""
        from metatomic.torch import ModelOutput

        outputs = {self._key: ModelOutput(unit="eV", sample_kind="atom")}
        scales = self._pet.scaler.get_scales(self._one_atom_systems()[:1], outputs)
        return float(scales[self._key].block().values.reshape(-1)[0])

    def _atomic_energies(self) -> torch.Tensor:
        """(Z,) table of the composition model's energies, float64."""
        from metatomic.torch import ModelOutput

        outputs = {self._key: ModelOutput(unit="eV", sample_kind="atom")}
        table = torch.zeros(max(self.atomic_types) + 1, dtype=torch.float64)
        for model in self._pet.additive_models:
            if type(model).__name__ == "CompositionModel":
                values = model(self._one_atom_systems(), outputs)[self._key].block().values
                table[sorted(self.atomic_types)] += values.reshape(-1).double().cpu()
        return table
