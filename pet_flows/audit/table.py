"""Several symmetrizations of one model, audited beside each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator

from pet_flows.audit.audit import Audit, Result, audit, rotational_mean
from pet_flows.errors import StructureError

#: called with (number of the combination from 1, how many there are, which it is, what of it is
#: measured now)
Progress = Callable[[int, int, str, str], None]


def audit_all(
    make: Callable[[str], Calculator],
    strategies: Sequence[str],
    structures: dict[str, Atoms],
    progress: Progress | None = None,
    n_mean: int = 60,
    seed: int = 0,
    **kwargs: Any,
) -> dict[str, dict[str, Audit | str]]:
    """Audit several symmetrizations of one model: strategy → structure → audit, or why not.

    Parameters
    ----------
    make
        Strategy string → calculator; ``"none"`` gives the model itself.
    strategies, structures
        What is combined with what.
    progress
        Told what is measured.
    n_mean
        Random rotations (each with its mirror image) in the O(3) mean of the model.
    seed
        Of all that is random here.
    **kwargs
        For :func:`audit`.
    """
    raw = make("none")
    means: dict[str, Result] = {}
    table: dict[str, dict[str, Audit | str]] = {strategy: {} for strategy in strategies}
    stages = list(product(table, structures.items()))
    for number, (strategy, (name, atoms)) in enumerate(stages, start=1):
        stage = partial(progress, number, len(stages), f"{strategy}, {name}") if progress else None
        try:
            if name not in means:
                if stage:
                    stage("O(3) mean of the model")
                means[name] = rotational_mean(raw, atoms, n_mean, seed)
            table[strategy][name] = audit(
                make(strategy), atoms, mean=means[name], seed=seed, progress=stage, **kwargs
            )
        except StructureError as refused:
            table[strategy][name] = refused.message
        except RuntimeError as error:  # of the model itself, as of an element that it does not know
            table[strategy][name] = f"the model breaks down ({error}): name another structure."
    return table
