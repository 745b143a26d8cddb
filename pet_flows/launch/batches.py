"""Which structures share fireworks: alike in what is missing, and not too much work together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pet_flows.flows.screen import ScreenMaker
from pet_flows.launch.remaining import Missing
from pet_flows.models.spec import PotentialSpec

#: how much longer than a relaxation an atom takes, roughly; other properties as long as it
WEIGHTS = {"static": 0.1, "eos": 1, "elastic": 3, "phonon": 10, "qha": 60, "md": 60, "kappa": 200}
#: atoms times weight that a batch has at most, unless one structure alone has more
MOST_WORK = 10_000
#: batches that a few structures make, so that several workers have something to do
FEWEST = 8


@dataclass
class Batch:
    """Structures of one workflow."""

    spec: PotentialSpec
    names: tuple[str, ...]
    """properties, a firework for each"""
    items: list[Missing] = field(default_factory=list)
    work: float = 0.0
    """atoms times weight"""


class Batches:
    """Fills batches of one campaign.

    A batch has the campaign's ``batch_size`` of structures, or fewer where they are large or what
    is computed of them takes long; where that was left to us and there are few structures, they
    are spread over `FEWEST` batches.

    Parameters
    ----------
    maker
        Of the campaign.
    """

    def __init__(self, maker: ScreenMaker):
        options = maker.run_options()
        self.size = options.batch_size
        self.is_given = "batch_size" in options.model_fields_set
        self._items: dict[tuple[PotentialSpec, tuple[str, ...]], list[tuple[Missing, float]]] = {}
        self._first = True

    def add(self, spec: PotentialSpec, names: tuple[str, ...], item: Missing, n_atoms: int) -> None:
        """One more structure."""
        work = n_atoms * sum(WEIGHTS.get(name, 1) for name in names)
        self._items.setdefault((spec, names), []).append((item, work))

    def ready(self, last: bool) -> list[Batch]:
        """Batches that are full, and at the end all others; each is given once."""
        few = last and self._first and not self.is_given
        self._first = False
        found: list[Batch] = []
        for kind, items in self._items.items():
            size = min(self.size, -(-len(items) // FEWEST)) if few else self.size
            batches = _filled(kind, items, size)
            n_rest = 0 if last or not batches else len(batches.pop().items)
            found += batches
            self._items[kind] = items[len(items) - n_rest :]
        return found


def _filled(
    kind: tuple[PotentialSpec, tuple[str, ...]], items: Sequence[tuple[Missing, float]], size: int
) -> list[Batch]:
    found: list[Batch] = []
    for item, work in items:
        full = not found or len(found[-1].items) >= size or found[-1].work + work > MOST_WORK
        if full:
            found.append(Batch(*kind))
        found[-1].items.append(item)
        found[-1].work += work
    return found
