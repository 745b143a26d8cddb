"""Molecular dynamics by ASE, and the files and documents in which others would have it."""

from __future__ import annotations

import gzip
import re
from functools import cache
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet

from tests.dft.jobs import RECORDED

STEPS, TIMESTEP = 120, 2.0
_TAGS = {
    "IBRION": 0, "NSW": STEPS, "POTIM": TIMESTEP, "TEBEG": 300, "TEEND": 300, "SMASS": 0,
    "MDALGO": 2,
}  # fmt: skip


@cache
def run() -> tuple[Atoms, ...]:
    """Copper at constant energy, about 300 K: the frames of every step."""
    atoms = bulk("Cu", cubic=True, a=3.63) * (2, 2, 2)
    atoms.calc = EMT()
    MaxwellBoltzmannDistribution(atoms, temperature_K=600, rng=np.random.default_rng(0))
    Stationary(atoms)
    dynamics = VelocityVerlet(atoms, TIMESTEP * units.fs)
    frames: list[Atoms] = []

    def keep() -> None:
        one = atoms.copy()
        one.calc = SinglePointCalculator(
            one,
            energy=atoms.get_potential_energy(),
            forces=atoms.get_forces(),
            stress=atoms.get_stress(),
        )
        frames.append(one)

    dynamics.attach(keep)
    dynamics.run(STEPS - 1)
    return tuple(frames)


def bare(frames: tuple[Atoms, ...]) -> list[Atoms]:
    """The frames without velocities, atoms wrapped into the cell, as most files have them."""
    found = []
    for frame in frames:
        one = frame.copy()
        del one.arrays["momenta"]
        one.wrap()
        one.calc = SinglePointCalculator(one, **frame.calc.results)
        found.append(one)
    return found


def write_vasprun(
    path: Path, frames: tuple[Atoms, ...], kinetic: bool = True, **tags: object
) -> None:
    """A vasprun.xml as VASP writes it of dynamics: a recorded run with other ionic steps."""
    text = gzip.decompress(RECORDED.read_bytes()).decode("latin-1")
    asked = {**_TAGS, **tags}
    incar = "".join(f'  <i type="string" name="{n}">{v}</i>\n' for n, v in asked.items())
    names = "|".join(asked)
    text = re.sub(rf' *<i (?:type="int" )?name="({names})">.*\n', "", text)
    text = text.replace(" <incar>\n", f" <incar>\n{incar}")
    text = text.replace('<separator name="ionic" >\n', f'<separator name="ionic" >\n{incar}')
    n = len(frames[0])
    text = re.sub(r"<atoms> +\d+ </atoms>", f"<atoms> {n} </atoms>", text)
    text = re.sub(r"( *<rc><c>Si</c><c> +1</c></rc>\n)+", "<rc><c>Cu</c><c>1</c></rc>\n" * n, text)
    text = re.sub(r"<c> +64</c><c>Si</c>", f"<c>{n}</c><c>Cu</c>", text)
    text = text.replace("PAW_PBE Si 05Jan2001", "PAW_PBE Cu 22Jun2005")
    first = text.index('<structure name="initialpos"')
    begin, end = text.index("<calculation>"), text.index("</calculation>") + len("</calculation>")
    rest = re.sub(r'<structure name="finalpos".*?</structure>', "", text[end:], flags=re.S)
    steps = "\n".join(_calculation(frame, kinetic) for frame in frames)
    ends = [_structure(frame, name) for frame, name in
            ((frames[0], ' name="initialpos"'), (frames[-1], ' name="finalpos"'))]  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text[:first]}{ends[0]}\n{steps}\n{ends[1]}{rest}", encoding="latin-1")
    assert begin > first


def _calculation(frame: Atoms, kinetic: bool) -> str:
    energy = frame.get_potential_energy()
    names = ("e_fr_energy", "e_wo_entrp", "e_0_energy")
    lines = [f'<i name="{name}">{energy:.10f}</i>' for name in names]
    held = f"<energy>{''.join(lines)}</energy>"
    if kinetic:
        lines.append(f'<i name="kinetic">{frame.get_kinetic_energy():.10f}</i>')
    stress = frame.get_stress(voigt=False) / units.GPa * -10.0  # kbar, compression positive
    return (
        f"<calculation><scstep>{held}</scstep>{_structure(frame, '')}"
        f"{_array('forces', frame.get_forces())}{_array('stress', stress)}"
        f"<energy>{''.join(lines)}</energy></calculation>"
    )


def _structure(frame: Atoms, name: str) -> str:
    cell = frame.cell.array
    return (
        f"<structure{name}><crystal>{_array('basis', cell)}"
        f'<i name="volume">{frame.get_volume():.8f}</i>'
        f"{_array('rec_basis', np.linalg.inv(cell).T)}</crystal>"
        f"{_array('positions', frame.get_scaled_positions(wrap=True))}</structure>"
    )


def _array(name: str, rows: np.ndarray) -> str:
    lines = "".join(f"<v>{' '.join(f'{x:.10f}' for x in row)}</v>" for row in rows)
    return f'<varray name="{name}">{lines}</varray>'
