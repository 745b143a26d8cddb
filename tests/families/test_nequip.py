"""NequIP of random weights beside its own calculator."""

import os
import random

import numpy as np
import pytest
import torch
from ase.build import bulk
from jobflow import run_locally
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.audit.audit import audit
from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.evaluation import System
from pet_flows.engines.foreign import process_as_it_is
from pet_flows.engines.potential import get_potential
from pet_flows.errors import PetFlowsError
from pet_flows.flows import ScreenMaker
from pet_flows.inputs.structure import make_input, make_source
from pet_flows.models.resolve import resolve
from pet_flows.models.spec import PotentialSpec
from pet_flows.store.locate import open_job_store
from pet_flows.store.results import ResultStore
from tests.families.atoms import changes, salt, silicon, values, water

NEEDS = "needs pip install 'pet-flows[nequip]'"
ELEMENTS = ("H", "O", "Na", "Si", "Cl")


def hyperparameters(dtype, cutoff_by_pair, layers=2):
    return {
        "_target_": "nequip.model.NequIPGNNModel", "seed": 3, "model_dtype": dtype, "r_max": 4.5,
        "type_names": list(ELEMENTS), "num_layers": layers, "l_max": 2, "num_features": 8,
        "radial_mlp_width": 16, "avg_num_neighbors": 10.0, "per_type_energy_scales": 1.3,
        "per_type_energy_shifts": {name: -100.0 * n for n, name in enumerate(ELEMENTS)},
        "per_edge_type_cutoff": {"Na": 4.0, "Cl": {"Na": 3.7, "Cl": 4.5}} if cutoff_by_pair
        else None,
        "pair_potential": {"_target_": "nequip.nn.pair_potential.ZBL", "units": "metal",
                           "chemical_species": list(ELEMENTS)},
    }  # fmt: skip


def save_checkpoint(path, dtype="float64", cutoff_by_pair=False, layers=2, scale=1.0):
    """What its trainer writes, of random weights, with data for a package beside it."""
    from nequip.train import NequIPLightningModule
    from nequip.utils import get_current_code_versions
    from nequip.utils.global_state import set_global_state

    with process_as_it_is(torch.float64):
        set_global_state()
        data = path.parent / "data.xyz"
        salt().write(data, format="extxyz")
        module = NequIPLightningModule(
            model=hyperparameters(dtype, cutoff_by_pair, layers),
            num_datasets={"train": 1, "val": 0, "test": 0},
            info_dict={
                "versions": get_current_code_versions(verbose=False),
                "training_module": {"_target_": "nequip.train.NequIPLightningModule"},
                "data": {
                    "_target_": "nequip.data.datamodule.ASEDataModule", "seed": 1,
                    "train_file_path": str(data), "val_file_path": str(data),
                    "test_file_path": [],
                    "transforms": [
                        {"_target_": "nequip.data.transforms.ChemicalSpeciesToAtomTypeMapper",
                         "model_type_names": list(ELEMENTS)},
                        {"_target_": "nequip.data.transforms.NeighborListTransform", "r_max": 4.5},
                    ],
                },
            },
        )  # fmt: skip
        with torch.no_grad():
            for name, tensor in module.state_dict().items():
                if name.endswith(".weight"):
                    tensor *= scale
        torch.save(
            {
                "state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams),
                "pytorch-lightning_version": "2.6.0",
            },
            path,
        )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("nequip", reason=NEEDS)
    return tmp_path_factory.mktemp("nequip")


@pytest.fixture(scope="module")
def file(folder):
    return save_checkpoint(folder / "rough.ckpt")


@pytest.fixture(scope="module")
def package(file):
    from nequip.scripts.package import main

    path = file.with_name("rough.nequip.zip")
    with process_as_it_is(torch.float64):
        main(["build", str(file), str(path)])
    return path


def spec(file, **changes):
    return resolve(PotentialSpec(model=f"nequip:{file}", device="cpu", **changes), trust=True).spec


def own_calculator(file):
    from nequip.integrations.ase import NequIPCalculator

    with process_as_it_is(torch.float64):
        return NequIPCalculator._from_saved_model(
            str(file), chemical_species_to_atom_type_map=True, neighborlist_backend="ase"
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("by_pair", [False, True])
def test_energies_forces_and_stress_are_those_of_its_calculator(folder, dtype, by_pair):
    path = save_checkpoint(folder / f"{dtype}-{by_pair}.ckpt", dtype, by_pair)
    own = own_calculator(path)
    same = 1e-9 if dtype == "float64" else 2e-5
    for ours, tolerance in (("float64", same), ("float32", 2e-5)):
        calculator = SymmetrizedCalculator(spec(path, dtype=ours))
        assert calculator.potential.reach == pytest.approx(9.0)
        for atoms in (salt(), silicon(), water()):
            found = values(atoms, calculator)
            with process_as_it_is(torch.float64):
                theirs = values(atoms, own)
            for one, other in zip(found, theirs, strict=False):
                np.testing.assert_allclose(one, other, atol=tolerance)
    assert calculator.potential.raw.dtype == torch.float32


def state_of_the_process():
    import e3nn

    dynamo = torch._dynamo.config
    fusion = torch.jit.set_fusion_strategy([("DYNAMIC", 1)])
    torch.jit.set_fusion_strategy(fusion)
    return {
        "dtype": torch.get_default_dtype(), "torch": torch.get_rng_state().tolist(),
        "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002
        "python": random.getstate(), "variables": dict(os.environ), "fusion": fusion,
        "e3nn": e3nn.get_optimization_defaults(),
        "dynamo": (dynamo.capture_scalar_outputs, dynamo.capture_dynamic_output_shape_ops),
        "sharing": torch.multiprocessing.get_sharing_strategy(),
        "precision": torch.backends.fp32_precision,
    }  # fmt: skip


def test_the_process_is_afterwards_as_it_was(file, package, monkeypatch):
    import e3nn
    import torch._dynamo.config

    from pet_flows.families.nequip import load

    monkeypatch.delenv("PYTORCH_JIT_USE_NNC_NOT_NVFUSER", raising=False)
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    e3nn.set_optimization_defaults(jit_mode="script")
    before = state_of_the_process()
    for path in (file, package):
        load(resolve(spec(path), trust=True), torch.device("cpu"))
        assert state_of_the_process() == before


def test_a_package_is_the_checkpoint_that_it_was_made_of(file, package):
    for dtype in ("float64", "float32"):
        ours = [SymmetrizedCalculator(spec(path, dtype=dtype)) for path in (file, package)]
        for atoms in (salt(), water()):
            for one, other in zip(*(values(atoms, each) for each in ours), strict=True):
                np.testing.assert_allclose(one, other, atol=1e-10 if dtype == "float64" else 2e-5)


def test_forces_and_stress_are_derivatives_of_the_energy(file):
    calculator = SymmetrizedCalculator(spec(file))
    atoms, step = salt(), 1e-4
    _, forces, stress = values(atoms, calculator)
    for atom, axis in ((0, 0), (1, 2), (3, 1)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            energies.append(values(moved, calculator)[0])
        slope = (energies[0] - energies[1]) / (2 * step)
        assert -slope == pytest.approx(forces[atom, axis], abs=1e-7)
    energies = []
    for sign in (1, -1):
        strain = np.eye(3)
        strain[0, 1] += sign * step
        strained = atoms.copy()
        strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        energies.append(values(strained, calculator)[0])
    slope = (energies[0] - energies[1]) / (2 * step) / atoms.get_volume()
    assert slope == pytest.approx(stress[5], abs=1e-9)


def test_batches_and_lone_atoms(file):
    potential = get_potential(spec(file))
    lone = bulk("Na", "sc", a=9.0)
    systems = [System.of(a, potential.bind(a)) for a in (salt(), lone, water(), salt())]
    together = potential.evaluator.evaluate(systems)
    for system, one in zip(systems, together, strict=True):
        alone = potential.evaluator.evaluate([system])[0]
        assert one.energy == pytest.approx(alone.energy, abs=1e-10)
        np.testing.assert_allclose(one.forces, alone.forces, atol=1e-10)
    assert together[1].energy == pytest.approx(-200.0, abs=1e-6)
    np.testing.assert_allclose(together[1].stress, 0.0, atol=1e-12)


def test_energies_by_atom_serve_ecse(file):
    plain = values(silicon(), SymmetrizedCalculator(spec(file)))
    for symmetrization in ("ecse", "crystal"):
        ours = SymmetrizedCalculator(spec(file, symmetrization=symmetrization))
        for one, other in zip(values(silicon(), ours), plain, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_one_that_was_made_in_float32_is_invariant_to_round_off_in_float64(folder, sign):
    """With the float32 coefficients that it holds, forces change by 5e-12 of the largest."""
    # with two layers there are no coefficients but of scalars
    path = save_checkpoint(folder / "single.ckpt", "float32", layers=4, scale=1.5)
    _, change, largest = changes(salt(), SymmetrizedCalculator(spec(path)), sign)
    assert largest > 1.0
    assert change < 1e-13 * largest


def test_it_is_invariant_and_it_is_screened(package):
    found = audit(SymmetrizedCalculator(spec(package)), salt(), n_rotations=2)
    assert found.errors["rotation"].energy < 1e-9
    assert found.conservation < 1e-6
    store = open_job_store()
    given = make_input(AseAtomsAdaptor.get_structure(bulk("NaCl", "rocksalt", a=5.6)),
                       make_source(material_id="salt"))  # fmt: skip
    maker = ScreenMaker(
        potential=spec(package),
        properties={"relax": {"relax_cell": False}, "static": {}, "phonon": {"min_length": 12}},
    )
    run_locally(maker.make([given]), store=store, log=False, ensure_success=True)
    records = {r["property"]: r for r in ResultStore.from_job_store(store).query({})}
    store.close()
    assert set(records) == {"relax", "static", "phonon"}
    assert all(r["state"] in ("ok", "unconverged") for r in records.values()), records
    potential = records["static"]["potential"]
    assert (potential["name"], potential["symmetrization"]) == ("rough", "none")
    assert potential["model"] == f"nequip:{package}"
    assert "nequip" in records["static"]["provenance"]["versions"]


def test_what_it_cannot_do_is_said(file, tmp_path):
    with pytest.raises(PetFlowsError, match="--trust"):
        resolve(f"nequip:{file}")
    with pytest.raises(PetFlowsError, match="no variants"):
        get_potential(spec(file, variant="pbe"))
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(
        PetFlowsError, match=r"damaged\.ckpt cannot be used by the installed nequip"
    ):
        get_potential(spec(damaged))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("there.is.none.ckpt", r"no NequIP model at there\.is\.none\.ckpt: check the path"),
        ("model.nequip.pt2", r"model\.nequip\.pt2 is compiled.*give the checkpoint \(\.ckpt\) or"),
        ("model.nequip.pth", "is compiled"),
        ("model.pt", "is neither a checkpoint of NequIP"),
    ],
)
def test_what_is_no_file_of_it(name, sentence, monkeypatch):
    monkeypatch.setattr("pet_flows.models.family.find_spec", lambda name: True)
    with pytest.raises(PetFlowsError, match=sentence):
        resolve(f"nequip:{name}")
