"""PhononMaker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jobflow import job

from pet_flows.jobs.base import STORE_EXPOSED, PropertyMaker, job_result_store
from pet_flows.jobs.items import JobInput
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.settings import PhononSettings

if TYPE_CHECKING:
    from ase import Atoms

    from pet_flows.engines.potential import Potential
    from pet_flows.properties.outcome import Outcome


def write_yaml_files(output: dict[str, Any] | list[dict[str, Any]]) -> None:
    """Write what a phonon job gave, computed now or before, for phonopy and atomate2."""
    from pet_flows.properties.phonopy_yaml import write_phonopy_yaml

    store = job_result_store()
    if isinstance(output, dict):
        write_phonopy_yaml(store.blob(output["_id"], "phonon"), "phonopy.yaml")
        return
    for slim in output:
        if slim["state"] == "ok":
            arrays = store.blob(slim["key"], "phonon")
            write_phonopy_yaml(arrays, f"phonopy-{slim['key']}.yaml")


@dataclass
class PhononMaker(PropertyMaker):
    """Phonons by finite displacements, always in float64.

    Given one structure, the output is its record; given a list, slim results.

    Parameters
    ----------
    min_length
        Å, smallest width of the supercell.
    displacement
        Å.
    mesh
        q-mesh instead of one by length.
    tolerance
        THz; a mode counts as imaginary below minus this.
    write_phonopy_yaml
        Write ``phonopy.yaml`` into the job's folder; for a list, ``phonopy-<key>.yaml`` each.
    """

    name: str = "PET phonon"
    min_length: float | None = None
    displacement: float | None = None
    mesh: tuple[int, int, int] | None = None
    tolerance: float | None = None
    write_phonopy_yaml: bool = False

    property_name: ClassVar[str] = "phonon"
    settings_class: ClassVar[type] = PhononSettings

    @job(config=STORE_EXPOSED)
    def make(self, structure: JobInput | list[JobInput], prev_dir: str | Path | None = None) -> Any:
        """Phonons of one relaxed structure or a list of them; ``prev_dir`` is unused."""
        output = self.run(structure)
        if self.write_phonopy_yaml:
            write_yaml_files(output)
        return output

    def spec(self) -> PotentialSpec:
        """Potential in float64: a rigid shift by 0.01 Å moves a float32 Γ mode by 0.015 THz."""
        return super().spec().with_(dtype="float64")

    def compute(
        self,
        structures: Sequence[Atoms],
        potential: Potential,
        carried: Sequence[dict[str, Any] | None],
    ) -> Iterator[Outcome]:
        """See :func:`pet_flows.properties.phonon.phonon`."""
        from pet_flows.properties.phonon import phonon

        return phonon(structures, potential, self.settings(), carried)
