"""Every kind of checkpoint that the upet hub has, with random weights and small."""

import json

import numpy as np
import pytest
import torch
from ase.build import bulk
from jobflow import run_locally
from metatomic_ase import MetatomicCalculator
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.audit.audit import audit
from pet_flows.cli import main
from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.metatomic import MetatomicRaw
from pet_flows.engines.pet import PETRaw
from pet_flows.engines.potential import Potential, get_potential
from pet_flows.errors import PetFlowsError
from pet_flows.export.model import export_model
from pet_flows.flows import ScreenMaker
from pet_flows.inputs.structure import make_input, make_source
from pet_flows.models.resolve import resolve
from pet_flows.models.spec import PotentialSpec
from pet_flows.store.locate import open_job_store
from pet_flows.store.results import ResultStore
from tests.rough import build_pet, save_checkpoint

KINDS = {
    "plain": ({}, False),
    "wrapped": ({}, True),
    "zbl": ({"zbl": True}, True),
    "variants": ({"variants": ("pbesol", "r2scan")}, False),
    "non-conservative": ({"tensors": True}, False),
    "adaptive": ({"adaptive": 16}, False),
    "long range": ({"long_range": {"enable": True, "use_ewald": True}}, False),
    "conditioned": ({"system_conditioning": True}, False),
}
#: what the fast path leaves to the general one
GENERAL = {"adaptive", "long range", "conditioned"}


@pytest.fixture(scope="module", params=list(KINDS))
def kind(request, tmp_path_factory):
    """Its name, and the spec of a checkpoint in float64."""
    hypers, llpr = KINDS[request.param]
    if request.param == "long range":
        pytest.importorskip("torchpme")
    path = tmp_path_factory.mktemp("kinds") / "model.ckpt"
    module = build_pet(**hypers)
    if llpr:
        module = module.to(torch.float32)
    save_checkpoint(path, llpr=llpr, module=module)
    spec = PotentialSpec(model=str(path), symmetrization="none", device="cpu")
    return request.param, resolve(spec, trust=True)


def salt():
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + np.diag([0.03, 0.02], 1)), scale_atoms=True)
    atoms.rattle(0.05, seed=1)
    return atoms


def images():
    """The same crystal elsewhere in its cell."""
    for shift in (0.3, 0.7, 1.9):
        atoms = salt()
        atoms.positions += shift
        yield atoms


def values(calculator):
    atoms = salt()
    atoms.calc = calculator
    return atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()


def test_fast_and_general_path_and_metatomic_agree(kind):
    name, resolved = kind
    potential = get_potential(resolved)
    assert isinstance(potential.raw, MetatomicRaw if name in GENERAL else PETRaw)
    fast = values(SymmetrizedCalculator(potential))
    general = values(SymmetrizedCalculator(Potential(resolved, potential.raw.general)))
    if name == "long range":
        # metatrain reads distances in the order of atoms, which metatomic's calculator does not
        # keep: there the energy changes by 1 meV where atoms leave the cell, here by the error of
        # the mesh on which charges are
        energies = [SymmetrizedCalculator(potential).get_potential_energy(a) for a in images()]
        np.testing.assert_allclose(energies, fast[0], atol=1e-6)
        return
    theirs = values(MetatomicCalculator(potential.raw.general._model, device="cpu"))
    # metatrain's ZBL takes some powers in float32 outside of ours
    tolerance = 1e-7 if name == "zbl" else 1e-10
    for ours, other, own in zip(fast, general, theirs, strict=True):
        np.testing.assert_allclose(ours, other, atol=1e-10)
        np.testing.assert_allclose(ours, own, atol=tolerance)


def test_it_is_exact_once_symmetrized(kind):
    calculator = SymmetrizedCalculator(get_potential(kind[1]), symmetrization="grid:tetrahedral")
    found = audit(calculator, salt(), n_rotations=1)
    assert found.conservation < 1e-6
    exact = audit(
        SymmetrizedCalculator(get_potential(kind[1]), symmetrization="crystal:orientation"),
        salt(), n_rotations=1,
    )  # fmt: skip
    assert exact.errors["rotation"].energy < 1e-9
    assert exact.errors["rotation"].forces < 1e-8


def test_it_is_screened(kind):
    store = open_job_store()
    given = make_input(AseAtomsAdaptor.get_structure(salt()), make_source(material_id="salt"))
    maker = ScreenMaker(
        potential=kind[1].spec, symmetrization="crystal:orientation",
        properties={"relax": {"steps": 2}, "static": {}},
    )  # fmt: skip
    run_locally(maker.make([given]), store=store, log=False, ensure_success=True)
    records = list(ResultStore.from_job_store(store).query({}))
    store.close()
    assert records
    assert all(record["state"] in ("ok", "unconverged") for record in records), records[0][
        "message"
    ]
    static = [record for record in records if record["property"] == "static"]
    assumed = {"charge": 0, "spin_multiplicity": 1} if kind[0] == "conditioned" else None
    assert all(record["potential"]["assumed"] == assumed for record in records)
    wrapped = KINDS[kind[0]][1]
    assert all((record["uncertainty"] is not None) == wrapped for record in static)


def test_it_is_exported(kind, tmp_path):
    resolved = kind[1].with_(symmetrization="grid:tetrahedral")
    if kind[0] == "long range":
        with pytest.raises(PetFlowsError, match="in the order of atoms"):
            export_model(resolved, tmp_path / "exported.pt")
        return
    path = export_model(resolved, tmp_path / "exported.pt")
    with torch.jit.optimized_execution(False):
        theirs = values(MetatomicCalculator(path, device="cpu"))
    for ours, own in zip(values(SymmetrizedCalculator(resolved.spec)), theirs, strict=True):
        np.testing.assert_allclose(ours, own, atol=1e-7)


def test_variants_are_potentials_of_their_own(tmp_path):
    path = save_checkpoint(tmp_path / "several.ckpt", module=build_pet(variants=("pbesol",)))
    both = [
        resolve(PotentialSpec(model=str(path), variant=v, device="cpu"), trust=True)
        for v in (None, "pbesol")
    ]
    assert both[0].digest != both[1].digest
    assert both[1].functional == "PBEsol"
    energies = [values(SymmetrizedCalculator(one.spec))[0] for one in both]
    assert abs(energies[0] - energies[1]) > 1e-6
    general = get_potential(both[1]).raw.general
    alone = values(SymmetrizedCalculator(Potential(both[1], general)))[0]
    assert alone == pytest.approx(energies[1], abs=1e-10)
    theirs = MetatomicCalculator(general._model, variants={"energy": "pbesol"}, device="cpu")
    plain = values(SymmetrizedCalculator(both[1].with_(symmetrization="none").spec))
    assert plain[0] == pytest.approx(values(theirs)[0], abs=1e-9)
    with pytest.raises(PetFlowsError, match=r"has the variants pbesol \(got pbe\): choose one"):
        get_potential(PotentialSpec(model=str(path), variant="pbe", sha256=both[0].spec.sha256))
    with pytest.raises(PetFlowsError, match=r"no variants \(got pbe\): leave --variant out"):
        get_potential(PotentialSpec(model="pet-mvl", variant="pbe"))


def test_audit_of_a_variant_by_the_command_line(tmp_path, capsys):
    path = save_checkpoint(tmp_path / "several.ckpt", module=build_pet(variants=("pbesol",)))
    file = tmp_path / "salt.vasp"
    salt().write(file, format="vasp")
    arguments = ["audit", "--model", str(path), "--variant", "pbesol", "--trust"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--symmetrize", "none", "--structures", str(file), "--format", "json"])
    assert ended.value.code == 0
    (row,) = json.loads(capsys.readouterr().out)["none"].values()
    assert row["errors"]["rotation"]["energy"] > 1e-6
