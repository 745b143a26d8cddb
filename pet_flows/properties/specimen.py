"""One structure in flight: checked, made ready, bound to its strategy, and named by its place.

Three classes hold a structure on its way through a property, and nothing else does:

- a `Specimen` is what is computed in place of one structure of a batch;
- a `System` is one geometry of it with the bound strategy, which is what the evaluator takes; its
  `Evaluation` refers to it;
- a `MovingSystem` is one geometry on its way through an optimizer (`Descent`) or an integrator
  (`Run`): the system that it started from, its last evaluation, and what it has cost so far.

A property makes systems of its specimens (strained, displaced, at other volumes), lets them be
evaluated or moved in batches with those of others, and yields an `Outcome` for each specimen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from ase import Atoms

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.engines.evaluation import System
from pet_flows.engines.potential import Potential
from pet_flows.errors import StructureError
from pet_flows.properties.batch import too_large
from pet_flows.properties.outcome import Outcome, failure
from pet_flows.properties.prepare import bare, check, scaled, snapped
from pet_flows.symmetrization.crystal import inherited_by_supercell
from pet_flows.symmetrization.strategy import Bound

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Specimen:
    """What is computed in place of one structure of a batch."""

    index: int
    """place of the structure in the batch"""
    atoms: Atoms
    """never changed"""
    bound: Bound
    group: SpaceGroup | None = None
    """symmetry that `atoms` has exactly, and keeps"""
    notes: tuple[str, ...] = ()
    """warnings beside those of the binding"""
    wall_time: float = 0.0
    """s, its share of batches so far"""

    @property
    def system(self) -> System:
        """As it is."""
        return System.of(self.atoms, self.bound)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know of it, whatever was computed; each sentence once."""
        return tuple(dict.fromkeys((*self.bound.warnings, *self.notes)))

    def outcome(
        self, *, wall_time: float = 0.0, warnings: Iterable[str] = (), **found: Any
    ) -> Outcome:
        """Outcome of this structure, in state ``ok`` unless another is given.

        Parameters
        ----------
        wall_time
            s, beside its own.
        warnings
            Beside its own.
        found
            The other fields.
        """
        return Outcome(
            index=self.index,
            reference_digest=self.bound.reference_digest,
            warnings=(*self.warnings, *warnings),
            wall_time=self.wall_time + wall_time,
            **{"state": "ok", "inherited": self.bound.as_dict()} | found,
        )

    def failure(self, error: StructureError, *, wall_time: float = 0.0, **found: Any) -> Outcome:
        """Failed outcome of this structure; other arguments as for :meth:`outcome`."""
        return failure(
            self.index,
            error,
            self.wall_time + wall_time,
            reference_digest=self.bound.reference_digest,
            **found,
        )


def specimens(
    structures: Sequence[Atoms],
    potential: Potential,
    inherited: Sequence[dict[str, Any] | None] | None,
    *,
    require: Callable[[Atoms], None] | None = None,
    symprec: float | None = None,
    keep_volume: bool = False,
    repeats: Callable[[Atoms], tuple[int, int, int]] | None = None,
) -> Iterator[Specimen | Outcome]:
    """Check, copy and bind each structure; one that cannot be done gives its failed Outcome.

    Parameters
    ----------
    structures
        The batch; never changed.
    potential
        Whose elements are known and whose strategy is bound.
    inherited
        Per structure, an earlier ``Bound.as_dict()`` or None.
    require
        Raises the StructureError of structures that do not have the property.
    symprec
        Å; the symmetry found at it is made exact and kept. None keeps none.
    keep_volume
        Whether making it exact may not change the volume.
    repeats
        How often a structure is repeated along each axis before it is bound; what is ``inherited``
        follows.
    """
    for index, given in enumerate(structures):
        started = perf_counter()
        group: SpaceGroup | None = None
        notes: tuple[str, ...] = ()
        try:
            check(given, potential.elements)
            potential.evaluator.refuse_too_large(given)
            if require is not None:
                require(given)
            if symprec is None:
                atoms = bare(given)
            else:
                atoms, group, notes = snapped(given, symprec)
            if keep_volume and group is not None:
                atoms = scaled(atoms, given.get_volume() / atoms.get_volume())
            known = None if inherited is None else inherited[index]
            if repeats is not None:
                n = repeats(atoms)
                atoms = atoms.repeat(n)
                known = None if known is None else inherited_by_supercell(known, np.diag(n))
            bound = potential.bind(atoms, known, None if repeats is not None else group)
        except StructureError as error:
            yield failure(index, error, perf_counter() - started)
            continue
        except MemoryError:
            yield failure(index, too_large(len(given)), perf_counter() - started)
            continue
        except (np.linalg.LinAlgError, ArithmeticError, ValueError) as error:
            logger.exception("structure %d of a batch cannot be prepared", index)
            wrong = StructureError(
                "not_prepared",
                f"The structure cannot be made ready ({type(error).__name__}: {error}); check its "
                "cell and positions.",
            )
            yield failure(index, wrong, perf_counter() - started)
            continue
        yield Specimen(index, atoms, bound, group, notes, perf_counter() - started)
