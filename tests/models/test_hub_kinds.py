"""Every kind of checkpoint that the upet hub has, with random weights and small."""

import gzip
import json
from pathlib import Path

import metatrain
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from jobflow import run_locally
from metatomic_ase import MetatomicCalculator
from pymatgen.io.ase import AseAtomsAdaptor

import pet_flows
from pet_flows.audit.audit import audit
from pet_flows.cli import main
from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.evaluation import System
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.memory import bytes_per_edge
from pet_flows.engines.metatomic import MetatomicRaw
from pet_flows.engines.pet import PETRaw
from pet_flows.engines.potential import Potential, get_potential
from pet_flows.engines.surroundings import graph_of
from pet_flows.errors import PetFlowsError, StructureError
from pet_flows.export.model import export_model
from pet_flows.flows import ScreenMaker
from pet_flows.inputs.structure import make_input, make_source
from pet_flows.models.resolve import resolve
from pet_flows.models.spec import PotentialSpec
from pet_flows.store.locate import open_job_store
from pet_flows.store.results import ResultStore
from pet_flows.symmetrization.crystal import inherited_by_supercell
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


def test_memory_of_a_call_is_known_beforehand(kind):
    """What autograd keeps of a call, against what is estimated of its atoms and neighbours."""
    potential = get_potential(kind[1])
    atoms = salt() * (2, 2, 2)
    system = System.of(atoms, potential.bind(atoms))
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        whole = potential.evaluator.evaluate([system])[0]
    graphs = graph_of(potential.raw.lists, atoms.numbers, atoms.positions, atoms.cell.array,
                      atoms.pbc)  # fmt: skip
    expected = bytes_per_edge(potential.raw) * len(atoms) * graphs.widths[0]
    assert 0.5 * sum(kept.values()) < expected < 6 * sum(kept.values())
    # one structure to a call fits, two do not; what comes out is the same
    tight = Evaluator(potential.raw, potential.evaluator.strategy, memory=1.2 * expected)
    for one in tight.evaluate([system] * 3):
        assert one.energy == pytest.approx(whole.energy, abs=1e-10)
        np.testing.assert_allclose(one.forces, whole.forces, atol=1e-10)
    tighter = Evaluator(potential.raw, potential.evaluator.strategy, memory=0.5 * expected)
    with pytest.raises(StructureError, match=r"One evaluation of 16 atoms takes about .* GB"):
        tighter.evaluate([system])


def test_its_phonons_are_those_of_its_forces(kind):
    """Force constants against differences of ASE's forces, on the general path."""
    resolved = kind[1].with_(symmetrization="crystal")
    potential = get_potential(resolved)
    primitive = bulk("NaCl", "rocksalt", a=5.6)
    result = pet_flows.phonon(primitive, potential, min_length=5.0, max_atoms=16, mesh=(2, 2, 2))
    assert result.state == "ok", result.message
    found = result.arrays["phonon"]
    supercell = Atoms(found["supercell_numbers"], positions=found["supercell_positions"],
                      cell=found["supercell_cell"], pbc=True)  # fmt: skip
    reference = potential.bind(primitive).as_dict()
    supercell.calc = SymmetrizedCalculator(
        Potential(resolved, potential.raw.general),
        inherited=inherited_by_supercell(reference, found["supercell_matrix"].T),
    )

    def forces(atom, displacement):
        moved = supercell.copy()
        moved.positions[atom] += displacement
        moved.calc = supercell.calc
        return moved.get_forces()

    atoms = found["displaced_atoms"]
    for atom, displacement, ours in zip(atoms, found["displacements"], found["forces"],
                                        strict=True):  # fmt: skip
        np.testing.assert_allclose(ours, forces(atom, displacement), atol=1e-8)
    step = np.array([0.005, 0.0, 0.0])
    slopes = (forces(atoms[0], -step) - forces(atoms[0], step)) / 0.01
    constants = found["force_constants"][0][:, 0]
    np.testing.assert_allclose(constants, slopes, atol=0.03 * abs(slopes).max())


#: those that metatrain itself is tested with, one for each version
OLD = {
    f"{place.parents[2].name} {place.name.partition('_')[0].partition('-')[2]}": place
    for kind in ("pet", "llpr")
    for place in sorted(
        (Path(metatrain.__file__).parent / kind).glob("tests/checkpoints/*.ckpt.gz")
    )
}


@pytest.mark.parametrize("version", sorted(OLD))
def test_every_version_of_a_checkpoint_is_on_the_fast_path(version, tmp_path):
    path = tmp_path / "old.ckpt"
    path.write_bytes(gzip.decompress(OLD[version].read_bytes()))
    spec = PotentialSpec(model=str(path), symmetrization="none", device="cpu")
    resolved = resolve(spec, trust=True)
    potential = get_potential(resolved)
    assert isinstance(potential.raw, MetatomicRaw if "conditioning" in version else PETRaw)
    rng = np.random.default_rng(0)
    kinds = rng.choice(sorted(potential.elements), 8)
    atoms = Atoms(kinds, positions=5 * rng.random((8, 3)), cell=5.3 * np.eye(3), pbc=True)
    for other in (Potential(resolved, potential.raw.general), None):
        ours, theirs = atoms.copy(), atoms.copy()
        ours.calc = SymmetrizedCalculator(potential)
        theirs.calc = (
            SymmetrizedCalculator(other) if other
            else MetatomicCalculator(potential.raw.general._model, device="cpu")
        )  # fmt: skip
        energy = theirs.get_potential_energy()
        assert ours.get_potential_energy() == pytest.approx(energy, abs=1e-8)
        np.testing.assert_allclose(ours.get_forces(), theirs.get_forces(), atol=1e-8)


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
