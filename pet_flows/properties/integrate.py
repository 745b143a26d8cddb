"""Batched molecular dynamics: torch-sim's steps, one generator for each structure.

torch-sim draws the thermostat's noise of a whole batch from one generator, so that a trajectory
would depend on who else is in the batch. Here each structure has its own, which its checkpoint
carries: it repeats itself alone, in company, and after a kill.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch_sim as ts
from ase import units
from torch_sim.integrators.md import (
    MDState,
    initialize_momenta,
    momentum_step,
    position_step,
)

from pet_flows.engines.torchsim import (
    BatchedModel,
    Body,
    EvaluateEach,
    evaluation_cost,
    numbers_of,
)
from pet_flows.errors import StructureError
from pet_flows.properties.settings import MDSettings
from pet_flows.properties.trajectory import Trajectory


@dataclass
class Run:
    """One trajectory on its way."""

    tag: Any
    body: Body
    trajectory: Trajectory
    generator: torch.Generator
    step: int = 0
    heat: float = 0.0
    """eV, what the thermostat has given so far"""
    momenta: np.ndarray | None = None
    """(N, 3) to start from; drawn if None"""
    degrees: int = 0
    exploded: StructureError | None = None

    def temperature(self, kinetic: float) -> float:
        """K, of a kinetic energy in eV."""
        return 2.0 * kinetic / (self.degrees * units.kB)


class Integration:
    """Trajectories of many structures through the same ensemble, in flight.

    Parameters
    ----------
    evaluate
        Batch evaluation with failures kept apart.
    settings
        Ensemble, time step and the rest.
    room
        Atoms × evaluations that one step may hold.
    """

    def __init__(self, evaluate: EvaluateEach, settings: MDSettings, room: int):
        self.model = BatchedModel(evaluate)
        self.settings = settings
        self.room = room
        self.dt = torch.tensor(settings.timestep * units.fs, dtype=torch.float64)
        self.kT = settings.temperature * units.kB
        self._decay = float(np.exp(-settings.friction * 1e-3 * settings.timestep))
        self._waiting: list[Run] = []
        self._runs: dict[int, Run] = {}
        self._state: MDState | None = None

    def add(self, tag: Any, body: Body, trajectory: Trajectory) -> None:
        """Queue a structure; it goes on from its checkpoint if there is one."""
        run = Run(tag, body, trajectory, torch.Generator().manual_seed(self.settings.seed))
        n = len(body)
        run.degrees = 3 * n - 3 if self.settings.ensemble == "nve" and n > 1 else 3 * n
        saved = trajectory.resume()
        if saved is not None:
            run.step, run.heat = int(saved["step"]), float(saved["heat"])
            run.momenta = saved["momenta"]
            body.positions = saved["positions"]
            body.n_evaluations = int(saved["n_evaluations"])
            run.generator.set_state(torch.from_numpy(saved["generator"]))
        self._waiting.append(run)

    def __iter__(self) -> Iterator[Run]:
        while self._waiting or self._state is not None:
            self._admit()
            yield from self._collect()
            if self._state is not None:
                self._advance(self._state)

    def _admit(self) -> None:
        """Let waiting structures in while there is room."""
        used = sum(evaluation_cost(run.body) for run in self._runs.values()) if self._waiting else 0
        while self._waiting:
            cost = evaluation_cost(self._waiting[0].body)
            if self._runs and used + cost > self.room:
                return
            used += cost
            self._enter(self._waiting.pop(0))

    def _enter(self, run: Run) -> None:
        number = self.model.enter(run.body)
        self._runs[number] = run
        state = self.model.state([number])
        output = self.model(state)
        if run.momenta is None:
            momenta = initialize_momenta(
                state.positions,
                state.masses,
                state.system_idx,
                torch.tensor(self.kT, dtype=torch.float64),
                run.generator,
            )
        else:
            momenta = torch.from_numpy(run.momenta)
        fresh = MDState.from_state(
            state, momenta=momenta, energy=output["energy"], forces=output["forces"]
        )
        if not run.trajectory.frames:
            self._record(run, fresh.positions, momenta, fresh.masses)
        self._state = fresh if self._state is None else ts.concatenate_states([self._state, fresh])

    def _advance(self, state: MDState) -> None:
        """One step of velocity Verlet, or of BAOAB (B. Leimkuhler, C. Matthews, Proc. R. Soc. A
        472, 20160138 (2016)).
        """  # noqa: D205
        momentum_step(state, self.dt / 2)
        if self.settings.ensemble == "nve":
            position_step(state, self.dt)
        else:
            position_step(state, self.dt / 2)
            self._thermostat(state)
            position_step(state, self.dt / 2)
        output = self.model(state)
        state.energy, state.forces = output["energy"], output["forces"]
        momentum_step(state, self.dt / 2)
        settings = self.settings
        for number, span in zip(numbers_of(state), _spans(state), strict=True):
            run = self._runs[number]
            run.step += 1
            last = run.step == settings.steps
            if run.body.error is not None:
                run.exploded = run.body.error
                continue
            kinetic = _kinetic(state.momenta[span], state.masses[span])
            hot = run.temperature(kinetic)
            if not hot <= settings.max_temperature:
                run.exploded = StructureError(
                    "exploded",
                    f"The run exploded: {hot:.0f} K after {run.step} steps of "
                    f"{settings.timestep:g} fs; use a shorter time step, a relaxed structure, or "
                    "a model trained for these conditions.",
                )
            if run.step % settings.stride == 0 or last or run.exploded is not None:
                self._record(run, state.positions[span], state.momenta[span], state.masses[span])
            if run.step % settings.checkpoint_every == 0 or last:
                self._save(run, state.positions[span], state.momenta[span])

    def _thermostat(self, state: MDState) -> None:
        """Ornstein–Uhlenbeck step; the heat it gives is added up."""
        for number, span in zip(numbers_of(state), _spans(state), strict=True):
            run, masses = self._runs[number], state.masses[span]
            before = _kinetic(state.momenta[span], masses)
            noise = torch.randn((len(masses), 3), dtype=torch.float64, generator=run.generator)
            width = torch.sqrt(masses * self.kT * (1.0 - self._decay**2))[:, None]
            state.momenta[span] = self._decay * state.momenta[span] + width * noise
            run.heat += _kinetic(state.momenta[span], masses) - before

    def _collect(self) -> list[Run]:
        """Take out what has ended or exploded."""
        if self._state is None:
            return []
        numbers = numbers_of(self._state)
        leaving, done = [], []
        for place, number in enumerate(numbers):
            run = self._runs[number]
            if run.body.error is not None and run.exploded is None:
                run.exploded = run.body.error
            if run.exploded is not None or run.step >= self.settings.steps:
                leaving.append(place)
                self.model.leave(number)
                done.append(self._runs.pop(number))
        if len(leaving) == len(numbers):
            self._state = None
        elif leaving:
            self._state.pop(leaving)
        return done

    def _record(
        self, run: Run, positions: torch.Tensor, momenta: torch.Tensor, masses: torch.Tensor
    ) -> None:
        if run.body.latest is None:
            return
        result = run.body.latest[2]
        kinetic = _kinetic(momenta, masses)
        run.trajectory.append(
            step=run.step,
            potential=result.energy,
            kinetic=kinetic,
            conserved=result.energy + kinetic - run.heat,
            stress=np.zeros((3, 3)) if result.stress is None else result.stress,
            positions=positions.numpy(),
            momenta=momenta.numpy(),
        )

    def _save(self, run: Run, positions: torch.Tensor, momenta: torch.Tensor) -> None:
        run.trajectory.checkpoint(
            {
                "step": np.array(run.step),
                "heat": np.array(run.heat),
                "positions": positions.numpy(),
                "momenta": momenta.numpy(),
                "n_evaluations": np.array(run.body.n_evaluations),
                "generator": run.generator.get_state().numpy(),
            }
        )


def _spans(state: MDState) -> list[slice]:
    ends = np.cumsum(state.n_atoms_per_system.numpy()).tolist()
    return [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def _kinetic(momenta: torch.Tensor, masses: torch.Tensor) -> float:
    """EV."""
    return float((momenta**2 / masses[:, None]).sum() / 2.0)
