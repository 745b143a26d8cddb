"""The one training of all rivals: a schedule that ends when the CPU seconds are used up.

The loss is a rounded absolute error of forces and, growing in weight, of energies; learning rates
rise and fall by a cosine; the average of the weights over the last steps is what counts. Only the
optimizers, their rates and how gradients come about belong to the architecture.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

#: structures of a batch have about so many atoms
ATOMS = 64
#: part of the schedule in which learning rates rise, and how much of the average a step keeps
WARMUP, DECAY = 0.04, 0.99
#: weight of energies per atom beside forces, from start to end; and the errors of forces (eV/Å) and
#: of energies (eV/atom) below which a loss is quadratic
ENERGY = (2.0, 30.0)
SOFT = ((0.5, 0.02), (0.05, 0.002))


def per_batch(sizes: np.ndarray) -> int:
    """How many structures of so many atoms make a batch."""
    return min(len(sizes), max(1, round(ATOMS / float(sizes.mean()))))


#: indices of a batch, weights as of ``pet_step.step`` → gradients of the parameters, in order
Gradients = Callable[[np.ndarray, torch.Tensor], Sequence[torch.Tensor]]


def loss_weights(t: float) -> torch.Tensor:
    """``(5,)`` at a part t of the schedule; there are no virials in the data."""
    force, energy = (a * (b / a) ** t for a, b in SOFT)
    return torch.tensor([ENERGY[0] * (ENERGY[1] / ENERGY[0]) ** t, 0.0, force, energy, 1.0])


def batches(n: int, size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """One round: all n structures, the last batch filled up with those of the first."""
    order = rng.permutation(n)
    order = np.concatenate([order, order[: -n % size]])
    return np.split(order, len(order) // size)


def fit(
    parameters: list[torch.nn.Parameter],
    optimizers: list[tuple[torch.optim.Optimizer, float]],
    gradients: Gradients,
    sizes: np.ndarray,
    seconds: float,
    rng: np.random.Generator,
) -> tuple[int, float]:
    """Train, and leave the averaged weights.

    Parameters
    ----------
    optimizers
        Each with its highest learning rate.
    sizes
        ``(n,)`` int, atoms of the training structures.

    Returns
    -------
    tuple
        Steps, and CPU seconds of these. The first, which may compile, is not counted.
    """
    average = [p.detach().clone() for p in parameters]
    queue: list[np.ndarray] = []
    used, steps = 0.0, 0
    while used < seconds:
        queue = queue or batches(len(sizes), per_batch(sizes), rng)
        start, t = time.process_time(), used / seconds
        found = gradients(queue.pop(), loss_weights(t))
        if steps == 0:
            start = time.process_time()
        for p, gradient in zip(parameters, found, strict=True):
            p.grad = gradient
        for optimizer, peak in optimizers:
            rate = min(1.0, (t + 0.001) / WARMUP) * 0.5 * (1 + math.cos(math.pi * t))
            optimizer.param_groups[0]["lr"] = peak * rate
            optimizer.step()
        steps += 1
        part = 1 - min(DECAY, steps / (steps + 10))
        for mean, p in zip(average, parameters, strict=True):
            mean.lerp_(p.detach(), part)
        used += time.process_time() - start
    for mean, p in zip(average, parameters, strict=True):
        p.data = mean
    return steps, used
