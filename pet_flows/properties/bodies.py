"""Structures on their way into torch-sim's batches and out of them."""

from __future__ import annotations

from ase import Atoms

from pet_flows.engines.torchsim import Body
from pet_flows.properties.batch import Job


def body_of(atoms: Atoms, job: Job) -> Body:
    """What enters an optimizer or integrator: a geometry of a job's structure."""
    return Body(
        numbers=atoms.numbers.copy(),
        positions=atoms.positions.copy(),
        cell=atoms.cell.array.copy(),
        pbc=atoms.pbc.copy(),
        bound=job.bound,
        group=job.group,
    )


def final_atoms(body: Body) -> Atoms:
    """Structure at the last evaluated geometry."""
    assert body.latest is not None
    positions, cell, _ = body.latest
    return Atoms(numbers=body.numbers, positions=positions, cell=cell, pbc=body.pbc)
