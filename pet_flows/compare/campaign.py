"""Campaigns of the store next to DFT."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pet_flows.compare import force_fields
from pet_flows.compare.build import Built, build
from pet_flows.compare.documents import Document
from pet_flows.compare.frames import FrameErrors, evaluate_frames
from pet_flows.compare.shelf import Shelf
from pet_flows.compare.tables.row import Published, Row
from pet_flows.compare.tables.rows import rows_of
from pet_flows.errors import PetFlowsError
from pet_flows.store.results import ResultStore


@dataclass(frozen=True)
class Compared:
    """Campaigns beside their references.

    Parameters
    ----------
    campaigns
        Their names.
    shelf
        Where the comparisons are.
    built
        What was done to bring them up to date.
    across_levels
        Whether values of other levels of theory are among them.
    force_fields
        Other potentials, whose documents were imported, to be set beside them.
    frames
        What was done to evaluate potentials on frames, where that was wanted.
    """

    campaigns: tuple[str, ...]
    shelf: Shelf
    built: Built
    across_levels: bool
    force_fields: tuple[str, ...] = ()
    frames: FrameErrors | None = None

    @property
    def is_of_several(self) -> bool:
        """Whether there is more than one column beside DFT."""
        return len(self.campaigns) + len(self.force_fields) > 1

    def documents(self, campaign: str | None = None) -> Iterator[Document]:
        """Comparisons of one campaign, or of all (docs: records)."""
        return self.shelf.comparisons(self.campaigns if campaign is None else (campaign,))

    def published(self, documents: Iterable[Document]) -> set[Published]:
        """Levels of theory of the references of some comparisons, and where they are from."""
        keys = {document["reference"] for document in documents if document["values"]}
        return self.shelf.published(sorted(keys))

    def rows(self, campaign: str | None = None) -> list[Row]:
        """Equations of state of one campaign, the first if none is named: a row per crystal."""
        return rows_of(self.shelf, campaign or self.campaigns[0])


def compare_campaign(
    store: ResultStore,
    *names: str,
    across_levels: bool = False,
    keep: bool = True,
    frames: int = 0,
    models: Sequence[str] = (),
) -> Compared:
    """Set the records of campaigns beside the references there are.

    Parameters
    ----------
    store
        Where the records are.
    *names
        Of campaigns, and of other potentials whose documents were imported (``CHGNet``).
    across_levels
        Also compare where functional, U, spin or pseudopotentials differ; each comparison says in
        what.
    keep
        Whether comparisons, and the references of packages that they use, are written into the
        store.
    frames
        On how many frames of each ab-initio trajectory beside an ``md`` record its potential is
        evaluated, if it was not before.
    models
        Paths of the checkpoints of these potentials, where they are neither bundled nor of the hub.

    Raises
    ------
    PetFlowsError
        No record belongs to one of these campaigns, or none is named.
    """
    campaigns, others = [], []
    for campaign in dict.fromkeys(names):
        if next(store.query({"sources.campaign": campaign}, ["_id"], limit=1), None) is not None:
            campaigns.append(campaign)
        elif campaign in force_fields.known(store):
            others.append(campaign)
        else:
            raise PetFlowsError(
                f"No record in this store belongs to a campaign {campaign!r}; list the records "
                "there are with pet-flows query."
            )
    if not campaigns:
        raise PetFlowsError("No campaign is named: give at least one.")
    shelf = Shelf(store, keep)
    built = build(shelf, campaigns, across_levels=across_levels)
    evaluated = evaluate_frames(shelf, campaigns, frames, models=models) if frames else None
    return Compared(tuple(campaigns), shelf, built, across_levels, tuple(others), evaluated)
