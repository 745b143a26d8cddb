"""The cases of ``benchmarks/properties.py``: our call, the peers' calls, and what both find."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import units
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from properties_crystals import GROUND_STATES, crystals
from properties_peers import (
    batched_model,
    calculator,
    calculator_meta,
    largest,
    results,
    structure,
    workflow,
)

from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.potential import Potential, get_potential
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.elastic.declaration import ElasticSettings
from pet_flows.properties.elastic.elastic import elastic
from pet_flows.properties.eos.declaration import EOSSettings
from pet_flows.properties.eos.eos import eos
from pet_flows.properties.md.declaration import MDSettings
from pet_flows.properties.md.md import md
from pet_flows.properties.phonon.declaration import PhononSettings
from pet_flows.properties.phonon.phonon import phonon
from pet_flows.properties.relax.declaration import RelaxSettings
from pet_flows.properties.relax.relax import relax
from pet_flows.properties.static.declaration import StaticSettings
from pet_flows.properties.static.static import static

SUPERCELL = 16.0  # Å; for silicon 3 × 3 × 3 cubic cells, 216 atoms


@dataclass
class Case:
    """One comparison; calls take nothing and give what ``compare`` understands."""

    what: str
    ours: Callable[[], Any]
    peers: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    compare: Callable[[Any, Any], str] = lambda ours, theirs: ""
    warm_up: Callable[[], Any] = lambda: None


def static_case(spec: PotentialSpec) -> Case:
    """Energies, forces and stresses of 64 mixed crystals."""
    potential, plain = get_potential(spec), get_potential(spec.with_(symmetrization="none"))
    batch = crystals(64)

    def one_by_one() -> list[float]:
        energies = []
        for atoms in batch:
            copy = atoms.copy()
            copy.calc = calculator(plain.spec)
            copy.get_forces()
            copy.get_stress()
            energies.append(copy.get_potential_energy() / len(copy))
        return energies

    def ours(chosen: Potential) -> list[float]:
        outcomes = results(static(batch, chosen, StaticSettings()))
        return [o.result["energy_per_atom"] for o in outcomes]

    return Case(
        what=f"{len(batch)} crystals, `crystal`",
        ours=lambda: ours(potential),
        peers={
            "raw PET, our batches": lambda: ours(plain),
            "raw PET, metatomic's calculator one by one": one_by_one,
        },
        compare=lambda a, b: largest(a, b, "meV/atom (raw PET depends on orientation)", 1e3),
        warm_up=lambda: (ours(plain), one_by_one()),
    )


def relax_case(spec: PotentialSpec) -> Case:
    """Relaxations of cell and positions, and ASE's one by one on the same potential."""
    potential = get_potential(spec)
    batch = crystals(18)
    settings = RelaxSettings(fmax=0.005, smax=0.005)

    def ours() -> list[float]:
        outcomes = results(relax(batch, potential, settings))
        return [o.result["energy_per_atom"] for o in outcomes]

    def theirs() -> list[float]:
        energies = []
        for atoms in batch:
            copy = atoms.copy()
            copy.calc = SymmetrizedCalculator(potential)
            moving: Any = FrechetCellFilter(copy)
            BFGS(moving, logfile=None).run(fmax=0.005, steps=500)
            energies.append(copy.get_potential_energy() / len(copy))
        return energies

    return Case(
        what=f"{len(batch)} crystals, cell and positions",
        ours=ours,
        peers={"ASE BFGS, FrechetCellFilter, one by one": theirs},
        compare=lambda a, b: largest(a, b, "meV/atom", 1e3),
        warm_up=lambda: results(relax(batch[:2], potential, settings)),
    )


def eos_case(spec: PotentialSpec) -> Case:
    """Equations of state of the nine ground states, and atomate2's flow on the same potential."""
    potential = get_potential(spec)
    batch = [bulk(name, kind, a=a) for name, (kind, a) in GROUND_STATES.items()]

    def ours() -> list[float]:
        relaxed = results(relax(batch, potential, RelaxSettings()))
        fitted = results(
            eos(
                [o.atoms for o in relaxed], potential, EOSSettings(), [o.inherited for o in relaxed]
            )
        )
        return [o.result["b0"] for o in fitted]

    def theirs() -> list[float]:
        from atomate2.forcefields.flows.eos import ForceFieldEosMaker
        from atomate2.forcefields.jobs import ForceFieldRelaxMaker

        moduli = []
        for atoms in batch:
            maker = ForceFieldEosMaker(
                initial_relax_maker=ForceFieldRelaxMaker(
                    relax_kwargs={"fmax": 0.001}, **calculator_meta(spec)
                ),
                eos_relax_maker=ForceFieldRelaxMaker(
                    relax_cell=False, relax_kwargs={"fmax": 0.001}, **calculator_meta(spec)
                ),
                linear_strain=(-0.02, 0.02),
                number_of_frames=6,
            )
            for responses in workflow(maker.make(structure(atoms))).values():
                output = responses[1].output
                if isinstance(output, dict) and "EOS" in output.get("relax", {}):
                    moduli.append(output["relax"]["EOS"]["birch_murnaghan"]["b0 GPa"])
        return moduli

    return Case(
        what="nine ground states, relaxed before",
        ours=ours,
        peers={"atomate2, same potential": theirs},
        compare=lambda a, b: largest(a, b, "GPa"),
        warm_up=ours,
    )


def elastic_case(spec: PotentialSpec) -> Case:
    """Elastic tensors of the nine ground states, and atomate2's flow on the same potential."""
    potential = get_potential(spec)
    batch = [bulk(name, kind, a=a) for name, (kind, a) in GROUND_STATES.items()]
    settings = ElasticSettings(strain_magnitudes=(0.005, 0.01))  # atomate2's

    def ours() -> list[float]:
        relaxed = results(relax(batch, potential, RelaxSettings()))
        found = elastic(
            [o.atoms for o in relaxed], potential, settings, [o.inherited for o in relaxed]
        )
        return [o.result["tensor_ieee"][0][0] for o in results(found)]

    def theirs() -> list[float]:
        from atomate2.forcefields.flows.elastic import ElasticMaker
        from atomate2.forcefields.jobs import ForceFieldRelaxMaker

        constants = []
        for atoms in batch:
            maker = ElasticMaker(
                bulk_relax_maker=ForceFieldRelaxMaker(
                    relax_kwargs={"fmax": 1e-5}, **calculator_meta(spec)
                ),
                elastic_relax_maker=ForceFieldRelaxMaker(
                    relax_cell=False, relax_kwargs={"fmax": 1e-5}, **calculator_meta(spec)
                ),
            )
            for responses in workflow(maker.make(structure(atoms))).values():
                tensor = getattr(responses[1].output, "elastic_tensor", None)
                if tensor is not None:
                    constants.append(tensor.ieee_format[0][0])
        return constants

    return Case(
        what="nine ground states, relaxed before",
        ours=ours,
        peers={"atomate2, same potential": theirs},
        compare=lambda a, b: largest(a, b, "GPa in C11"),
        warm_up=ours,
    )


def phonon_case(spec: PotentialSpec) -> Case:
    """Silicon, 216-atom supercell, and atomate2's flow on the same potential."""
    potential = get_potential(spec)
    settings = PhononSettings(min_length=SUPERCELL, mesh=(20, 20, 20))
    si = results(relax([bulk("Si", a=5.47)], potential, RelaxSettings()))[0]

    def ours() -> float:
        (found,) = results(phonon([si.atoms], potential, settings, [si.inherited]))
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
            phonon_displacement_maker=ForceFieldStaticMaker(**calculator_meta(spec)),
            generate_frequencies_eigenvectors_kwargs={
                "npoints_band": 50, "kpoint_density": 7000, "tmin": 0, "tmax": 1000, "tstep": 100,
                "filename_bs": "b.png", "filename_dos": "d.png",
            },
        )  # fmt: skip
        # 3 × 3 × 3 conventional cells, in terms of the primitive one
        matrix = 3 * np.rint(
            bulk("Si", a=1.0, cubic=True).cell.array @ np.linalg.inv(bulk("Si", a=1.0).cell.array)
        )
        flow = maker.make(structure(si.atoms), supercell_matrix=matrix.astype(int).tolist())
        for responses in workflow(flow).values():
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
        outcomes = results(md(batch, potential, settings))
        return [o.result["temperature"]["mean"] for o in outcomes]

    def with_ase() -> list[float]:
        from ase.md.langevin import Langevin
        from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

        found = []
        for seed, atoms in enumerate(batch):
            copy = atoms.copy()
            copy.calc = calculator(plain)
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

        final: Any = ts.integrate(
            batch, batched_model(plain), integrator=ts.Integrator.nvt_langevin,
            n_steps=steps, temperature=300.0, timestep=0.001,
        )  # fmt: skip
        return [float(t) for t in final.calc_temperature()]

    return Case(
        what=f"{n} × 64 Si atoms, {steps} Langevin steps, `crystal:orientation`",
        ours=ours,
        peers={"ASE, raw PET, one by one": with_ase, "torch-sim, raw PET, batched": with_torch_sim},
        compare=lambda a, b: f"{np.mean(a):.0f} and {np.mean(b):.0f} K",
        warm_up=lambda: (results(md(batch[:1], potential, settings)), batched_model(plain)),
    )


def many_relaxations_case(spec: PotentialSpec) -> Case:
    """Share of model evaluations in 200 relaxations, symmetry found and kept."""
    potential = get_potential(spec)
    batch = crystals(200, seed=1)
    return Case(
        what="200 mixed crystals of 1 to 16 atoms",
        ours=lambda: results(relax(batch, potential, RelaxSettings(steps=200))),
        warm_up=lambda: results(relax(batch[:2], potential, RelaxSettings())),
    )


def many_phonons_case(spec: PotentialSpec) -> Case:
    """Share of model evaluations in 20 phonons, in supercells of 10 Å."""
    potential = get_potential(spec)
    settings = PhononSettings(min_length=10.0)
    relaxed = results(relax(crystals(20, seed=2, at_most=4), potential, RelaxSettings()))
    atoms, inherited = [o.atoms for o in relaxed], [o.inherited for o in relaxed]
    return Case(
        what="20 mixed crystals, `min_length` 10 Å",
        ours=lambda: results(phonon(atoms, potential, settings, inherited)),
        warm_up=lambda: results(phonon(atoms[:1], potential, settings, inherited[:1])),
    )


CASES: dict[str, Callable[[PotentialSpec], Case]] = {
    "static": static_case,
    "relax": relax_case,
    "eos": eos_case,
    "elastic": elastic_case,
    "phonon": phonon_case,
    "md": md_case,
    "200 relaxations": many_relaxations_case,
    "20 phonons": many_phonons_case,
}

#: the cases whose share of model evaluations counts together
MANY = ("200 relaxations", "20 phonons")
