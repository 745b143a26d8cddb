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

from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.moving_batch import weigh
from pet_flows.engines.quiet import torch_sim as ts
from pet_flows.engines.torchsim import BatchedModel
from pet_flows.errors import StructureError
from pet_flows.properties.batch import capacity_of, evaluate_each
from pet_flows.properties.md.declaration import MDSettings
from pet_flows.properties.md.ensembles import Ensemble, exploded
from pet_flows.properties.md.flight import Flight, Phase
from pet_flows.properties.md.integrate_run import Run
from pet_flows.properties.md.thermostat import maxwell_boltzmann

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
        self.ensemble = Ensemble(settings)
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
        momenta, first_kT = [], self.ensemble.schedule.first_kT
        ends = np.cumsum([len(run) for run in runs]).tolist()
        for place, (run, end) in enumerate(zip(runs, ends, strict=True)):
            own = slice(end - len(run), end)
            if run.momenta is None:
                masses = state.masses[own].numpy()
                run.momenta = maxwell_boltzmann(masses, first_kT, run.generator)
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
        for phase, kinetic, conserved in zip(flight.phases, *_energies(flight), strict=True):
            if phase.run.step == 0 and phase.run.error is None:
                self._observe(phase, kinetic, conserved)
        self._state = fresh if self._state is None else ts.concatenate_states([self._state, fresh])
        self._flight = None

    def _in_flight(self, state: verlet.MDState) -> Flight:
        """The runs of a state, made again when one has entered or left."""
        if self._flight is None:
            self._flight = Flight(state, self.model.inside(state))
        return self._flight

    def _advance(self, state: verlet.MDState) -> None:
        """One time step of all."""
        flight = self._in_flight(state)
        self.ensemble.before(flight)
        output = self.model(state)
        state.energy = output["energy"]
        flight.energies = state.energy.numpy()
        flight.forces[:] = output["forces"].numpy()
        flight.stresses[:] = output["stress"].numpy()
        self.ensemble.after(flight)
        kinetic, conserved = _energies(flight)
        hot = flight.temperatures(np.array(kinetic)).tolist()
        for phase, *found in zip(flight.phases, hot, kinetic, conserved, strict=True):
            phase.run.step += 1
            self._watch(phase, *found)
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

    def _watch(self, phase: Phase, temperature: float, kinetic: float, conserved: float) -> None:
        """Observe, store, and stop what exploded or cannot be stored."""
        run, settings = phase.run, self.settings
        if run.error is not None:
            return
        last = run.step == settings.steps
        if not temperature <= settings.max_temperature:
            run.error = exploded(run, settings, f"{temperature:.0f} K")
        self._observe(phase, kinetic, conserved, last or run.error is not None)
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

    def _observe(
        self, phase: Phase, kinetic: float, conserved: float, always: bool = False
    ) -> None:
        """Sample the run, and store a frame."""
        run = phase.run
        store = always or run.step % self.settings.stride == 0
        sample = run.observables.wants(run.step) and run.error is None
        if not (store or sample):
            return
        now = phase.snapshot(kinetic, conserved)
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


def _energies(flight: Flight) -> tuple[list[float], list[float]]:
    """Kinetic and conserved energy of each run, eV."""
    kinetic = flight.kinetic
    return kinetic.tolist(), flight.conserved(kinetic).tolist()
