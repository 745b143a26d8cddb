"""What phonons at several volumes say about one crystal: fit, result, arrays, warnings."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from phonopy.physical_units import get_physical_units

from pet_flows.errors import StructureError
from pet_flows.properties.outcome import Outcome, largest_spreads, missing_points
from pet_flows.properties.phonon.cells import NOT_RELAXED
from pet_flows.properties.qha.declaration import QHASettings
from pet_flows.properties.qha.gruneisen import ModeGruneisen, mode_gruneisen
from pet_flows.properties.qha.thermodynamics import Equilibrium, equilibria, stencil
from pet_flows.properties.qha.volumes import (
    FEWEST,
    Stable,
    Volume,
    VolumeSeries,
    keep_one_branch,
    volume_of,
)
from pet_flows.properties.relax.optimize import unconverged

#: relative; expansion and entropy that disagree by more are worth a warning
ROUGH = 0.1


def outcome(series: VolumeSeries, settings: QHASettings) -> Outcome:
    """Everything at constant pressure from the volumes that have a free energy."""
    primitive, n_evaluations = series.primitive, series.n_evaluations
    every = [series.volumes[n] for n in sorted(series.volumes)]
    good = keep_one_branch(every)
    errors = [v.error for v in every if v.error is not None]
    volumes = np.array([v.volume for v in good])
    energies = np.array([v.energy for v in good])
    points = {"volumes": volumes.tolist(), "energies": energies.tolist(), "n_volumes": len(good)}
    missing = missing_points(errors, len(every), "volumes")
    if missing is not None:
        return primitive.failure(missing, result=points, n_evaluations=n_evaluations)
    if len(good) < FEWEST:
        return primitive.failure(_too_few(every, errors), n_evaluations=n_evaluations)
    temperatures = stencil(settings.temperatures, settings.temperature_step)
    thermal = _thermal(good, temperatures)
    found = equilibria(volumes, energies, temperatures, *thermal, settings.equation)
    if not found:
        return primitive.failure(
            _no_minimum(volumes, energies, thermal[0][0, 1]),
            result=points,
            warnings=tuple(_left_out(errors)),
            n_evaluations=n_evaluations,
        )
    modes = _gruneisen(good)
    relaxed = [v.relaxed for v in good]
    return primitive.outcome(
        result=_result(series, good, found, modes, settings),
        atoms=primitive.atoms,
        blobs={"qha": _arrays(good, energies, temperatures, thermal, modes)},
        n_evaluations=n_evaluations,
        warnings=[*_left_out(errors), *_doubts(series, good, found, modes, settings)],
        **({} if settings.relax == "none" else unconverged(relaxed, "volumes", settings.steps)),
        **largest_spreads([descent.last for descent in relaxed]),
    )


def _too_few(every: list[Volume], errors: list[StructureError]) -> StructureError:
    """Why there is no fit: the instability if that is it, else what went wrong first."""
    unstable = [v for v in every if v.error is not None and v.error.reason == "imaginary_modes"]
    if not unstable:
        return errors[0]
    where = ", ".join(f"{volume_of(v.relaxed):.2f}" for v in unstable)
    return StructureError(
        "imaginary_modes",
        f"At {len(unstable)} of {len(every)} volumes ({where} Å³/atom) there are "
        f"modes that are not real, and a free energy needs {FEWEST} volumes without, none unstable "
        "between them: choose other volumes (n_compressed, n_expanded) or a larger supercell "
        "(min_length), unless the phase is unstable with this model or held by anharmonicity.",
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
        "or take more volumes there (n_compressed, n_expanded); if it still has none, the phase is "
        "unstable with this model.",
    )


def _thermal(
    good: list[Stable], temperatures: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Free energies (eV), entropies and heat capacities (eV/K) of the phonons ``(t, 3, v)``."""
    kilojoule = 1.0 / get_physical_units().EvTokJmol
    grid = tuple(temperatures.ravel().tolist())
    tables = [v.modes.thermal(grid) for v in good]
    found = []
    for name, unit in (("f", kilojoule), ("s", kilojoule / 1000), ("cv", kilojoule / 1000)):
        values = np.array([[point[name] for point in table] for table in tables]).T
        found.append(unit * values.reshape(*temperatures.shape, len(good)))
    return found[0], found[1], found[2]


def _gruneisen(good: list[Stable]) -> ModeGruneisen | None:
    """Mode Grüneisen parameters from the volumes next to the one given, if these are there."""
    by_step = {v.step: v for v in good}
    if not {-1, 0, 1} <= by_step.keys():
        return None
    smaller, middle, larger = (by_step[n] for n in (-1, 0, 1))
    return mode_gruneisen(smaller.dynamics, middle.dynamics, larger.dynamics, middle.modes)


def _result(
    series: VolumeSeries,
    good: list[Stable],
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
        "supercell_matrix": series.crystal.matrix.T.tolist(),
        "mesh": list(series.mesh),
        "displacement": settings.displacement,
    }


def _arrays(
    good: list[Stable],
    energies: np.ndarray,
    temperatures: np.ndarray,
    thermal: tuple[np.ndarray, np.ndarray, np.ndarray],
    modes: ModeGruneisen | None,
) -> dict[str, np.ndarray]:
    joule = 1000.0 * get_physical_units().EvTokJmol
    free, entropies, heat_capacities = (values[:, 1] for values in thermal)
    meshes = [v.modes for v in good]
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


def _left_out(errors: list[StructureError]) -> list[str]:
    """Warnings of volumes that have no free energy."""
    return [f"A volume was left out ({e.reason}): {e.message}" for e in errors]


def _gaps(good: list[Stable], found: list[Equilibrium]) -> Iterator[str]:
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


def _doubts(
    series: VolumeSeries,
    good: list[Stable],
    found: list[Equilibrium],
    modes: ModeGruneisen | None,
    settings: QHASettings,
) -> list[str]:
    """What a person should know about a free energy."""
    warnings = []
    rough = [e for e in found if abs(e.maxwell - e.expansion) > ROUGH * abs(e.expansion)]
    rough = [e for e in rough if e.gruneisen is not None]
    if rough:
        worst = max(rough, key=lambda e: abs(e.maxwell / e.expansion - 1))
        warnings.append(
            f"F(V, T) is rough: at {worst.temperature:g} K the volume expands by "
            f"{worst.expansion:.2e}/K where its entropy asks for {worst.maxwell:.2e}/K; the model "
            "is not smooth enough for derivatives of its phonons."
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
    return warnings
