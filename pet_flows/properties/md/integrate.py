"""Batched molecular dynamics: torch-sim's states, one generator, chain or piston for each run.

Momenta, positions and kinetic energies move for all runs at once (:class:`.flight.Flight`).

torch-sim draws the thermostat's noise of a whole batch from one generator, so that a trajectory
would depend on who else is in the batch. Here each structure has its own, which its checkpoint
holds: it repeats itself alone, in company, and after a kill.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from ase import units

from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.moving_batch import weigh
from pet_flows.engines.quiet import torch_sim as ts
from pet_flows.engines.torchsim import BatchedModel
from pet_flows.errors import StructureError
from pet_flows.properties.batch import capacity_of, evaluate_each
from pet_flows.properties.md.barostat import Pistons
from pet_flows.properties.md.declaration import MDSettings
from pet_flows.properties.md.flight import Flight, Phase
from pet_flows.properties.md.integrate_run import Run, Schedule
from pet_flows.properties.md.thermostat import maxwell_boltzmann, ornstein_uhlenbeck

#: runs in flight: each holds an open file, and systems allow as few as 1024
MOST_RUNS = 500
#: torch-sim's state of such runs
verlet = ts.integrators.md


class Integration:
    """Trajectories of many structures through the same ensemble, in flight.

    Parameters
    ----------
    evaluator
        Model and strategy.
    settings
        Ensemble, time step and the rest.
    on_step
        Called with each run after each of its steps.
    checkpoint_every, store_every
        Steps between checkpoints, and between copies of them.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        settings: MDSettings,
        on_step: Callable[[Run], None] | None = None,
        checkpoint_every: int = 100,
        store_every: int = 1000,
    ):
        self.checkpoint_every = checkpoint_every
        self.store_every = store_every
        self.on_step = on_step
        self.model = BatchedModel[Run](partial(evaluate_each, evaluator))
        self.settings = settings
        self.capacity = capacity_of(evaluator)
        self.dt = settings.timestep * units.fs
        self.schedule = Schedule(settings)
        picoseconds = settings.timestep * 1e-3
        self._decay = float(np.exp(-settings.friction * picoseconds))
        self._cell_decay = float(np.exp(-settings.barostat_friction * picoseconds))
        self._waiting: deque[Run] = deque()
        self._done: deque[Run] = deque()
        self._state: verlet.MDState | None = None
        self._flight: Flight | None = None

    def add(self, run: Run) -> None:
        """Queue a run; it goes on from its checkpoint if there is one."""
        weigh([run])
        (self._waiting if run.error is None else self._done).append(run)

    def __iter__(self) -> Iterator[Run]:
        try:
            while self._waiting or self._done or self._state is not None:
                self._admit()
                self._collect()
                while self._done:
                    yield self._done.popleft()
                if self._state is not None:
                    self._advance(self._state)
        finally:
            for run in (*self.model.held, *self._done):
                run.trajectory.release()

    def _admit(self) -> None:
        """Let waiting structures in while there is space; those that cannot go on are done."""
        if not self._waiting:
            return
        inside = self.model.inside(self._state)
        used, count = sum(run.cost for run in inside), len(inside)
        entering: list[Run] = []
        try:
            while self._waiting:
                cost = self._waiting[0].cost
                if count and (used + cost > self.capacity or count >= MOST_RUNS):
                    break
                run = self._waiting.popleft()
                entering.append(run)
                try:
                    run.resume()
                except StructureError as error:
                    run.error = error
                    self._done.append(entering.pop())
                    continue
                used, count = used + cost, count + 1
            if entering:
                self._enter(entering)
        except BaseException:
            for run in entering:
                run.trajectory.release()
            raise

    def _enter(self, runs: list[Run]) -> None:
        """Evaluate runs where they begin or go on, and let them move with the others."""
        state = self.model.enter(runs)
        momenta = []
        ends = np.cumsum([len(run) for run in runs]).tolist()
        for place, (run, end) in enumerate(zip(runs, ends, strict=True)):
            own = slice(end - len(run), end)
            if run.momenta is None:
                masses = state.masses[own].numpy()
                run.momenta = maxwell_boltzmann(masses, self.schedule.first_kT, run.generator)
            momenta.append(run.momenta)
            if run.positions is not None and run.cell is not None:  # not where it began
                state.positions[own] = torch.from_numpy(run.positions)
                state.cell[place] = torch.from_numpy(run.hand * run.cell.T)
        output = self.model(state)
        fresh = verlet.MDState.from_state(
            state,
            momenta=torch.from_numpy(np.concatenate(momenta)),
            energy=output["energy"],
            forces=output["forces"],
        )
        flight = Flight(fresh, runs)
        for phase, kinetic in zip(flight.phases, flight.kinetic.tolist(), strict=True):
            if phase.run.step == 0 and phase.run.error is None:
                self._observe(phase, kinetic)
        self._state = fresh if self._state is None else ts.concatenate_states([self._state, fresh])
        self._flight = None

    def _in_flight(self, state: verlet.MDState) -> Flight:
        """The runs of a state, made again when one has entered or left."""
        if self._flight is None:
            self._flight = Flight(state, self.model.inside(state))
        return self._flight

    def _advance(self, state: verlet.MDState) -> None:
        """One time step of all."""
        flight, constant_volume = self._in_flight(state), self.settings.ensemble != "npt_langevin"
        if constant_volume:
            self._thermostatted(flight)
        elif flight.pistons is not None:
            self._pushed(flight, flight.pistons)
        output = self.model(state)
        state.energy = output["energy"]
        flight.forces[:] = output["forces"].numpy()
        flight.stresses[:] = output["stress"].numpy()
        if constant_volume:
            flight.kick(self.dt / 2)
            if self.settings.ensemble == "nvt_nose_hoover":
                flight.chain(self.schedule, self.dt / 2)
        elif flight.pistons is not None:
            self._pushed_after(flight, flight.pistons)
        kinetic = flight.kinetic
        hot = flight.temperatures(kinetic).tolist()
        for phase, energy, temperature in zip(flight.phases, kinetic.tolist(), hot, strict=True):
            phase.run.step += 1
            self._watch(phase, energy, temperature)
        if self.on_step is None:
            return
        try:
            for run in flight.runs:
                self.on_step(run)
        except BaseException:  # the process has to stop: it goes on from this very step
            for copy in (False, True):  # there may be no time for copies of all
                for phase in flight.phases:
                    if phase.run.error is None:
                        self._save(phase, copy)
            raise

    def _thermostatted(self, flight: Flight) -> None:
        """Constant volume up to the evaluation: velocity Verlet, Nosé–Hoover around it, or BAOAB.

        BAOAB: B. Leimkuhler, C. Matthews, Proc. R. Soc. A 472, 20160138 (2016).
        """
        ensemble, dt = self.settings.ensemble, self.dt
        if ensemble == "nvt_nose_hoover":
            flight.chain(self.schedule, self.dt / 2)
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
        kT = np.array([self.schedule.kT(run.step) for run in flight.runs])
        ornstein_uhlenbeck(
            flight.momenta, flight.masses[:, 0], kT[flight.owners], self._decay, flight.noise()
        )
        for run, heat in zip(flight.runs, (flight.kinetic - before).tolist(), strict=True):
            run.heat += heat
        return kT

    def _pushed(self, flight: Flight, pistons: Pistons) -> None:
        """Constant pressure up to the evaluation: kicks, half a drift, noise, half a drift."""
        p, dt = flight.momenta, self.dt
        pressures = self._pressures(flight)
        pistons.push(p, flight.stresses, flight.cells, pressures, dt / 2)
        broken = ~np.isfinite(pistons.momenta).all((1, 2))
        for place in np.nonzero(broken)[0].tolist():
            run = flight.runs[place]
            run.error = self._exploded(run, "the cell's motion grew beyond any number")
        flight.stop(broken)
        pistons.kick(p, flight.forces, dt / 2)
        pistons.drift(flight.positions, flight.cells, p, pressures, dt / 2)
        kT = self._thermalized(flight)
        pistons.thermalize(kT, self._cell_decay, [run.generator for run in flight.runs])
        pistons.drift(flight.positions, flight.cells, p, pressures, dt / 2)

    def _pushed_after(self, flight: Flight, pistons: Pistons) -> None:
        """The same kicks in reverse."""
        flight.stop(np.array([run.error is not None for run in flight.runs]))
        pistons.kick(flight.momenta, flight.forces, self.dt / 2)
        pressures = self._pressures(flight)
        pistons.push(flight.momenta, flight.stresses, flight.cells, pressures, self.dt / 2)

    def _pressures(self, flight: Flight) -> np.ndarray:
        """``(S,)`` eV/Å³, those that are asked for now."""
        return np.array([self.schedule.pressure(run.step) for run in flight.runs])

    def _watch(self, phase: Phase, kinetic: float, temperature: float) -> None:
        """Observe, store, and stop what exploded or cannot be stored."""
        run, settings = phase.run, self.settings
        if run.error is not None:
            return
        last = run.step == settings.steps
        if not temperature <= settings.max_temperature:
            run.error = self._exploded(run, f"{temperature:.0f} K")
        self._observe(phase, kinetic, last or run.error is not None)
        copy = run.step % self.store_every == 0 and not last
        if run.error is None and (run.step % self.checkpoint_every == 0 or copy or last):
            self._save(phase, copy)

    def _save(self, phase: Phase, copy: bool) -> None:
        """Make a checkpoint; a run that cannot is stopped."""
        run = phase.run
        try:
            run.save(phase.positions, phase.cell, phase.momenta, copy)
        except StructureError as error:
            last = run.step == self.settings.steps
            if not last or error.reason != "storage_error":  # the result holds all of it
                run.error = error

    def _exploded(self, run: Run, what: str) -> StructureError:
        return StructureError(
            "exploded",
            f"The run exploded: {what} after {run.step} steps of {self.settings.timestep:g} fs; "
            "use a shorter timestep, a relaxed structure, or a model trained for these conditions.",
        )

    def _observe(self, phase: Phase, kinetic: float, always: bool = False) -> None:
        """Sample the run, and store a frame."""
        run = phase.run
        store = always or run.step % self.settings.stride == 0
        sample = run.observables.wants(run.step) and run.error is None
        if not (store or sample):
            return
        now = phase.snapshot(kinetic)
        if sample:
            run.observables.add(now)
        if store:
            run.trajectory.append(now)

    def _collect(self) -> None:
        """Take out what has ended, for whatever reason."""
        if self._state is None:
            return
        leaving = []
        for place, run in enumerate(self.model.inside(self._state)):
            if run.error is not None or run.step >= self.settings.steps:
                leaving.append(place)
                self._done.append(run)
        if leaving:
            self._state, self._flight = self.model.leave(self._state, leaving), None
