"""Any metatomic model as a plain function of rotated copies: energies, forces, virials.

A raw model knows nothing of symmetrization. It gives, for copies ``X Q_k`` of a structure and
weights ``W_ik``, the per-atom energies ``f_ik`` and the gradients of ``Σ_i W_ik f_ik`` with
respect to ``X`` (turned back) and to a strain of ``X``; everything else follows from these,
because an energy that depends on interatomic vectors alone has ``∂E/∂Q_k = T_k Q_k``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
import vesin

from pet_flows.errors import PetFlowsError

if TYPE_CHECKING:
    from metatomic.torch import AtomisticModel, ModelOutput, System


@dataclass(frozen=True)
class Graph:
    """One structure with its neighbour pairs, whatever its orientation."""

    numbers: torch.Tensor
    """(n,) int64"""
    positions: torch.Tensor
    """(n, 3) Å, float64"""
    cell: torch.Tensor
    """(3, 3) Å, float64, zero rows along open directions"""
    pbc: torch.Tensor
    """(3,) bool"""
    pairs: tuple[tuple[torch.Tensor, torch.Tensor, torch.Tensor], ...]
    """per requested list: first atom (p,), second atom (p,), cell shift (p, 3), int64"""

    def __len__(self) -> int:
        return len(self.numbers)

    def vectors(self, which: int = 0) -> torch.Tensor:
        """(p, 3) Å, from the first to the second atom of each pair."""
        i, j, shift = self.pairs[which]
        return self.positions[j] - self.positions[i] + shift.to(self.cell.dtype) @ self.cell


@dataclass(frozen=True)
class Copies:
    """``k`` orientations of a graph and the weights of their atoms."""

    graph: Graph
    rotations: torch.Tensor
    """(k, 3, 3) float64"""
    weights: torch.Tensor
    """(k, n) float64"""


@dataclass(frozen=True)
class RawResult:
    """What the model says of :class:`Copies`; float64 on the CPU, in the frame of the graph."""

    energies: torch.Tensor
    """(k, n) eV, not weighted"""
    gradients: torch.Tensor | None
    """(k, n, 3) eV/Å, of the weighted energy of each copy"""
    virials: torch.Tensor | None
    """(k, 3, 3) eV, T = ∂E/∂ε for x → x(1+ε), not symmetrized"""


class RawModel(Protocol):
    """What the evaluator needs of a model."""

    dtype: torch.dtype
    device: torch.device
    cutoff: float
    n_layers: int
    hops: int | None
    """bonds of ``pairs[0]``, a full list, within which an energy's atoms lie; None if not known"""
    atomic_types: frozenset[int]

    @property
    def general(self) -> MetatomicRaw:
        """The same model on the general path, for outputs other than the energy."""
        ...

    def graph(
        self, numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray
    ) -> Graph:
        """Neighbour lists of one structure."""
        ...

    def evaluate(self, copies: Sequence[Copies], gradients: bool = True) -> list[RawResult]:
        """One model call over all copies of all structures given."""
        ...

    def invariant(self, graphs: Sequence[Graph]) -> list[RawResult] | None:
        """Terms that no rotation changes, once per structure (k = 1); None if there are none."""
        ...


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Let PyTorch take ``dtype`` where no number says another.

    metatrain's ZBL raises atomic numbers, integers, to a power, which PyTorch does in its default
    dtype: in float32 the last digit depends on where a pair stands in its batch (1e-7 eV/Å).
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def errors_of_the_model() -> Iterator[None]:
    """Raise what an exported model refuses as RuntimeError: TorchScript's own error is none."""
    try:
        yield
    except torch.jit.Error as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = next((line for line in reversed(lines) if "Error: " in line), lines[-1])
        raise RuntimeError(said.partition("Error: ")[2] or said) from error


def build_graph(
    cutoffs: Sequence[tuple[float, bool]],
    numbers: np.ndarray,
    positions: np.ndarray,
    cell: np.ndarray,
    pbc: np.ndarray,
) -> Graph:
    """Graph with one neighbour list per ``(cutoff in Å, full list)``."""
    periodic = np.asarray(pbc, dtype=bool)
    box = np.where(periodic[:, None], cell, 0.0)
    if periodic.any() and not periodic.all():
        box = _complete(box, periodic)
    pairs = []
    found: list[tuple[float, bool, tuple[np.ndarray, ...]]] = []
    for cutoff, full in cutoffs:
        # a shorter list is a part of a longer one: ZBL's of PET's
        wider = next((known for r, f, known in found if f == full and r >= cutoff), None)
        if wider is not None:
            near = wider[3] < cutoff
            i, j, shift = (a[near] for a in wider[:3])
        else:
            search = vesin.NeighborList(cutoff=cutoff, full_list=full)
            i, j, shift, distance = search.compute(
                points=np.ascontiguousarray(positions, dtype=np.float64),
                box=np.ascontiguousarray(box, dtype=np.float64),
                periodic=periodic,
                quantities="ijSd",
            )
            found.append((cutoff, full, (i, j, shift, distance)))
        pairs.append(tuple(torch.from_numpy(np.asarray(a, dtype=np.int64)) for a in (i, j, shift)))
    return Graph(
        torch.as_tensor(np.asarray(numbers, dtype=np.int64)),
        torch.tensor(positions, dtype=torch.float64),
        torch.tensor(np.where(periodic[:, None], cell, 0.0), dtype=torch.float64),
        torch.tensor(periodic),
        tuple(pairs),  # type: ignore[arg-type]
    )


def _complete(box: np.ndarray, periodic: np.ndarray) -> np.ndarray:
    """Unit normals in place of the open directions, so that the box has a volume."""
    full = box.copy()
    normals = np.linalg.svd(full[periodic])[2][periodic.sum() :]
    full[~periodic] = normals
    return full


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
                "This model gives no per-atom energies, which symmetrization needs; use another."
            )
        if model.requested_inputs(use_new_names=True):
            wanted = ", ".join(model.requested_inputs(use_new_names=True))
            raise PetFlowsError(f"This model wants extra inputs ({wanted}), which crystals lack.")
        self._model = model
        self._key = key
        self._options = ModelEvaluationOptions(
            length_unit="angstrom", outputs={key: ModelOutput(unit="eV", sample_kind="atom")}
        )
        self._lists = model.requested_neighbor_lists()
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
        """Outputs (metatensor's TensorMap) of all copies, turned as they are; no gradients."""
        from metatomic.torch import ModelEvaluationOptions

        options = ModelEvaluationOptions(length_unit="angstrom", outputs=outputs)
        systems = []
        for c in copies:
            for turn in c.rotations:
                x, cell = (c.graph.positions @ turn, c.graph.cell @ turn)
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
        turns = torch.cat([c.rotations for c in copies])
        positions = torch.cat(
            [(c.graph.positions @ c.rotations).reshape(-1, 3) for c in copies]
        ).to(self.device, self.dtype)
        positions.requires_grad_(gradients)
        cells = torch.stack([c.graph.cell @ q for c, q in zip(owners, turns, strict=True)])
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
            turns_atoms = turns.repeat_interleave(torch.tensor(sizes), dim=0)
            dx = torch.einsum("na,nba->nb", dx, turns_atoms)
            ds = turns @ ds @ turns.transpose(1, 2)
        return _split(copies, energies, dx if gradients else None, ds if gradients else None)

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


def _split(
    copies: Sequence[Copies],
    energies: torch.Tensor,
    gradients: torch.Tensor | None,
    virials: torch.Tensor | None,
) -> list[RawResult]:
    """Flat arrays over all atoms of all copies → one result per structure."""
    energies = energies.detach().double().cpu()
    atoms = [c.weights.numel() for c in copies]
    turns = [len(c.rotations) for c in copies]
    e = energies.split(atoms)
    g = gradients.split(atoms) if gradients is not None else [None] * len(copies)
    t = virials.split(turns) if virials is not None else [None] * len(copies)
    return [
        RawResult(
            e[n].reshape(c.weights.shape),
            None if g[n] is None else g[n].reshape(*c.weights.shape, 3),  # type: ignore[union-attr]
            t[n],
        )
        for n, c in enumerate(copies)
    ]
