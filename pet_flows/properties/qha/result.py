"""What phonons at several volumes say about one crystal: fit, result, arrays, warnings."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from phonopy.physical_units import get_physical_units

from pet_flows.errors import StructureError
from pet_flows.properties.batch import failure, largest_spreads, missing_points
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.phonon.cells import NOT_RELAXED
from pet_flows.properties.qha.declaration import QHASettings
from pet_flows.properties.qha.gruneisen import ModeGruneisen, mode_gruneisen
from pet_flows.properties.qha.thermodynamics import Equilibrium, equilibria, stencil
from pet_flows.properties.qha.volumes import FEWEST, Task, Volume, keep_one_branch

#: relative; expansion and entropy that disagree by more are worth a warning
ROUGH = 0.1


def outcome(task: Task, settings: QHASettings) -> Outcome:
    """Everything at constant pressure from the volumes that have a free energy."""
    job = task.job
    known: dict[str, Any] = {
        "n_evaluations": task.n_evaluations,
        "reference_digest": job.bound.reference_digest,
    }
    every = [task.volumes[n] for n in sorted(task.volumes)]
    keep_one_branch(every)
    good = [v for v in every if v.modes is not None]
    left_out = [v for v in every if v.error is not None]
    volumes = np.array([v.volume for v in good])
    energies = np.array([v.energy for v in good])
    points = {"volumes": volumes.tolist(), "energies": energies.tolist(), "n_volumes": len(good)}
    missing = missing_points((v.error for v in left_out), len(every), "volumes")
    if missing is not None:
        return failure(job.index, missing, result=points, **known)
    if len(good) < FEWEST:
        return failure(job.index, _too_few(good, left_out), **known)
    temperatures = stencil(settings.temperatures, settings.temperature_step)
    thermal = _thermal(good, temperatures)
    found = equilibria(volumes, energies, temperatures, *thermal, settings.equation)
    if not found:
        return failure(
            job.index,
            _no_minimum(volumes, energies, thermal[0][0, 1]),
            result=points,
            warnings=tuple(_left_out(left_out)),
            **known,
        )
    modes = _gruneisen(task)
    loose = [v for v in good if not v.optimized.converged] if settings.relax != "none" else []
    evaluations = [v.optimized.body.latest[2] for v in good if v.optimized.body.latest is not None]
    return Outcome(
        index=job.index,
        state="unconverged" if loose else "ok",
        result=_result(task, good, found, modes, settings),
        atoms=task.job.atoms,
        reason="steps_exhausted" if loose else None,
        message=(
            f"{len(loose)} of {len(good)} volumes were not converged after {settings.steps} "
            "steps; allow more steps."
            if loose
            else None
        ),
        blobs={"qha": _arrays(good, energies, temperatures, thermal, modes)},
        **largest_spreads(evaluations),
        inherited=job.bound.as_dict(),
        warnings=tuple(_warnings(task, good, left_out, found, modes, settings)),
        **known,
    )


def _too_few(good: list[Volume], left_out: list[Volume]) -> StructureError:
    """Why there is no fit: the instability if that is it, else what went wrong first."""
    unstable = [v for v in left_out if v.error is not None and v.error.reason == "imaginary_modes"]
    if not unstable:
        assert left_out[0].error is not None
        return left_out[0].error
    where = ", ".join(f"{v.volume:.2f}" for v in unstable)
    return StructureError(
        "imaginary_modes",
        f"At {len(unstable)} of {len(good) + len(left_out)} volumes ({where} Å³/atom) there are "
        f"modes that are not real, and a free energy needs {FEWEST} volumes without, none unstable "
        "between them; this phase is held by anharmonicity, or unstable with this model.",
    )


def _no_minimum(
    volumes: np.ndarray, energies: np.ndarray, vibrations: np.ndarray
) -> StructureError:
    free = energies + vibrations
    falls = "smaller" if free[0] < free[-1] else "larger"
    return StructureError(
        "no_minimum",
        f"At the lowest temperature the free energy has no minimum between {volumes[0]:.2f} and "
        f"{volumes[-1]:.2f} Å³/atom and falls towards {falls} volumes; relax the structure first, "
        "or the phase is unstable with this model.",
    )


def _thermal(
    good: list[Volume], temperatures: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Free energies (eV), entropies and heat capacities (eV/K) of the phonons ``(t, 3, v)``."""
    kilojoule = 1.0 / get_physical_units().EvTokJmol
    grid = tuple(temperatures.ravel().tolist())
    tables = [v.modes.thermal(grid) for v in good if v.modes is not None]
    found = []
    for name, unit in (("f", kilojoule), ("s", kilojoule / 1000), ("cv", kilojoule / 1000)):
        values = np.array([[point[name] for point in table] for table in tables]).T
        found.append(unit * values.reshape(*temperatures.shape, len(good)))
    return found[0], found[1], found[2]


def _gruneisen(task: Task) -> ModeGruneisen | None:
    """Mode Grüneisen parameters from the volumes next to the one given, if these are there."""
    near = [task.volumes[n] for n in (-1, 0, 1)]
    phonopys = [v.crystal.phonopy for v in near if v.crystal is not None and v.modes is not None]
    modes = near[1].modes
    if len(phonopys) < 3 or modes is None:
        return None
    smaller, middle, larger = phonopys
    return mode_gruneisen(smaller, middle, larger, modes)


def _result(
    task: Task,
    good: list[Volume],
    found: list[Equilibrium],
    modes: ModeGruneisen | None,
    settings: QHASettings,
) -> dict[str, Any]:
    return {
        "temperatures": [e.temperature for e in found],
        "volume_per_atom": [e.volume for e in found],
        "thermal_expansion": [e.expansion for e in found],
        "bulk_modulus": [e.bulk_modulus for e in found],
        "cp": [e.cp for e in found],
        "cv": [e.cv for e in found],
        "gruneisen": [e.gruneisen for e in found],
        "free_energy_per_atom": [e.free_energy for e in found],
        "mode_gruneisen_mean": None if modes is None else modes.mean,
        "mode_gruneisen_min": None if modes is None else modes.range[0],
        "mode_gruneisen_max": None if modes is None else modes.range[1],
        "n_volumes": len(good),
        "volumes": [v.volume for v in good],
        "energies": [v.energy for v in good],
        "equation": settings.equation,
        "supercell_matrix": task.crystal.matrix.T.tolist(),
        "mesh": list(task.mesh),
        "displacement": settings.displacement,
    }


def _arrays(
    good: list[Volume],
    energies: np.ndarray,
    temperatures: np.ndarray,
    thermal: tuple[np.ndarray, np.ndarray, np.ndarray],
    modes: ModeGruneisen | None,
) -> dict[str, np.ndarray]:
    joule = 1000.0 * get_physical_units().EvTokJmol
    free, entropies, heat_capacities = (values[:, 1] for values in thermal)
    meshes = [v.modes for v in good if v.modes is not None]
    arrays = {
        "volumes": np.array([v.volume for v in good]),
        "temperatures": temperatures[:, 1],
        "free_energies": energies + free,
        "entropies": joule * entropies,
        "heat_capacities": joule * heat_capacities,
        "mesh_qpoints": meshes[0].qpoints,
        "mesh_weights": meshes[0].weights,
        "mesh_frequencies": np.array([m.frequencies for m in meshes]),
    }
    if modes is not None:
        arrays["mode_gruneisen"] = modes.values
        arrays["gruneisen_frequencies"] = modes.frequencies
    return arrays


def _left_out(volumes: list[Volume]) -> list[str]:
    """Warnings of volumes that have no free energy."""
    errors = [v.error for v in volumes if v.error is not None]
    return [f"A volume was left out ({e.reason}): {e.message}" for e in errors]


def _gaps(good: list[Volume], found: list[Equilibrium]) -> Iterator[str]:
    """Warnings of volumes that failed between others."""
    for below, above in pairwise(good):
        failed = above.step - below.step - 1
        if not failed:
            continue
        inside = [e.temperature for e in found if below.volume < e.volume < above.volume]
        there = f", where the equilibrium is at {_range(inside)} K" if inside else ""
        yield (
            f"Between {below.volume:.2f} and {above.volume:.2f} Å³/atom the free energy is "
            f"interpolated over {failed} volume{'s' * (failed > 1)} that failed{there}."
        )


def _range(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _warnings(
    task: Task,
    good: list[Volume],
    left_out: list[Volume],
    found: list[Equilibrium],
    modes: ModeGruneisen | None,
    settings: QHASettings,
) -> list[str]:
    warnings = [*task.job.bound.warnings, *task.job.notes, *_left_out(left_out)]
    rough = [e for e in found if abs(e.maxwell - e.expansion) > ROUGH * abs(e.expansion)]
    rough = [e for e in rough if e.gruneisen is not None]
    if rough:
        worst = max(rough, key=lambda e: abs(e.maxwell / e.expansion - 1))
        warnings.append(
            f"F(V, T) is rough: at {worst.temperature:g} K the volume expands by "
            f"{worst.expansion:.2e}/K where its entropy asks for {worst.maxwell:.2e}/K; the model "
            "does not carry derivatives of its phonons."
        )
    warnings += _gaps(good, found)
    beyond = settings.temperatures[len(found) :]
    if beyond:
        warnings.append(
            f"From {beyond[0]:g} K on the free energy has no minimum between "
            f"{min(v.volume for v in good):.2f} and {max(v.volume for v in good):.2f} Å³/atom: "
            f"{len(beyond)} of {len(settings.temperatures)} temperatures are left out; take more "
            "volumes (n_expanded, volume_step), or the crystal has no equilibrium there."
        )
    if modes is None:
        warnings.append("No mode Grüneisen parameters: a volume next to the one given is missing.")
    residual = max(v.residual for v in good)
    if residual > NOT_RELAXED:
        warnings.append(f"Not relaxed: forces of {residual:.3f} eV/Å were subtracted.")
    shortest = task.crystal.shortest
    if shortest < settings.min_length - 1e-6:
        warnings.append(
            f"The supercell's shortest vector is {shortest:.1f} Å, less than the "
            f"{settings.min_length:g} Å asked for, to stay within {settings.max_atoms} atoms."
        )
    return warnings
