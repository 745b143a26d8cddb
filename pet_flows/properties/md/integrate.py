"""Batched molecular dynamics: torch-sim's states, one generator, chain or piston for each run.

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
from pet_flows.properties.md.declaration import MDSettings
from pet_flows.properties.md.integrate_run import Phase, Run, Schedule
from pet_flows.properties.md.thermostat import maxwell_boltzmann, ornstein_uhlenbeck

#: runs in flight: each holds an open file, and systems allow as few as 1024
MOST_RUNS = 500
#: torch-sim's steps of velocity Verlet
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
        self._time = torch.tensor(self.dt, dtype=torch.float64)
        self.schedule = Schedule(settings)
        picoseconds = settings.timestep * 1e-3
        self._decay = float(np.exp(-settings.friction * picoseconds))
        self._cell_decay = float(np.exp(-settings.barostat_friction * picoseconds))
        self._waiting: deque[Run] = deque()
        self._done: deque[Run] = deque()
        self._state: verlet.MDState | None = None

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
        while self._waiting:
            cost = self._waiting[0].cost
            if count and (used + cost > self.capacity or count >= MOST_RUNS):
                return
            run = self._waiting.popleft()
            try:
                run.resume()
            except StructureError as error:
                run.error = error
                self._done.append(run)
                continue
            except BaseException:
                run.trajectory.release()
                raise
            used, count = used + cost, count + 1
            self._enter(run)

    def _enter(self, run: Run) -> None:
        state = self.model.enter([run])
        if run.momenta is None:
            masses = state.masses.numpy()
            run.momenta = maxwell_boltzmann(masses, self.schedule.first_kT, run.generator)
        if run.positions is not None and run.cell is not None:  # not where it began
            state.positions[:] = torch.from_numpy(run.positions)
            state.cell[0] = torch.from_numpy(run.hand * run.cell.T)
        output = self.model(state)
        fresh = verlet.MDState.from_state(
            state,
            momenta=torch.from_numpy(run.momenta.copy()),
            energy=output["energy"],
            forces=output["forces"],
        )
        if run.step == 0 and run.error is None:
            self._observe(run, Phase(run, fresh, 0, slice(None)))
        self._state = fresh if self._state is None else ts.concatenate_states([self._state, fresh])

    def _advance(self, state: verlet.MDState) -> None:
        """One time step of all."""
        phases = self._phases(state)
        if self.settings.ensemble == "npt_langevin":
            for phase in phases:
                self._pushed(phase)
        else:
            self._thermostatted(state, phases)
        output = self.model(state)
        state.energy, state.forces = output["energy"], output["forces"]
        phases = self._phases(state)
        if self.settings.ensemble == "npt_langevin":
            for phase in phases:
                self._pushed_after(phase)
        else:
            verlet.momentum_step(state, self._time / 2)
            if self.settings.ensemble == "nvt_nose_hoover":
                self._chained(self._phases(state))
        phases = self._phases(state)
        for phase in phases:
            phase.run.step += 1
            self._watch(phase)
        if self.on_step is None:
            return
        try:
            for phase in phases:
                self.on_step(phase.run)
        except BaseException:  # the process has to stop: it goes on from this very step
            for copy in (False, True):  # there may be no time for copies of all
                for phase in phases:
                    if phase.run.error is None:
                        self._save(phase, copy)
            raise

    def _phases(self, state: verlet.MDState) -> list[Phase]:
        """Views of the runs in a state; made again after each of torch-sim's steps, which copy."""
        ends = np.cumsum(state.n_atoms_per_system.numpy()).tolist()
        found = []
        for place, run in enumerate(self.model.inside(state)):
            span = slice(ends[place - 1] if place else 0, ends[place])
            found.append(Phase(run, state, place, span))
        return found

    def _thermostatted(self, state: verlet.MDState, phases: list[Phase]) -> None:
        """Constant volume up to the evaluation: velocity Verlet, Nosé–Hoover around it, or BAOAB.

        BAOAB: B. Leimkuhler, C. Matthews, Proc. R. Soc. A 472, 20160138 (2016).
        """
        ensemble, dt = self.settings.ensemble, self._time
        if ensemble == "nvt_nose_hoover":
            self._chained(phases)
        verlet.momentum_step(state, dt / 2)
        if ensemble != "nvt_langevin":
            verlet.position_step(state, dt)
            return
        verlet.position_step(state, dt / 2)
        for phase in self._phases(state):
            kT = self.schedule.kT(phase.run.step)
            phase.run.heat += ornstein_uhlenbeck(
                phase.momenta, phase.masses, kT, self._decay, phase.run.generator
            )
        verlet.position_step(state, dt / 2)

    def _chained(self, phases: list[Phase]) -> None:
        """Half a step of the chains."""
        for phase in phases:
            if phase.run.chain is not None:
                kT = self.schedule.kT(phase.run.step)
                phase.momenta[:] *= phase.run.chain.advance(phase.kinetic, kT, self.dt / 2)

    def _pushed(self, phase: Phase) -> None:
        """Constant pressure up to the evaluation: kicks, half a drift, noise, half a drift."""
        run, piston, dt = phase.run, phase.run.piston, self.dt
        if piston is None or run.error is not None:
            return
        step = run.step
        pressure, kT = self.schedule.pressure(step), self.schedule.kT(step)
        p, m = phase.momenta, phase.masses
        piston.push(p, m, phase.stress, phase.volume, pressure, dt / 2)
        if not np.isfinite(piston.momentum).all():
            run.error = self._exploded(run, "the cell's motion grew beyond any number")
            return
        piston.kick(p, phase.forces, dt / 2)
        piston.drift(phase.positions, phase.cell, p, m, pressure, dt / 2)
        run.heat += ornstein_uhlenbeck(p, m, kT, self._decay, run.generator)
        piston.thermalize(kT, self._cell_decay, run.generator)
        piston.drift(phase.positions, phase.cell, p, m, pressure, dt / 2)

    def _pushed_after(self, phase: Phase) -> None:
        """The same kicks in reverse."""
        run, piston, dt = phase.run, phase.run.piston, self.dt
        if piston is None or run.error is not None:
            return
        pressure = self.schedule.pressure(run.step)
        piston.kick(phase.momenta, phase.forces, dt / 2)
        piston.push(phase.momenta, phase.masses, phase.stress, phase.volume, pressure, dt / 2)

    def _watch(self, phase: Phase) -> None:
        """Observe, store, and stop what exploded or cannot be stored."""
        run, settings = phase.run, self.settings
        if run.error is not None:
            return
        last = run.step == settings.steps
        hot = run.temperature(phase.kinetic)
        if not hot <= settings.max_temperature:
            run.error = self._exploded(run, f"{hot:.0f} K")
        self._observe(run, phase, last or run.error is not None)
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

    def _observe(self, run: Run, phase: Phase, always: bool = False) -> None:
        """Sample the run, and store a frame."""
        store = always or run.step % self.settings.stride == 0
        sample = run.observables.wants(run.step) and run.error is None
        if not (store or sample):
            return
        now = phase.snapshot()
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
        self._state = self.model.leave(self._state, leaving)
