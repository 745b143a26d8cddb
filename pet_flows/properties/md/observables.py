"""What a run is asked about, gathered while it runs in memory that does not grow with its length.

Samples wait (:class:`.samples.Samples`) until averages are taken of many at once. When that is
depends on the run's own samples alone, and those that wait are in its checkpoint: what comes out is
the same bit by bit, however often it was killed.

Velocities and positions are taken relative to the centre of mass. In a moving cell displacements
are those of the fractional coordinates, in the first cell that was seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import units
from ase.data import atomic_masses, chemical_symbols
from ase.geometry import cell_to_cellpar
from ase.units import GPa

from pet_flows.properties.md.correlation import (
    Displacements,
    VelocityCorrelation,
    density_of_states,
    diffusion,
)
from pet_flows.properties.md.declaration import MDSettings
from pet_flows.properties.md.frames import Snapshot
from pet_flows.properties.md.running import RunningMean, RunningSlope
from pet_flows.properties.md.samples import Samples
from pet_flows.properties.md.structure import (
    Fluctuation,
    RadialDistribution,
    nearest_neighbour_distance,
    summed_squares,
)

#: rms fluctuation over nearest-neighbour distance beyond which a crystal is one no more
MELTED = 0.2
#: samples in a block of the velocity autocorrelation, at most
LONGEST_BLOCK = 2000


class Observables:
    """Averages of one run from the end of its equilibration on.

    Parameters
    ----------
    numbers
        (N,) atomic numbers.
    periodic
        Whether along all three axes: pressure, pair distributions and Lindemann ratio need it.
    degrees
        Degrees of freedom of the momenta.
    settings
        Of the run.
    """

    def __init__(self, numbers: np.ndarray, periodic: bool, degrees: int, settings: MDSettings):
        self._settings = settings
        self._periodic = periodic
        self._degrees = degrees
        self._masses = atomic_masses[numbers]
        self._mass = float(self._masses.sum())
        kinds = np.unique(numbers)
        self.elements = [chemical_symbols[z] for z in kinds]
        species = (numbers == kinds[:, None]).astype(float)
        self._species = species
        self._kind_masses = atomic_masses[kinds]
        self._scalars = {
            name: RunningMean() for name in ("temperature", "pressure", "potential", "volume")
        }
        self._drift = RunningSlope()
        self._momentum = 0.0
        self._kinetic = np.zeros(len(kinds))
        self._cell = np.zeros((3, 3))
        self._first: np.ndarray | None = None
        self._waiting = Samples(len(numbers))
        self._neighbour = 0.0
        self._moved = Displacements(species)
        self._spacing = settings.observe_every * settings.timestep * 1e-3
        block = int(np.ceil(settings.correlation_time / self._spacing))
        self._velocities = VelocityCorrelation(species, int(np.clip(block, 2, LONGEST_BLOCK)))
        self._fluctuation = Fluctuation(len(numbers))
        self._pairs = RadialDistribution(species, settings.rdf_cutoff)

    @property
    def count(self) -> int:
        """Samples so far."""
        return self._scalars["temperature"].count + len(self._waiting)

    def wants(self, step: int) -> bool:
        """Whether a step is to be sampled."""
        since = step - self._settings.equilibration
        return since >= 0 and since % self._settings.observe_every == 0

    def add(self, now: Snapshot) -> None:
        """Sample a step."""
        self._waiting.add(now)
        if self._waiting.full:
            self._settle()

    def _settle(self) -> None:
        """Take averages of the samples that wait."""
        if not len(self._waiting):
            return
        settings, scalars, n = self._settings, self._scalars, len(self._masses)
        now = self._waiting.take()
        steps, kinetic, momenta, positions, cells = (
            now[name] for name in ("step", "kinetic", "momenta", "positions", "cell")
        )
        series = {
            "temperature": 2.0 * kinetic / (self._degrees * units.kB),
            "potential": now["potential"] / n,
        }
        # products of matrices: sums over the middle of an array take ten times as long
        total = np.ones(n) @ momenta
        self._momentum = max(self._momentum, float(np.sqrt((total**2).sum(1)).max()))
        self._kinetic += self._species @ (summed_squares(momenta) / self._masses / 2.0)
        self._cell += cells.sum(0)
        if self._first is None:
            self._first = cells[0].copy() if self._periodic else np.eye(3)
            if self._periodic:
                self._neighbour = nearest_neighbour_distance(positions[0], cells[0]) or 0.0
        placed = positions
        if self._periodic:
            volumes = np.abs(np.linalg.det(cells))
            static = np.trace(now["stress"], axis1=1, axis2=2) / 3.0
            series["pressure"] = (2.0 * kinetic / (3.0 * volumes) - static) / GPa
            series["volume"] = volumes / n
            placed = positions @ np.linalg.solve(cells, self._first)
        for name, values in series.items():
            for value in values.tolist():
                scalars[name].add(value)
        times = steps * settings.timestep * 1e-3
        for time, value in zip(times.tolist(), (now["conserved"] / n).tolist(), strict=True):
            self._drift.add(time, value)
        self._velocities.add(momenta / self._masses[:, None] - total[:, None] / self._mass)
        placed = placed - (self._masses @ placed)[:, None] / self._mass
        self._moved.add(placed)
        self._fluctuation.add(placed)
        if self._periodic:
            stored = steps % settings.stride == 0
            self._pairs.add(positions[stored], cells[stored])

    @property
    def lindemann(self) -> float | None:
        """Rms fluctuation about the mean position over the nearest-neighbour distance."""
        self._settle()
        if not self._neighbour or len(self._masses) == 1:
            return None
        return self._fluctuation.rms / self._neighbour

    def result(self) -> dict[str, Any]:
        """Their part of the record's ``result``."""
        self._settle()
        settings = self._settings
        thermostat = settings.ensemble != "nve"
        barostat = settings.ensemble == "npt_langevin"
        steady = settings.final_temperature is None
        temperature = self._scalars["temperature"].mean
        scalars = self._scalars
        diffusion = self.diffusion()
        return {
            "temperature": sampled(
                scalars["temperature"], settings.temperature if thermostat and steady else None
            ),
            "temperature_std_canonical": (
                temperature * float(np.sqrt(2.0 / self._degrees)) if thermostat else None
            ),
            "pressure": None if not self._periodic else sampled(
                scalars["pressure"],
                settings.pressure if barostat and settings.final_pressure is None else None,
            ),
            "potential_energy_per_atom": sampled(scalars["potential"], None),
            "volume_per_atom": sampled(scalars["volume"], None) if self._periodic else None,
            "lattice": self._lattice() if self._periodic else None,
            "drift": self._drift.slope,
            "momentum": self._momentum * units.fs,
            "diffusion": diffusion and {k: d for k, (d, _) in diffusion.items()},
            "diffusion_error": diffusion and {k: e for k, (_, e) in diffusion.items()},
            "lindemann": self.lindemann,
        }  # fmt: skip

    def _lattice(self) -> dict[str, float]:
        values = cell_to_cellpar(self._cell / self.count)
        names = ("a", "b", "c", "alpha", "beta", "gamma")
        return dict(zip(names, map(float, values), strict=True))

    def _displacements(self) -> tuple[np.ndarray, np.ndarray]:
        """Lags (L,) in ps and squared displacements (E, L, 3) in Å² of the mean cell."""
        lags, squares = self._moved.result()
        if self._periodic and self._first is not None:
            ratio = np.linalg.det(self._cell / self.count) / np.linalg.det(self._first)
            squares = squares * abs(float(ratio)) ** (2 / 3)
        return lags * self._spacing, squares

    def diffusion(self) -> dict[str, tuple[float, float]] | None:
        """Per element the diffusion coefficient and its error, cm²/s; see :func:`.diffusion`."""
        self._settle()
        time, squares = self._displacements()
        found = diffusion(time, squares, (self.count - 1) * self._spacing)
        return None if found is None else {self.elements[e]: d for e, d in found.items()}

    def arrays(self) -> dict[str, np.ndarray]:
        """Blob ``observables``.

        ``elements`` (E,); ``kinetic_temperature`` (E,) K; ``msd_time`` (L,) ps and ``msd`` (E, L,
        3) Å² along each axis; ``vacf_time`` (M,) ps and ``vacf`` (E, M) Å²/ps²;
        ``vdos_frequency`` (F,) THz and ``vdos`` (E, F) 1/THz, whose integral is 3 per atom; for
        periodic systems ``rdf_r`` (B,) Å, ``rdf`` (P, B), ``rdf_pairs`` (P, 2) of elements.
        """
        self._settle()
        amounts = self._species.sum(1)
        time, squares = self._displacements()
        lags, vacf = self._velocities.result()
        vacf_time = lags * self._spacing
        arrays = {
            "elements": np.array(self.elements),
            "kinetic_temperature": self._kinetic / self.count / amounts / (1.5 * units.kB),
            "msd_time": time,
            "msd": squares,
            "vacf_time": vacf_time,
            "vacf": vacf * (1e3 * units.fs) ** 2,
        }
        if len(lags) > 1:
            kT = self._scalars["temperature"].mean * units.kB
            spectra = [
                density_of_states(vacf_time, c, m, kT)
                for c, m in zip(vacf, self._kind_masses, strict=True)
            ]
            arrays["vdos_frequency"] = spectra[0][0]
            arrays["vdos"] = np.array([density for _, density in spectra])
        if self._periodic:
            arrays["rdf_r"], arrays["rdf"] = self._pairs.result()
            arrays["rdf_pairs"] = np.array(
                [[self.elements[a], self.elements[b]] for a, b in self._pairs.pairs]
            )
        return arrays

    def state(self) -> dict[str, np.ndarray]:
        """What a checkpoint must hold."""
        flat = {
            "momentum": np.array(self._momentum),
            "kinetic": self._kinetic,
            "cell": self._cell,
            "first": np.zeros((0, 3)) if self._first is None else self._first,
            "neighbour": np.array(self._neighbour),
            "drift": self._drift.state(),
            **{f"waiting.{name}": values for name, values in self._waiting.state().items()},
        }
        flat.update({f"scalar.{name}": mean.state() for name, mean in self._scalars.items()})
        for name, part in self._parts().items():
            flat.update({f"{name}.{key}": value for key, value in part.state().items()})
        return flat

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Inverse of :meth:`state`."""
        self._momentum, self._neighbour = float(state["momentum"]), float(state["neighbour"])
        self._kinetic, self._cell = state["kinetic"].copy(), state["cell"].copy()
        self._first = state["first"].copy() if len(state["first"]) else None
        self._drift.restore(state["drift"])
        for name, mean in self._scalars.items():
            mean.restore(state[f"scalar.{name}"])

        def of(name: str) -> dict[str, np.ndarray]:
            start = f"{name}."
            return {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}

        for name, part in self._parts().items():
            part.restore(of(name))
        self._waiting.restore(of("waiting"))

    def _parts(self) -> dict[str, Any]:
        return {
            "moved": self._moved,
            "velocities": self._velocities,
            "fluctuation": self._fluctuation,
            "pairs": self._pairs,
        }


def sampled(series: RunningMean, target: float | None) -> dict[str, float | None]:
    """``Sampled`` of a record."""
    return {
        "target": target, "mean": series.mean, "std": series.std, "error": series.error,
    }  # fmt: skip
