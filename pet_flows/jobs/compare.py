"""CompareMaker: campaigns beside their references, as a job at the end of a flow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jobflow import Maker

from pet_flows.errors import PetFlowsError
from pet_flows.jobs.base import category_of_device, job_result_store
from pet_flows.jobs.property_job import property_job


@dataclass
class CompareMaker(Maker):
    """Bring the comparisons of campaigns up to date, beside the outputs of the job.

    Parameters
    ----------
    name
        Name of the job.
    campaigns
        Names of the campaigns.
    across_levels
        Also compare where functional, U, spin or pseudopotentials differ.
    frames
        On how many frames of each ab-initio trajectory beside an ``md`` record its potential is
        evaluated.
    models
        Paths of the checkpoints of these potentials, where they are neither bundled nor of the hub.
    device
        Where they are evaluated.
    """

    name: str = "compare"
    campaigns: list[str] = field(default_factory=list)
    across_levels: bool = False
    frames: int = 0
    models: list[str] = field(default_factory=list)
    device: str | None = None

    @property_job
    def make(self, after: Any = None) -> Any:
        """Compare.

        Parameters
        ----------
        after
            Outputs of jobs that must have ended before, such as ``flow.output`` of a campaign.

        Returns
        -------
        Job
            Its output: how many ``records`` there are, were ``looked_at``, and how many
            comparisons were ``written``, ``removed`` and ``confirmed``; ``problems``; and of
            ``frames`` how many were ``evaluated``, with problems of their own.
        """
        from dataclasses import asdict

        from pet_flows.compare.build import build
        from pet_flows.compare.frames import evaluate_frames
        from pet_flows.compare.shelf import Shelf

        shelf = Shelf(job_result_store())
        built = build(shelf, self.campaigns, across_levels=self.across_levels)
        if not self.frames:
            return asdict(built)
        found = evaluate_frames(
            shelf, self.campaigns, self.frames, models=self.models, device=self.device
        )
        return asdict(built) | {"frames": asdict(found)}

    def check(self) -> None:
        """Refuse to compare nothing.

        Raises
        ------
        PetFlowsError
            No campaign is named, or the number of frames is negative.
        """
        if self.frames < 0:
            raise PetFlowsError(f"CompareMaker: frames must be at least 0 (got {self.frames}).")
        if not self.campaigns:
            raise PetFlowsError("CompareMaker: campaigns is empty: name at least one campaign.")

    def category(self) -> str:
        """``pet-cpu``; where frames are evaluated, by the device."""
        return category_of_device(self.device) if self.frames else "pet-cpu"
