"""The cases of ``benchmarks/properties.py``: our call, the peers' calls, and what both find."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import chdir
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.potential import Potential, get_potential
from pet_flows.models.load import load_model
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.eos import eos
from pet_flows.properties.md import md
from pet_flows.properties.phonon import phonon
from pet_flows.properties.relax import relax
from pet_flows.properties.settings import (
    EOSSettings,
    MDSettings,
    PhononSettings,
    RelaxSettings,
    StaticSettings,
)
from pet_flows.properties.static import static

#: ground states of the bundled model's elements: structure and lattice constant in Å
GROUND_STATES = {
    "Li": ("bcc", 3.43), "Si": ("diamond", 5.47), "Ni": ("fcc", 3.52), "Cu": ("fcc", 3.63),
    "Ge": ("diamond", 5.76), "Nb": ("bcc", 3.31), "Mo": ("bcc", 3.16), "Ta": ("bcc", 3.32),
    "W": ("bcc", 3.18),
}  # fmt: skip
SUPERCELL = 16.0  # Å; for silicon 3 × 3 × 3 cubic cells, 216 atoms


@dataclass
class Case:
    """One comparison; calls take nothing and give what ``compare`` understands."""

    what: str
    ours: Callable[[], Any]
    peers: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    compare: Callable[[Any, Any], str] = lambda ours, theirs: ""
    warm_up: Callable[[], Any] = lambda: None


def crystals(n: int, seed: int = 0, largest: int = 16) -> list[Atoms]:
    """Mixed crystals: a third perfect, a third ordered or random alloys, a third without symmetry.

    All of 1 to ``largest`` atoms, strained by up to 3 %; rattled ones by 0.05 Å.
    """
    rng = np.random.default_rng(seed)
    metals = ("Nb", "Mo", "Ta", "W")
    found = []
    for k in range(n):
        symbol = metals[k % 4] if k % 3 == 1 else list(GROUND_STATES)[k % len(GROUND_STATES)]
        structure, a = GROUND_STATES[symbol]
        cubic = k % 3 == 1 or bool(rng.integers(2))
        atoms = bulk(symbol, structure, a=a * rng.uniform(0.97, 1.03), cubic=cubic)
        repeats = rng.integers(1, 3, size=3)
        if len(atoms) * repeats.prod() <= largest:
            atoms = atoms * tuple(int(r) for r in repeats)
        if k % 3 == 1:
            atoms.symbols = [metals[(k + int(i)) % 4] for i in rng.integers(2, size=len(atoms))]
        if k % 3 == 2:
            atoms.rattle(0.05, rng=rng)
        found.append(atoms)
    return found


def _results(outcomes: Any) -> list[Any]:
    found = sorted(outcomes, key=lambda outcome: outcome.index)
    bad = [o.message for o in found if o.state == "failed"]
    if bad:
        raise RuntimeError(f"a benchmark's structure failed: {bad[0]}")
    return found


@lru_cache(maxsize=4)
def _metatomic(spec: PotentialSpec) -> Any:
    """Metatomic's own ASE calculator of the raw model."""
    from metatomic_ase import MetatomicCalculator

    return MetatomicCalculator(load_model(spec), device=str(get_potential(spec).device))


@lru_cache(maxsize=4)
def _torch_sim(spec: PotentialSpec) -> Any:
    """torch-sim's own face of the raw model."""
    from metatomic_torchsim import MetatomicModel

    return MetatomicModel(load_model(spec), device=get_potential(spec).device)


def _largest(ours: list[float], theirs: list[float], unit: str, factor: float = 1.0) -> str:
    return f"within {factor * np.abs(np.subtract(ours, theirs)).max():.2g} {unit}"


def _workflow(flow: Any) -> Any:
    """Responses of a jobflow flow in memory, run in a folder that goes away."""
    from jobflow import JobStore, run_locally
    from maggma.stores import MemoryStore

    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        return run_locally(flow, store=store, log=False, ensure_success=True)


def _meta(spec: PotentialSpec) -> dict[str, Any]:
    """How atomate2's makers are given the same potential."""
    return {
        "calculator_meta": "pet_flows.engines.ase.SymmetrizedCalculator",
        "calculator_kwargs": {"potential": spec.model, "device": spec.device},
    }


def _structure(atoms: Atoms) -> Any:
    return AseAtomsAdaptor.get_structure(atoms)


def static_case(spec: PotentialSpec) -> Case:
    """Energies, forces and stresses of 64 mixed crystals."""
    potential, plain = get_potential(spec), get_potential(spec.with_(symmetrization="none"))
    batch = crystals(64)

    def one_by_one() -> list[float]:
        energies = []
        for atoms in batch:
            copy = atoms.copy()
            copy.calc = _metatomic(plain.spec)
            copy.get_forces()
            copy.get_stress()
            energies.append(copy.get_potential_energy() / len(copy))
        return energies

    def ours(chosen: Potential) -> list[float]:
        outcomes = _results(static(batch, chosen, StaticSettings()))
        return [o.result["energy_per_atom"] for o in outcomes]

    return Case(
        what=f"{len(batch)} crystals, `crystal`",
        ours=lambda: ours(potential),
        peers={
            "raw PET, our batches": lambda: ours(plain),
            "raw PET, metatomic's calculator one by one": one_by_one,
        },
        compare=lambda a, b: _largest(a, b, "meV/atom (raw PET depends on orientation)", 1e3),
        warm_up=lambda: (ours(plain), one_by_one()),
    )


def relax_case(spec: PotentialSpec) -> Case:
    """Relaxations of cell and positions, and ASE's one by one on the same potential."""
    potential = get_potential(spec)
    batch = crystals(18)
    settings = RelaxSettings(fmax=0.005, smax=0.005)

    def ours() -> list[float]:
        outcomes = _results(relax(batch, potential, settings))
        return [o.result["energy_per_atom"] for o in outcomes]

    def theirs() -> list[float]:
        energies = []
        for atoms in batch:
            copy = atoms.copy()
            copy.calc = SymmetrizedCalculator(potential)
            BFGS(FrechetCellFilter(copy), logfile=None).run(fmax=0.005, steps=500)
            energies.append(copy.get_potential_energy() / len(copy))
        return energies

    return Case(
        what=f"{len(batch)} crystals, cell and positions",
        ours=ours,
        peers={"ASE BFGS, FrechetCellFilter, one by one": theirs},
        compare=lambda a, b: _largest(a, b, "meV/atom", 1e3),
        warm_up=lambda: _results(relax(batch[:2], potential, settings)),
    )


def eos_case(spec: PotentialSpec) -> Case:
    """Equations of state of the nine ground states, and atomate2's flow on the same potential."""
    potential = get_potential(spec)
    batch = [bulk(name, kind, a=a) for name, (kind, a) in GROUND_STATES.items()]

    def ours() -> list[float]:
        relaxed = _results(relax(batch, potential, RelaxSettings()))
        fitted = _results(
            eos([o.atoms for o in relaxed], potential, EOSSettings(), [o.carried for o in relaxed])
        )
        return [o.result["b0"] for o in fitted]

    def theirs() -> list[float]:
        from atomate2.forcefields.flows.eos import ForceFieldEosMaker
        from atomate2.forcefields.jobs import ForceFieldRelaxMaker

        moduli = []
        for atoms in batch:
            maker = ForceFieldEosMaker(
                initial_relax_maker=ForceFieldRelaxMaker(
                    relax_kwargs={"fmax": 0.001}, **_meta(spec)
                ),
                eos_relax_maker=ForceFieldRelaxMaker(
                    relax_cell=False, relax_kwargs={"fmax": 0.001}, **_meta(spec)
                ),
                linear_strain=(-0.02, 0.02),
                number_of_frames=6,
            )
            for responses in _workflow(maker.make(_structure(atoms))).values():
                output = responses[1].output
                if isinstance(output, dict) and "EOS" in output.get("relax", {}):
                    moduli.append(output["relax"]["EOS"]["birch_murnaghan"]["b0 GPa"])
        return moduli

    return Case(
        what="nine ground states, relaxed before",
        ours=ours,
        peers={"atomate2, same potential": theirs},
        compare=lambda a, b: _largest(a, b, "GPa"),
        warm_up=ours,
    )


def phonon_case(spec: PotentialSpec) -> Case:
    """Silicon, 216-atom supercell, and atomate2's flow on the same potential."""
    potential = get_potential(spec)
    settings = PhononSettings(min_length=SUPERCELL, mesh=(20, 20, 20))
    si = _results(relax([bulk("Si", a=5.47)], potential, RelaxSettings()))[0]

    def ours() -> float:
        (found,) = _results(phonon([si.atoms], potential, settings, [si.carried]))
        if len(found.blobs["phonon"]["supercell_numbers"]) != 216:
            raise RuntimeError("the supercell has not 216 atoms")
        return float(found.result["max_frequency"])

    def theirs() -> float:
        from atomate2.forcefields.flows.phonons import PhononMaker
        from atomate2.forcefields.jobs import ForceFieldStaticMaker

        maker = PhononMaker(
            min_length=None,
            bulk_relax_maker=None,
            static_energy_maker=None,
            phonon_displacement_maker=ForceFieldStaticMaker(**_meta(spec)),
            generate_frequencies_eigenvectors_kwargs={
                "npoints_band": 50, "kpoint_density": 7000, "tmin": 0, "tmax": 1000, "tstep": 100,
                "filename_bs": "b.png", "filename_dos": "d.png",
            },
        )  # fmt: skip
        # 3 × 3 × 3 conventional cells, in terms of the primitive one
        matrix = 3 * np.rint(
            bulk("Si", a=1.0, cubic=True).cell.array @ np.linalg.inv(bulk("Si", a=1.0).cell.array)
        )
        flow = maker.make(_structure(si.atoms), supercell_matrix=matrix.astype(int).tolist())
        for responses in _workflow(flow).values():
            found = getattr(responses[1].output, "phonon_bandstructure", None)
            if found is not None:
                return float(np.max(found.bands))
        raise RuntimeError("atomate2 gave no band structure")

    return Case(
        what="Si, 216 atoms, 12 evaluations, 20×20×20 mesh, bands, thermal properties",
        ours=ours,
        peers={"atomate2, same potential": theirs},
        compare=lambda a, b: f"highest frequency {a:.3f} and {b:.3f} THz",
        warm_up=ours,
    )


def md_case(spec: PotentialSpec) -> Case:
    """Eight trajectories of 64 silicon atoms, and ASE's and torch-sim's one by one."""
    potential = get_potential(spec.with_(symmetrization="crystal:orientation"))
    plain = spec.with_(symmetrization="none")
    steps, n = 50, 8
    batch = [bulk("Si", a=5.47, cubic=True) * 2 for _ in range(n)]
    settings = MDSettings(temperature=300.0, steps=steps, stride=10, min_length=0.0)

    def ours() -> list[float]:
        outcomes = _results(md(batch, potential, settings))
        return [o.result["temperature"]["mean"] for o in outcomes]

    def with_ase() -> list[float]:
        from ase.md.langevin import Langevin
        from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

        found = []
        for seed, atoms in enumerate(batch):
            copy = atoms.copy()
            copy.calc = _metatomic(plain)
            rng = np.random.default_rng(seed)
            MaxwellBoltzmannDistribution(copy, temperature_K=300.0, rng=rng)
            dynamics = Langevin(
                copy, units.fs, temperature_K=300.0, friction=0.01 / units.fs, rng=rng
            )
            seen: list[float] = []
            dynamics.attach(lambda c=copy, s=seen: s.append(c.get_temperature()), interval=10)
            dynamics.run(steps)
            found.append(float(np.mean(seen)))
        return found

    def with_torch_sim() -> list[float]:
        import torch_sim as ts

        final = ts.integrate(
            batch, _torch_sim(plain), integrator=ts.Integrator.nvt_langevin,
            n_steps=steps, temperature=300.0, timestep=0.001,
        )  # fmt: skip
        return [float(t) for t in final.calc_temperature()]

    return Case(
        what=f"{n} × 64 Si atoms, {steps} Langevin steps, `crystal:orientation`",
        ours=ours,
        peers={"ASE, raw PET, one by one": with_ase, "torch-sim, raw PET, batched": with_torch_sim},
        compare=lambda a, b: f"{np.mean(a):.0f} and {np.mean(b):.0f} K",
        warm_up=lambda: (_results(md(batch[:1], potential, settings)), _torch_sim(plain)),
    )


def many_relaxations_case(spec: PotentialSpec) -> Case:
    """Share of model evaluations in 200 relaxations, symmetry found and kept."""
    potential = get_potential(spec)
    batch = crystals(200, seed=1)
    return Case(
        what="200 mixed crystals of 1 to 16 atoms",
        ours=lambda: _results(relax(batch, potential, RelaxSettings(steps=200))),
        warm_up=lambda: _results(relax(batch[:2], potential, RelaxSettings())),
    )


def many_phonons_case(spec: PotentialSpec) -> Case:
    """Share of model evaluations in 20 phonons."""
    potential = get_potential(spec)
    relaxed = _results(relax(crystals(20, seed=2, largest=4), potential, RelaxSettings()))
    atoms, carried = [o.atoms for o in relaxed], [o.carried for o in relaxed]
    return Case(
        what="20 mixed crystals",
        ours=lambda: _results(phonon(atoms, potential, PhononSettings(), carried)),
        warm_up=lambda: _results(phonon(atoms[:1], potential, PhononSettings(), carried[:1])),
    )


CASES: dict[str, Callable[[PotentialSpec], Case]] = {
    "static": static_case,
    "relax": relax_case,
    "eos": eos_case,
    "phonon": phonon_case,
    "md": md_case,
    "200 relaxations": many_relaxations_case,
    "20 phonons": many_phonons_case,
}
