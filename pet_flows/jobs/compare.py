"""CompareMaker: campaigns beside their references, as a job at the end of a flow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jobflow import Maker

from pet_flows.errors import PetFlowsError
from pet_flows.jobs.base import job_result_store
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
    """

    name: str = "compare"
    campaigns: list[str] = field(default_factory=list)
    across_levels: bool = False

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
            comparisons were ``written``, ``removed`` and ``confirmed``; ``problems``.
        """
        from dataclasses import asdict

        from pet_flows.compare.build import build

        built = build(job_result_store(), self.campaigns, across_levels=self.across_levels)
        return asdict(built)

    def check(self) -> None:
        """Refuse to compare nothing.

        Raises
        ------
        PetFlowsError
            No campaign is named.
        """
        if not self.campaigns:
            raise PetFlowsError("CompareMaker: campaigns is empty: name at least one campaign.")

    def category(self) -> str:
        """``pet-cpu``."""
        return "pet-cpu"
