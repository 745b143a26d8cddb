"""StaticMaker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jobflow import job

from pet_flows.jobs.base import STORE_EXPOSED, PropertyMaker
from pet_flows.jobs.items import JobInput
from pet_flows.jobs.task_document import task_document
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.settings import StaticSettings

if TYPE_CHECKING:
    from ase import Atoms

    from pet_flows.engines.potential import Potential
    from pet_flows.properties.outcome import Outcome
    from pet_flows.store.results import ResultStore


@dataclass
class StaticMaker(PropertyMaker):
    """Energy, forces and stress of structures as they are.

    Outputs as :class:`pet_flows.jobs.relax.RelaxMaker`.

    Parameters
    ----------
    phase_comparison
        Average over an off-axis icosahedral group as well (``crystal`` becomes
        ``crystal:icosahedral``) with the reference found anew, so that energies of different
        phases can be subtracted.
    """

    name: str = "PET static"
    phase_comparison: bool = False

    property_name: ClassVar[str] = "static"
    settings_class: ClassVar[type] = StaticSettings

    @job(config=STORE_EXPOSED)
    def make(self, structure: JobInput | list[JobInput], prev_dir: str | Path | None = None) -> Any:
        """Evaluate one structure or a list of them; ``prev_dir`` is unused."""
        return self.run(structure)

    def settings(self) -> StaticSettings:
        """Nothing but the potential decides, and :meth:`spec` has chosen that."""
        return StaticSettings()

    def spec(self) -> PotentialSpec:
        """Potential, with the larger group where phases are to be compared."""
        spec = super().spec()
        if self.phase_comparison and spec.symmetrization == "crystal":
            spec = spec.with_(symmetrization="crystal:icosahedral")
        return spec

    def compute(
        self,
        structures: Sequence[Atoms],
        potential: Potential,
        carried: Sequence[dict[str, Any] | None],
    ) -> Iterator[Outcome]:
        """See :func:`pet_flows.properties.static.static`."""
        from pet_flows.properties.static import static

        return static(structures, potential, self.settings(), carried)

    def document(self, record: dict[str, Any], store: ResultStore) -> Any:
        """Build atomate2's task document."""
        final = store.final_structure(record)
        return task_document(record, store.input_structure(record), final, self.spec())
