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
from pet_flows.geometry.electrons import described, refuse_in_supercells
from pet_flows.properties.ahead import in_order, processes_for
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


@dataclass(frozen=True)
class _Making:
    """How a structure is made a specimen; may be sent to other processes."""

    bind: Callable[..., Bound]
    require: Callable[[Atoms], None] | None
    symprec: float | None
    keep_volume: bool
    repeats: Callable[[Atoms], tuple[int, int, int]] | None
    takes: tuple[str, ...]

    def __call__(
        self, item: tuple[int, Atoms, dict[str, Any] | None] | Outcome
    ) -> Specimen | Outcome:
        """Of the place of a structure, itself and what it inherits, or of what it has become."""
        if isinstance(item, Outcome):
            return item
        return _tried(item[0], item[1], lambda started: self._make(*item, started))

    def _make(
        self, index: int, given: Atoms, known: dict[str, Any] | None, started: float
    ) -> Specimen:
        group: SpaceGroup | None = None
        notes: tuple[str, ...] = ()
        if self.require is not None:
            self.require(given)
        if self.symprec is None:
            atoms = bare(given)
        else:
            atoms, group, notes = snapped(given, self.symprec)
        if ignored := {k: v for k, v in atoms.info.items() if k not in self.takes}:
            notes += (
                f"The model takes no {' and no '.join(ignored)}: that this structure has "
                f"{described(atoms.info)} is not part of the calculation.",
            )
        atoms.info = {k: v for k, v in atoms.info.items() if k in self.takes}
        if self.keep_volume and group is not None:
            atoms = scaled(atoms, given.get_volume() / atoms.get_volume())
        if self.repeats is not None:
            n = self.repeats(atoms)
            if n != (1, 1, 1):
                refuse_in_supercells(atoms.info, "A trajectory")
            atoms = atoms.repeat(n)
            known = None if known is None else inherited_by_supercell(known, np.diag(n))
        bound = self.bind(atoms, known, None if self.repeats is not None else group)
        return Specimen(index, atoms, bound, group, notes, perf_counter() - started)


def _tried[T](index: int, given: Atoms, make: Callable[[float], T]) -> T | Outcome:
    """What is made of a structure at a time; its failed Outcome where that cannot be done."""
    started = perf_counter()
    try:
        return make(started)
    except StructureError as refused:
        error = refused
    except MemoryError:
        error = too_large(len(given))
    except (np.linalg.LinAlgError, ArithmeticError, ValueError) as wrong:
        logger.exception("structure %d of a batch cannot be prepared", index)
        error = StructureError(
            "not_prepared",
            f"The structure cannot be made ready ({type(wrong).__name__}: {wrong}); check its "
            "cell and positions.",
        )
    return failure(index, error, perf_counter() - started)


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

    Where that is worth it, the next ones are made ready in other processes meanwhile.

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
    # what calculates with another code is bound as it likes, here
    loaded = isinstance(potential, Potential)
    processes = processes_for(len(structures), str(potential.device)) if loaded else 0

    def checked(index: int, given: Atoms) -> tuple[int, Atoms, dict[str, Any] | None] | Outcome:
        def check_it(_: float) -> tuple[int, Atoms, dict[str, Any] | None]:
            check(given, potential.elements)
            potential.evaluator.refuse_too_large(given)
            sent = bare(given) if processes else given
            return index, sent, None if inherited is None else inherited[index]

        return _tried(index, given, check_it)

    items = (checked(index, given) for index, given in enumerate(structures))
    # elements are checked here already, and the model stays here
    bind = potential.evaluator.strategy.bind if processes else potential.bind
    takes = potential.takes if loaded else ()
    making = _Making(bind, require, symprec, keep_volume, repeats, takes)
    yield from in_order(making, items, processes)
