"""Runs that move together: arrays of all of them, and each one's part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from ase import units

from pet_flows.geometry.ragged import owners_of, sum_by
from pet_flows.properties.md.barostat import Pistons
from pet_flows.properties.md.frames import Snapshot
from pet_flows.properties.md.integrate_run import Run
from pet_flows.properties.md.thermostat import Chains, noise

if TYPE_CHECKING:
    from torch_sim.integrators.md import MDState


class Flight:
    """S runs of N atoms together; the arrays are those of torch-sim's state and move in place.

    Parameters
    ----------
    state
        Whose runs they are; when one enters or leaves, it is another flight.
    runs
        In its order.

    Attributes
    ----------
    positions, momenta, forces
        ``(N, 3)`` Å, ASE units, eV/Å.
    masses
        ``(N, 1)`` u.
    cells, stresses
        ``(S, 3, 3)`` Å, rows, of the other hand than the structure's if that one's is left;
        eV/Å³, zero where there is none.
    owners
        ``(N,)`` int, whose each atom is.
    energies
        ``(S,)`` eV, potential ones.
    chains
        Of Nosé–Hoover thermostats.
    pistons
        At constant pressure.
    phases
        Each run's part.
    """

    def __init__(self, state: MDState, runs: Sequence[Run]):
        # a state that was cut out of another may share its memory
        for name in ("positions", "momenta", "forces", "cell"):
            setattr(state, name, getattr(state, name).contiguous())
        self.positions: np.ndarray = state.positions.numpy()
        self.momenta: np.ndarray = state.momenta.numpy()
        self.forces: np.ndarray = state.forces.numpy()
        self.masses: np.ndarray = state.masses.numpy()[:, None]
        sizes = np.array([len(run) for run in runs])
        self.owners = owners_of(sizes)
        self._degrees = np.array([run.degrees for run in runs])
        self.cells: np.ndarray = state.cell.numpy().swapaxes(1, 2)
        ends = np.cumsum(sizes).tolist()
        self.phases = [
            Phase(run, self, slice(end - len(run), end), cell)
            for run, end, cell in zip(runs, ends, self.cells, strict=True)
        ]
        self.stresses = np.stack([phase.stress for phase in self.phases])
        self.energies: np.ndarray = state.energy.numpy()
        chains = [run.chain for run in runs if run.chain is not None]
        self.chains = Chains(chains) if chains else None
        pistons = [run.piston for run in runs if run.piston is not None]
        self.pistons = Pistons(pistons, self.owners, self.masses) if pistons else None

    @property
    def runs(self) -> list[Run]:
        """In the order of the arrays."""
        return [phase.run for phase in self.phases]

    @property
    def kinetic(self) -> np.ndarray:
        """``(S,)`` eV."""
        each = (self.momenta**2 / self.masses).sum(1) / 2.0
        return sum_by(self.owners, each, len(self.phases))

    def conserved(self, kinetic: np.ndarray) -> np.ndarray:
        """``(S,)`` eV, what an exact integration would keep; ``kinetic`` likewise, of the atoms."""
        found = self.energies + kinetic - np.array([run.heat for run in self.runs])
        for parts in (self.chains, self.pistons):
            if parts is not None:
                found += parts.energies
        return found

    def temperatures(self, kinetic: np.ndarray) -> np.ndarray:
        """``(S,)`` K, of kinetic energies ``(S,)`` in eV."""
        return 2.0 * kinetic / (self._degrees * units.kB)

    def noise(self) -> np.ndarray:
        """``(N, 3)`` standard normal numbers, each run's of its own generator."""
        drawn = np.empty_like(self.momenta)
        for phase in self.phases:
            drawn[phase.span] = noise((len(phase.run), 3), phase.run.generator)
        return drawn

    def stop(self, which: np.ndarray) -> None:
        """Let runs ``(S,)`` bool that have ended stand still, until they are taken out."""
        if self.pistons is None or not which.any():
            return
        atoms = which[self.owners]
        self.momenta[atoms] = self.forces[atoms] = 0.0
        self.pistons.momenta[which] = self.stresses[which] = 0.0

    def chain(self, chains: Chains, kT: np.ndarray, time: float) -> None:
        """Move the chains of thermostats on, of targets ``(S,)`` eV, and the momenta with them."""
        self.momenta *= chains.advance(self.kinetic, kT, time)[self.owners, None]

    def kick(self, time: float) -> None:
        """Momenta under the forces."""
        self.momenta += self.forces * time

    def drift(self, time: float) -> None:
        """Positions under the momenta."""
        self.positions += self.momenta / self.masses * time


class Phase:
    """One run's part of a flight, as views."""

    def __init__(self, run: Run, flight: Flight, span: slice, cell: np.ndarray):
        self.run, self.span = run, span
        self.positions = flight.positions[span]
        self.momenta = flight.momenta[span]
        self.forces = flight.forces[span]
        self.masses = flight.masses[span, 0]
        self.cell = cell

    @property
    def stress(self) -> np.ndarray:
        """(3, 3) eV/Å³, zero where there is none."""
        stress = self.run.last.stress
        return np.zeros((3, 3)) if stress is None else stress

    def snapshot(self, kinetic: float, conserved: float) -> Snapshot:
        """What is observed and stored of it; both in eV."""
        run = self.run
        return Snapshot(
            step=run.step,
            potential=run.last.energy,
            kinetic=kinetic,
            conserved=conserved,
            stress=self.stress,
            cell=run.hand * self.cell,
            positions=self.positions,
            momenta=self.momenta,
            forces=self.forces,
        )
