"""MDMaker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pet_flows.jobs.base import PropertyMaker, of_property
from pet_flows.properties.md.declaration import PROPERTY

if TYPE_CHECKING:
    from pet_flows.store.results import ResultStore


@of_property(PROPERTY)
class MDMaker(PropertyMaker):
    """Molecular dynamics at constant energy, temperature, or pressure.

    Given one structure, the output is its record; given a list, slim results. With ``crystal`` as
    symmetrization the runs use ``crystal:orientation``: thermal motion leaves no symmetry that a
    whole holohedry of evaluations could share. Checkpoints lie in ``pet_flows_md`` beside the
    embedded store, and copies of them in the store itself; a killed job, run again anywhere, goes
    on from them.

    Parameters
    ----------
    traj_file
        Also write each trajectory to a file that ASE reads, in the format of its suffix
        (``md.extxyz.gz``, ``md.traj``); given a list of structures, ``md-0.extxyz.gz`` and so on.
    """

    name: str = "PET MD"
    traj_file: str | None = None

    def check(self) -> None:
        """Also refuse a trajectory file that could not be written, now and not after the run."""
        super().check()
        if self.traj_file is not None:
            from pet_flows.properties.md.trajectory import refuse_format

            refuse_format(self.traj_file)

    def write_files(self, slims: list[dict[str, Any]], store: ResultStore) -> None:
        """Write the trajectories, numbered by the place of each structure in what was given."""
        from pet_flows.properties.md.trajectory import write_trajectory

        if self.traj_file is None:
            return
        for place, slim in enumerate(slims):
            record = store.get(slim["key"]) if slim["key"] else None
            if record is None or "trajectory" not in record["blobs"]:
                continue
            path = Path(self.traj_file)
            if len(slims) > 1:
                stem, dot, suffixes = path.name.partition(".")
                path = path.with_name(f"{stem}-{place}{dot}{suffixes}")
            write_trajectory(store.blob(slim["key"], "trajectory"), path)
