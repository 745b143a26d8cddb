"""MDMaker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pet_flows.jobs.base import PropertyMaker
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.md.declaration import MDSettings

if TYPE_CHECKING:
    from ase import Atoms

    from pet_flows.engines.potential import Potential
    from pet_flows.properties.batch import Progress
    from pet_flows.properties.outcome import Outcome
    from pet_flows.store.results import ResultStore


@dataclass
class MDMaker(PropertyMaker):
    """Molecular dynamics at constant energy, temperature, or pressure.

    Given one structure, the output is its record; given a list, slim results. With ``crystal`` as
    symmetrization the runs use ``crystal:orientation``: thermal motion leaves no symmetry that a
    whole holohedry of evaluations could share. Checkpoints lie in ``pet_flows_md`` beside the
    embedded store; a killed job, run again, goes on from them.

    Parameters
    ----------
    ensemble
        ``nve``, ``nvt_langevin``, ``nvt_nose_hoover`` or ``npt_langevin``.
    temperature, final_temperature
        K; with a final one the target goes there linearly over the run.
    pressure, final_pressure
        GPa, of ``npt_langevin``; likewise.
    cell_motion
        Of ``npt_langevin``: ``isotropic`` or ``full``.
    timestep
        fs.
    steps
        Number of time steps.
    equilibration
        Steps at the start that averages leave out.
    stride
        Steps between stored frames.
    min_length
        Å; the cell is repeated until it is this high along each axis; 0: never.
    seed
        Of the initial velocities and the thermostat.
    traj_file
        Also write each trajectory to a file that ASE reads, in the format of its suffix
        (``md.extxyz.gz``, ``md.traj``); given a list of structures, ``md-0.extxyz.gz`` and so on.
    """

    name: str = "PET MD"
    ensemble: str | None = None
    temperature: float | None = None
    final_temperature: float | None = None
    pressure: float | None = None
    final_pressure: float | None = None
    cell_motion: str | None = None
    timestep: float | None = None
    steps: int | None = None
    equilibration: int | None = None
    stride: int | None = None
    min_length: float | None = None
    seed: int | None = None
    traj_file: str | None = None

    property_name: ClassVar[str] = "md"
    settings_class: ClassVar[type] = MDSettings

    def settings(self) -> Any:
        """Physics; a file that could not be written is refused now, not after the run."""
        if self.traj_file is not None:
            from pet_flows.properties.md.trajectory import refuse_format

            refuse_format(self.traj_file)
        return super().settings()

    def spec(self) -> PotentialSpec:
        """Potential, with one evaluation per step where that is exact too."""
        spec = super().spec()
        if spec.symmetrization == "crystal":
            spec = spec.with_(symmetrization="crystal:orientation")
        return spec

    def compute(
        self,
        structures: Sequence[Atoms],
        potential: Potential,
        inherited: Sequence[dict[str, Any] | None],
        progress: Progress | None = None,
    ) -> Iterator[Outcome]:
        """See :func:`pet_flows.properties.md.md.md`."""
        from pet_flows.properties.md.md import md
        from pet_flows.settings import get_settings

        checkpoints = get_settings().store.parent / "pet_flows_md"
        return md(
            structures, potential, self.settings(), inherited,
            checkpoints=checkpoints, progress=progress,
        )  # fmt: skip

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
