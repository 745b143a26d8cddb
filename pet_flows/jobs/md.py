"""MDMaker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jobflow import job

from pet_flows.jobs.base import STORE_EXPOSED, PropertyMaker
from pet_flows.jobs.items import JobInput
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.settings import MDSettings

if TYPE_CHECKING:
    from ase import Atoms

    from pet_flows.engines.potential import Potential
    from pet_flows.properties.outcome import Outcome


@dataclass
class MDMaker(PropertyMaker):
    """Molecular dynamics: NVE, or NVT with a Langevin thermostat.

    Given one structure, the output is its record; given a list, slim results. With ``crystal`` as
    symmetrization the runs use ``crystal:orientation``: thermal motion leaves no symmetry that a
    whole holohedry of evaluations could share. Checkpoints lie in ``pet_flows_md`` beside the
    embedded store; a killed job, run again, goes on from them.

    Parameters
    ----------
    ensemble
        ``nve`` or ``nvt_langevin``.
    temperature
        K.
    timestep
        fs.
    steps
        Number of time steps.
    seed
        Of the initial velocities and the thermostat.
    """

    name: str = "PET MD"
    ensemble: str | None = None
    temperature: float | None = None
    timestep: float | None = None
    steps: int | None = None
    seed: int | None = None

    property_name: ClassVar[str] = "md"
    settings_class: ClassVar[type] = MDSettings

    @job(config=STORE_EXPOSED)
    def make(self, structure: JobInput | list[JobInput], prev_dir: str | Path | None = None) -> Any:
        """Run one structure or a list of them; ``prev_dir`` is unused."""
        return self.run(structure)

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
        carried: Sequence[dict[str, Any] | None],
    ) -> Iterator[Outcome]:
        """See :func:`pet_flows.properties.md.md`."""
        from pet_flows.properties.md import md
        from pet_flows.settings import get_settings

        checkpoints = get_settings().store.parent / "pet_flows_md"
        return md(structures, potential, self.settings(), carried, checkpoints=checkpoints)
