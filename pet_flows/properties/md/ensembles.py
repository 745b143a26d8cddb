"""One time step of each ensemble, around the evaluation: kicks, drifts, thermostats, barostat."""

from __future__ import annotations

import numpy as np
from ase import units

from pet_flows.errors import StructureError
from pet_flows.properties.md.barostat import Pistons
from pet_flows.properties.md.declaration import MDSettings
from pet_flows.properties.md.flight import Flight
from pet_flows.properties.md.integrate_run import Run, Schedule
from pet_flows.properties.md.thermostat import ornstein_uhlenbeck


class Ensemble:
    """Moves all runs of a flight.

    Parameters
    ----------
    settings
        Ensemble, targets, time step.
    """

    def __init__(self, settings: MDSettings):
        self.settings = settings
        self.dt = settings.timestep * units.fs
        self.schedule = Schedule(settings)
        picoseconds = settings.timestep * 1e-3
        self._decay = float(np.exp(-settings.friction * picoseconds))
        self._cell_decay = float(np.exp(-settings.barostat_friction * picoseconds))

    def before(self, flight: Flight) -> None:
        """Up to the evaluation, which renews the flight's energies, forces and stresses."""
        if flight.pistons is None:
            self._at_volume(flight)
        else:
            self._at_pressure(flight, flight.pistons)

    def after(self, flight: Flight) -> None:
        """What follows the evaluation."""
        if flight.pistons is not None:
            self._at_pressure_after(flight, flight.pistons)
            return
        flight.kick(self.dt / 2)
        if flight.chains is not None:
            flight.chain(flight.chains, self._kT(flight), self.dt / 2)

    def _at_volume(self, flight: Flight) -> None:
        """Constant volume up to the evaluation: velocity Verlet, Nosé–Hoover around it, or BAOAB.

        BAOAB: B. Leimkuhler, C. Matthews, Proc. R. Soc. A 472, 20160138 (2016).
        """
        ensemble, dt = self.settings.ensemble, self.dt
        if flight.chains is not None:
            flight.chain(flight.chains, self._kT(flight), dt / 2)
        flight.kick(dt / 2)
        if ensemble != "nvt_langevin":
            flight.drift(dt)
            return
        flight.drift(dt / 2)
        self._thermalized(flight)
        flight.drift(dt / 2)

    def _thermalized(self, flight: Flight) -> np.ndarray:
        """Noise of the atoms; ``(S,)`` eV, at which temperatures."""
        before = flight.kinetic
        kT = self._kT(flight)
        ornstein_uhlenbeck(
            flight.momenta, flight.masses[:, 0], kT[flight.owners], self._decay, flight.noise()
        )
        for run, heat in zip(flight.runs, (flight.kinetic - before).tolist(), strict=True):
            run.heat += heat
        return kT

    def _at_pressure(self, flight: Flight, pistons: Pistons) -> None:
        """Constant pressure up to the evaluation: kicks, half a drift, noise, half a drift."""
        p, dt = flight.momenta, self.dt
        pressures = self._pressures(flight)
        pistons.push(p, flight.stresses, flight.cells, pressures, dt / 2)
        broken = ~np.isfinite(pistons.momenta).all((1, 2))
        for place in np.nonzero(broken)[0].tolist():
            run = flight.runs[place]
            run.error = exploded(run, self.settings, "the cell's motion grew beyond any number")
        flight.stop(broken)
        pistons.kick(p, flight.forces, dt / 2)
        pistons.drift(flight.positions, flight.cells, p, pressures, dt / 2)
        kT = self._thermalized(flight)
        pistons.thermalize(kT, self._cell_decay, [run.generator for run in flight.runs])
        pistons.drift(flight.positions, flight.cells, p, pressures, dt / 2)

    def _at_pressure_after(self, flight: Flight, pistons: Pistons) -> None:
        """The same kicks in reverse."""
        flight.stop(np.array([run.error is not None for run in flight.runs]))
        pistons.kick(flight.momenta, flight.forces, self.dt / 2)
        pressures = self._pressures(flight)
        pistons.push(flight.momenta, flight.stresses, flight.cells, pressures, self.dt / 2)

    def _kT(self, flight: Flight) -> np.ndarray:
        """``(S,)`` eV, those that are asked for now."""
        return np.array([self.schedule.kT(run.step) for run in flight.runs])

    def _pressures(self, flight: Flight) -> np.ndarray:
        """``(S,)`` eV/Å³, those that are asked for now."""
        return np.array([self.schedule.pressure(run.step) for run in flight.runs])


def exploded(run: Run, settings: MDSettings, what: str) -> StructureError:
    """Error of a run that is no longer physical."""
    return StructureError(
        "exploded",
        f"The run exploded: {what} after {run.step} steps of {settings.timestep:g} fs; "
        "use a shorter timestep, a relaxed structure, or a model trained for these conditions.",
    )
