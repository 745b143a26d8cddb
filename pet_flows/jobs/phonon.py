"""PhononMaker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pet_flows.errors import PetFlowsError
from pet_flows.jobs.base import PropertyMaker, job_result_store, of_property
from pet_flows.jobs.entries import JobInput
from pet_flows.jobs.property_job import property_job
from pet_flows.properties.phonon.declaration import PROPERTY


def write_yaml_files(output: dict[str, Any] | list[dict[str, Any]]) -> None:
    """Write what a phonon job gave, computed now or before, for phonopy and atomate2."""
    from pet_flows.properties.phonon.phonopy_yaml import write_phonopy_yaml

    store = job_result_store()
    if isinstance(output, dict):
        write_phonopy_yaml(store.blob(output["_id"], "phonon"), "phonopy.yaml")
        return
    for slim in output:
        if slim["state"] == "ok":
            arrays = store.blob(slim["key"], "phonon")
            write_phonopy_yaml(arrays, f"phonopy-{slim['key']}.yaml")


@of_property(PROPERTY)
class PhononMaker(PropertyMaker):
    """Phonons by finite displacements, always in float64.

    Given one structure, the output is its record; given a list, slim results.

    Parameters
    ----------
    write_phonopy_yaml
        Write ``phonopy.yaml`` into the job's folder; for a list, ``phonopy-<key>.yaml`` each.
    """

    name: str = "PET phonon"
    write_phonopy_yaml: bool = False

    @property_job
    def make(
        self,
        structure: JobInput | list[JobInput],
        prev_dir: str | Path | None = None,
        born: list | None = None,
        epsilon_static: list | None = None,
    ) -> Any:
        """Phonons of one relaxed structure or a list of them.

        Parameters
        ----------
        structure
            What is computed.
        prev_dir
            Unused.
        born, epsilon_static
            As atomate2's: Born charges ``(N, 3, 3)`` in e of each atom and the high-frequency
            dielectric tensor ``(3, 3)``, for LO-TO splitting. For a list of structures a list of
            each, None where there are none; those that have some do not share batches.
        """
        if born is None and epsilon_static is None:
            output = self.run(structure)
        elif isinstance(structure, list):
            output = self._each(structure, born, epsilon_static)
        else:
            output = self._polar(born, epsilon_static).run(structure)
        if self.write_phonopy_yaml:
            write_yaml_files(output)
        return output

    def _polar(self, born: list | None, epsilon: list | None) -> PhononMaker:
        """The maker for one structure with its Born charges."""
        if born is None and epsilon is None:
            return self
        if born is None or epsilon is None:
            raise PetFlowsError(
                "A non-analytical correction needs both born and epsilon_static; give both or "
                "neither."
            )
        values = {"born_charges": born, "dielectric": epsilon}
        nac = {name: np.asarray(value).tolist() for name, value in values.items()}
        return replace(self, settings={**self.own_settings(), "nac": nac})

    def _each(
        self, structures: list[JobInput], born: list | None, epsilon: list | None
    ) -> list[dict[str, Any]]:
        """Slim results of structures that have values of their own, in order."""
        if born is None or epsilon is None or {len(born), len(epsilon)} != {len(structures)}:
            raise PetFlowsError(
                f"For a list of {len(structures)} structures, born and epsilon_static must be "
                "lists as long, with None where there are no values."
            )
        makers = [self._polar(b, e) for b, e in zip(born, epsilon, strict=True)]
        without = [s for s, maker in zip(structures, makers, strict=True) if maker is self]
        shared = iter(self.run(without) if without else [])
        return [
            next(shared) if maker is self else maker.run([s])[0]
            for s, maker in zip(structures, makers, strict=True)
        ]
