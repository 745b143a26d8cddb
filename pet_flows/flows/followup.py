"""FollowUpMaker: the best of a campaign go on to flows of the user's, which name the records."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from jobflow import Flow, Job, JobConfig, Maker, Response, job

from pet_flows.errors import PetFlowsError
from pet_flows.flows.candidates import Candidate, candidates
from pet_flows.jobs.base import job_result_store

#: names in the metadata of each job, and at the top level of the documents that it stores
RECORD, MATERIAL, BY_MAKER = "pet_record", "material_id", "pet_follow_up"


@dataclass
class FollowUpMaker(Maker):
    """Calculate the best materials of a campaign again, with flows of another code.

    Every job of these flows, those that it makes while it runs too, has in its metadata the key of
    the record whose structure it began with (``pet_record``) and the identifier of the material,
    so that what it gives is compared with that record.

    Parameters
    ----------
    name
        Of the flow.
    maker
        What each structure is given to: any maker whose ``make`` takes a structure.
    by
        What they are chosen by, smallest first, with a minus before it largest first:
        ``e_above_hull`` (of the campaign's energies; ``e_above_hull.dft`` of the references), or a
        field of a result such as ``phonon.min_frequency``.
    top
        How many.
    criteria
        MongoDB query that their records must match.

    Examples
    --------
    After a campaign, in one flow::

        screen = ScreenMaker(name="oxides", properties=["relax", "eos"]).make(structures)
        best = FollowUpMaker(maker=DoubleRelaxMaker(), by="-b0").make("oxides", screen.output)
        flow = Flow([screen, best])
    """

    name: str = "follow-up"
    maker: Maker | None = None
    by: str = "e_above_hull"
    top: int = 10
    criteria: dict[str, Any] = field(default_factory=dict)

    # the flows of others do not inherit what is said to our workers
    @job(
        config=JobConfig(
            expose_store=True,
            pass_manager_config=False,
            manager_config={"_category": "pet-cpu"},
        )
    )
    def make(self, campaign: str, after: Any = None) -> Response:
        """Choose when the campaign has ended, and go on with the flows of what was chosen.

        Parameters
        ----------
        campaign
            Name.
        after
            Output of whatever must end first.
        """
        found = candidates(job_result_store(), campaign, self.by, self.top, self.criteria)
        chosen = [{"record": one.record, "name": one.name, "value": one.value} for one in found]
        return Response(output=chosen, detour=Flow([*self.flows(found)], name=self.name))

    def flows(self, found: Iterable[Candidate]) -> list[Flow]:
        """A flow for each candidate, marked."""
        return [self._flow(candidate) for candidate in found]

    def _flow(self, candidate: Candidate) -> Flow:
        maker = self.maker
        if maker is None:
            raise PetFlowsError("FollowUpMaker needs a maker: give one, such as atomate2's.")
        structure = candidate.structure.copy()
        if candidate.material_id is not None:
            structure.properties = {**structure.properties, MATERIAL: candidate.material_id}
        try:
            made = maker.make(structure)
        except TypeError as error:
            raise PetFlowsError(
                f"{type(maker).__name__}.make does not take a structure ({error}): choose a maker "
                "that does."
            ) from error
        title = f"{candidate.formula} {candidate.name} {maker.name}"
        flow = Flow([made], name=title) if isinstance(made, Job) else made
        flow.name = title
        flow.update_metadata(marks(candidate, maker), dynamic=True)
        return flow


def marks(candidate: Candidate, maker: Maker) -> dict[str, str]:
    """Metadata of the jobs of one candidate."""
    found = {RECORD: candidate.record, BY_MAKER: path_of(maker)}
    if candidate.material_id is not None:
        found[MATERIAL] = candidate.material_id
    return found


def path_of(maker: Maker) -> str:
    """Module, class and name of a maker: by it the same follow-up is known again."""
    return f"{type(maker).__module__}.{type(maker).__name__} {maker.name}"


def named_maker(path: str) -> Maker:
    """Maker of a dotted path: a class, which is made with its defaults, or a maker itself.

    Modules of the working folder are found too.

    Raises
    ------
    PetFlowsError
        There is nothing of this name, it breaks down, or it is no maker.
    """
    module, dot, name = path.rpartition(".")
    if not dot:
        raise PetFlowsError(
            f"--maker must be a dotted path such as atomate2.vasp.jobs.core.RelaxMaker (got "
            f"{path!r})."
        )
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        found = getattr(import_module(module), name)
        made = found() if isinstance(found, type) else found
    except Exception as error:  # whatever a module of others raises
        raise PetFlowsError(
            f"--maker {path} cannot be imported ({type(error).__name__}: {error}): correct the "
            "path, or install what it needs."
        ) from error
    finally:
        sys.path.remove(here)
    if not isinstance(made, Maker):
        raise PetFlowsError(
            f"--maker {path} is a {type(made).__name__}: name a Jobflow maker, or a variable that "
            "holds one."
        )
    return made
