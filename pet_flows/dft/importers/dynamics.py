"""Frames of ab-initio molecular dynamics → a reference of ``md``, measured as our own runs are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    field_validator,
)
from pymatgen.core import Structure

from pet_flows.crystallography.lattice import reduced
from pet_flows.dft.importers.frames import (
    Frames,
    Motion,
    crystal_of,
    degrees,
    kept,
    kinetic_of,
    momenta_of,
    unwrapped,
)
from pet_flows.errors import PetFlowsError
from pet_flows.properties.md.declaration import MDSettings
from pet_flows.properties.md.frames import Snapshot
from pet_flows.properties.md.observables import Observables
from pet_flows.validate import validated

#: Å, of our own pair distributions
LONGEST = float(MDSettings.model_fields["rdf_cutoff"].default)

#: what observables ask of an ensemble, where ours has another name
_ALIKE = {"nve": "nve", "npt": "npt_langevin"}


class Run(BaseModel):
    """How a trajectory was made; names and units of the settings of ``md``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timestep: PositiveFloat = Field(description="fs, of the integrator")
    stride: PositiveInt = Field(default=1, description="steps between two frames")
    temperature: PositiveFloat | None = Field(default=None, description="K, of the thermostat")
    final_temperature: PositiveFloat | None = Field(default=None, description="K, of a ramp")
    ensemble: str = Field(default="nvt", description="nve, nvt or npt, and with what")
    equilibration: int = Field(default=0, ge=0, description="steps that averages leave out")

    @field_validator("ensemble")
    @classmethod
    def _begins_with_one(cls, name: str) -> str:
        if name[:3].lower() not in ("nve", "nvt", "npt"):
            raise ValueError("ensemble must begin with nve, nvt or npt")
        return name

    @property
    def spacing(self) -> float:
        """Time between two frames, fs."""
        return self.timestep * self.stride


#: that a user may give
FIELDS = tuple(Run.model_fields)


def parse_run(text: str | None) -> dict[str, Any]:
    """Fields of a `Run` from ``timestep=1,stride=10,temperature=300``.

    Raises
    ------
    PetFlowsError
        A part is not of this form, or a field is none of a run.
    """
    found = {}
    for part in text.split(",") if text else ():
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            raise PetFlowsError(
                f"--md holds {part.strip()!r}: write it like timestep=1,temperature=300."
            )
        found[name] = value
    if found:
        run_of({"timestep": 1.0, **found})
    return found


def run_of(fields: Mapping[str, Any]) -> Run:
    """Run of what a source says and a user gives.

    Raises
    ------
    PetFlowsError
        A field is wrong, or nobody says the timestep.
    """
    if "timestep" not in fields:
        raise PetFlowsError(
            "It does not say how far its frames are apart: give it, as with "
            "--md timestep=1,stride=10,temperature=300 (fs, steps, K)."
        )
    return validated(Run, dict(fields), lambda place: "--md: ")


@dataclass(frozen=True)
class Measured:
    """What a reference of ``md`` has: see :class:`~pet_flows.dft.reference.Reference`."""

    result: dict[str, Any]
    structure: Structure
    arrays: dict[str, dict[str, np.ndarray]]
    problems: tuple[str, ...]


def measure(frames: Frames, run: Run) -> Measured:
    """Averages and frames of a trajectory.

    Averages, pair distributions, displacements and vibrations are those of
    :class:`~pet_flows.properties.md.observables.Observables`, which our own runs have. Velocities
    that were not written are those of positions and forces of neighbouring frames,
    ``v = (x₊ − x₋)/2Δ − (a₊ − a₋) Δ/12``, whose error is of fourth order; frames more than
    `pet_flows.dft.importers.frames.DENSE` apart have none, and then neither vibrations nor a
    measured temperature.

    Raises
    ------
    PetFlowsError
        There are fewer than two frames beyond the equilibration, or nobody says the temperature
        and it cannot be measured.
    """
    first = -(-run.equilibration // run.stride)
    if len(frames) - first < 2:
        raise PetFlowsError(
            f"It has {len(frames)} frames, of which an equilibration of {run.equilibration} steps "
            "leaves fewer than two: give another with --md equilibration=0."
        )
    positions = unwrapped(frames)
    momenta, inner = momenta_of(frames, positions, run.spacing)
    measured = momenta is not None or frames.kinetic is not None
    if not measured and run.temperature is None:
        raise PetFlowsError(
            "It has no velocities, and frames too far apart to know them: give its temperature "
            "with --md temperature=300."
        )
    motion = Motion(
        frames,
        positions,
        np.zeros_like(positions) if momenta is None else momenta,
        kinetic_of(frames, momenta, run.temperature),
    )
    observables = _observed(motion, run, inner)
    result = _result(observables.result(), run, len(frames), frames.stresses is not None)
    arrays = observables.arrays()
    problems = []
    if not measured:
        result["temperature"] = {"target": run.temperature, "mean": run.temperature}
        result["temperature_std_canonical"] = None
        problems.append(
            "frames are too far apart for velocities: the temperature is the one that was given"
        )
    if momenta is None:
        for name in ("vacf", "vacf_time", "vdos", "vdos_frequency", "kinetic_temperature"):
            arrays.pop(name, None)
    if frames.kinetic is not None and frames.momenta is None:
        arrays.pop("kinetic_temperature", None)
    blobs = {"trajectory": kept(motion, run.timestep, run.stride), "observables": arrays}
    return Measured(result, crystal_of(motion, first), blobs, tuple(problems))


def _observed(motion: Motion, run: Run, inner: bool) -> Observables:
    """What our own runs are asked about."""
    frames = motion.frames
    start = frames.cells[0]
    half = float(np.linalg.norm(reduced(start), axis=1).min()) / 2.0
    ensemble = _ensemble(run.ensemble)
    settings = MDSettings(
        ensemble=ensemble,  # type: ignore[arg-type]
        temperature=run.temperature or 300.0,
        final_temperature=None if ensemble == "nve" else run.final_temperature,
        timestep=run.timestep,
        steps=len(frames) * run.stride,
        stride=run.stride,
        observe_every=run.stride,
        # farther than half of the cell atoms meet their own images
        rdf_cutoff=min(LONGEST, half),
    )
    found = Observables(frames.numbers, True, degrees(frames), settings)
    first = max(-(-run.equilibration // run.stride), int(inner))
    for n in range(first, len(frames) - inner):
        found.add(_snapshot(motion, n, run))
    return found


def _snapshot(motion: Motion, n: int, run: Run) -> Snapshot:
    frames = motion.frames
    energy, kinetic = float(frames.energies[n]), float(motion.kinetic[n])
    return Snapshot(
        step=n * run.stride,
        potential=energy,
        kinetic=kinetic,
        conserved=energy + kinetic,
        stress=np.zeros((3, 3)) if frames.stresses is None else frames.stresses[n],
        cell=frames.cells[n],
        positions=motion.positions[n],
        momenta=motion.momenta[n],
        forces=frames.forces[n],
    )


def _ensemble(name: str) -> str:
    return _ALIKE.get(name[:3].lower(), "nvt_langevin")


def _result(measured: dict[str, Any], run: Run, n_frames: int, stress: bool) -> dict[str, Any]:
    """Those averages that the frames tell of."""
    result = {**measured, "ensemble": run.ensemble, "timestep": run.timestep}
    result["time"] = (n_frames - 1) * run.spacing * 1e-3
    # of a thermostat nobody knows the heat, and so not what is conserved
    left_out = ["momentum", *(["drift"] if _ensemble(run.ensemble) != "nve" else [])]
    if not stress:
        left_out.append("pressure")
    if run.temperature is None:
        result["temperature"] = {**result["temperature"], "target": None}
    return {name: value for name, value in result.items() if name not in left_out}
