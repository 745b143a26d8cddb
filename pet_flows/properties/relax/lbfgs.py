"""L-BFGS of many structures at once, whose rows stand side by side without padding.

Coordinates are those of ASE's and torch-sim's cell filters: of a cell ``h = h0 Fᵀ`` the matrix
``√N log F``, whose curvature is that of an atom whatever the size of the cell, and of atoms
``u = x F⁻ᵀ``, positions in the first cell. Each structure has N rows of three, and three for its
cell where that moves. torch-sim pads histories to the largest structure of a batch and takes nine
derivatives of the exponential for each cell, which together cost as much as all else beside the
model; here one derivative, the adjoint's, gives all nine.

J. Nocedal, S. J. Wright, Numerical Optimization (2006), algorithm 7.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pet_flows.engines.moving import MovingSystem
from pet_flows.geometry.ragged import owners_of, row_products, starts_of

if TYPE_CHECKING:
    from pet_flows.engines.torchsim import BatchedModel

#: eV/Å²; curvature that is taken where nothing is known yet, as in ASE
STIFFNESS = 70.0
#: pairs of steps and gradients that are kept
HISTORY = 20
#: Å; no row moves further in one step
LONGEST_STEP = 0.2
#: eV/Å²; less curvature than this along a step says nothing of the minimum
LEAST_CURVATURE = 1e-3
#: entries of log F, which an exponential must not leave the range of numbers with
LARGEST_LOG = 2.0


@dataclass(frozen=True)
class Pair:
    """A step ``(R, 3)``, what it changed the gradient by ``(R, 3)``, and 1/(yᵀs) ``(S,)``, or 0."""

    step: np.ndarray
    change: np.ndarray
    share: np.ndarray


class Walk:
    """Structures on their way, and what is remembered of it.

    Attributes
    ----------
    system_extras
        ``number``: ``(S,)``, under which the model knows each.
    """

    def __init__(self, numbers: np.ndarray, members: list[MovingSystem], freedom: str, p: float):
        self.system_extras = {"number": numbers}
        self.freedom, self.pressure = freedom, p
        self.sizes = np.array([len(m) for m in members])
        self.first_cells = np.stack([m.start.cell for m in members])
        self.u = np.concatenate([m.start.positions for m in members])
        self.log = np.zeros((len(members), 3, 3))
        self.history: list[Pair] = []
        # where the last pair can be used, and no stiffness need be guessed
        self.known = np.zeros(len(members), dtype=bool)
        self.forces = np.zeros_like(self.u)
        self._measure()
        self.gradients = np.zeros((len(self.of), 3))

    def _measure(self) -> None:
        """Find where rows begin and whose they are."""
        self.of_atom = owners_of(self.sizes)
        rows = self.sizes + (0 if self.freedom == "ions" else 3)
        self.of, self.starts = owners_of(rows), starts_of(rows)
        # of each structure its atoms come first
        place = np.arange(len(self.of)) - self.starts[self.of]
        self.is_atom = place < self.sizes[self.of]
        self.root = np.sqrt(self.sizes.astype(float))[:, None, None]

    def dots(self, one: np.ndarray, two: np.ndarray) -> np.ndarray:
        """``(S,)``, scalar products of rows ``(R, 3)``."""
        found: np.ndarray = np.add.reduceat(np.einsum("ra,ra->r", one, two), self.starts)
        return found

    def rows(self, atoms: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """``(R, 3)`` of something ``(N, 3)`` of the atoms and ``(S, 3, 3)`` of the cells."""
        if self.freedom == "ions":
            return atoms
        together = np.empty((len(self.of), 3))
        together[self.is_atom], together[~self.is_atom] = atoms, cells.reshape(-1, 3)
        return together

    def join(self, fresh: Walk) -> None:
        """Let others in, of whose way nothing is remembered."""
        self.system_extras = {
            "number": np.concatenate([w.system_extras["number"] for w in (self, fresh)])
        }
        rows, systems = len(fresh.of), len(fresh.sizes)
        for name in ("sizes", "first_cells", "u", "log", "known", "forces", "gradients"):
            both = getattr(self, name), getattr(fresh, name)
            setattr(self, name, np.concatenate(both))
        self.history = [
            Pair(
                np.concatenate([pair.step, np.zeros((rows, 3))]),
                np.concatenate([pair.change, np.zeros((rows, 3))]),
                np.concatenate([pair.share, np.zeros(systems)]),
            )
            for pair in self.history
        ]
        self._measure()

    def pop(self, places: list[int]) -> None:
        """Take some out."""
        stays = np.ones(len(self.sizes), dtype=bool)
        stays[places] = False
        atoms, rows = stays[self.of_atom], stays[self.of]
        self.system_extras = {"number": self.system_extras["number"][stays]}
        for name in ("sizes", "first_cells", "log", "known"):
            setattr(self, name, getattr(self, name)[stays])
        self.u, self.forces = self.u[atoms], self.forces[atoms]
        self.gradients = self.gradients[rows]
        pairs = [Pair(p.step[rows], p.change[rows], p.share[stays]) for p in self.history]
        self.history = [pair for pair in pairs if pair.share.any()]
        self._measure()

    def evaluate(self, model: BatchedModel[Any], deformations: np.ndarray | None = None) -> None:
        """Note forces ``(N, 3)`` and gradients ``(R, 3)``, eV/Å, where they are now.

        ``deformations (S, 3, 3)`` are the exponentials of log F, if they are known.
        """
        if deformations is None:
            deformations = _exponential(self.log)
        transposed = deformations.swapaxes(1, 2)
        positions = row_products(self.u, transposed[self.of_atom])
        cells = self.first_cells @ transposed
        _, self.forces, stresses = model.evaluate_at(self, positions, cells)
        scaled = row_products(self.forces, transposed.swapaxes(1, 2)[self.of_atom])
        pulls = np.zeros_like(stresses)
        if self.freedom != "ions":
            virials = -np.abs(np.linalg.det(cells))[:, None, None] * (
                stresses + self.pressure * np.eye(3)
            )
            mean = virials.trace(axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
            if self.freedom == "volume":
                virials = mean
            elif self.freedom == "shape":
                virials = virials - mean
            pulls = _adjoint(self.log, virials @ np.linalg.inv(transposed)) / self.root
        self.gradients = -self.rows(scaled, pulls)

    def direction(self) -> np.ndarray:
        """``(R, 3)`` Å, the step of the two loops over what is remembered."""
        q = self.gradients
        shares = []
        for pair in reversed(self.history):
            a = pair.share * self.dots(pair.step, q)
            q = q - a[self.of, None] * pair.change
            shares.append(a)
        inverse = np.full(len(self.sizes), 1.0 / STIFFNESS)
        if self.history:
            last = self.history[-1]
            squares = self.dots(last.change, last.change)
            by_last = self.dots(last.step, last.change) / np.where(squares > 0, squares, 1.0)
            inverse = np.where(self.known, by_last, inverse)
        z = inverse[self.of, None] * q
        for pair, a in zip(self.history, reversed(shares), strict=True):
            b = pair.share * self.dots(pair.change, z)
            z = z + (a - b)[self.of, None] * pair.step
        lengths = np.sqrt(np.maximum.reduceat(np.einsum("ra,ra->r", z, z), self.starts))
        short = np.minimum(1.0, LONGEST_STEP / np.maximum(lengths, 1e-16))
        return -short[self.of, None] * z

    def step(self, model: BatchedModel[Any]) -> None:
        """Go one step, and remember it where it was of use."""
        step = self.direction()
        self.u = self.u + step[self.is_atom]
        before, deformations = self.gradients, None
        if self.freedom != "ions":
            log = self.log + step[~self.is_atom].reshape(-1, 3, 3) / self.root
            log = np.clip(log, -LARGEST_LOG, LARGEST_LOG)
            went = (log - self.log) * self.root
            step = self.rows(step[self.is_atom], went)
            # the old forces in the new frame, with which the new ones are compared
            self.log = log
            deformations = _exponential(log)
            old = row_products(self.forces, deformations[self.of_atom])
            cells = -before[~self.is_atom].reshape(-1, 3, 3)
            before = -self.rows(old, cells)
        self.evaluate(model, deformations)
        change = self.gradients - before
        curvature = self.dots(step, change)
        self.known = curvature > LEAST_CURVATURE * self.dots(step, step)
        kept = self.known[self.of, None]
        pair = Pair(
            np.where(kept, step, 0.0),
            np.where(kept, change, 0.0),
            np.where(self.known, 1.0 / np.where(self.known, curvature, 1.0), 0.0),
        )
        self.history = [*self.history, pair][-HISTORY:]


def _exponential(logs: np.ndarray) -> np.ndarray:
    """``(S, 3, 3)``."""
    return torch.linalg.matrix_exp(torch.from_numpy(np.ascontiguousarray(logs))).numpy()


def _adjoint(logs: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """∂L/∂A ``(S, 3, 3)`` from ∂L/∂F for ``F = exp A``.

    The derivative of exp at Aᵀ in the direction of ∂L/∂F, the corner of a block exponential:
    N. J. Higham, Functions of Matrices (2008), theorem 10.13 and (3.16).
    """
    block = np.zeros((len(logs), 6, 6))
    block[:, :3, :3] = block[:, 3:, 3:] = logs.swapaxes(1, 2)
    block[:, :3, 3:] = gradients
    return _exponential(block)[:, :3, 3:]
