"""Exported files against the in-process potential, in a process where pet_flows cannot be had."""

import json
import subprocess
import sys
import weakref
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.io import write
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelOutput, System, read_model_metadata
from metatomic_ase import MetatomicCalculator

from pet_flows.cli import main
from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.evaluation import System as OurSystem
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.export import export_model, symmetrized_model
from pet_flows.engines.export_frames import GridFrames
from pet_flows.engines.export_module import SymmetrizedModule
from pet_flows.engines.pet import PETRaw
from pet_flows.engines.potential import get_potential
from pet_flows.errors import PetFlowsError
from pet_flows.models.catalogue import sha256_of
from pet_flows.models.spec import PotentialSpec
from pet_flows.symmetry.crystal import carried_for_supercell
from pet_flows.symmetry.lattice import CrystalReference
from pet_flows.symmetry.parse import parse_strategy
from tests.rough import rough_model, save_checkpoint
from tests.symmetry.systems import molecules, orthogonal, sheared, turned

# runs with pet_flows locked out; the calculators are those of metatomic
OUTSIDER = """
import json, sys
class Lock:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pet_flows", "tests"):
            raise ImportError(name)
sys.meta_path.insert(0, Lock())
import numpy as np, torch, torch_sim
from ase.io import read
from metatomic_ase import MetatomicCalculator
from metatomic_torchsim import MetatomicModel
out = {}
for file, structures, optimized in json.loads(sys.argv[1]):
    atoms = [read(name) for name in structures]
    with torch.jit.optimized_execution(optimized):
        for n, a in enumerate(atoms):
            # TorchScript compiles anew in its second call
            for _ in range(2 if optimized else 1):
                a.calc = MetatomicCalculator(file, check_consistency=True)
                out[f"{file} ase {n}"] = {
                    "energy": a.get_potential_energy(), "forces": a.get_forces().tolist(),
                    "energies": a.get_potential_energies().tolist(),
                    **({"stress": a.get_stress(voigt=False).tolist()} if a.pbc.all() else {}),
                }
        model = MetatomicModel(file, device="cpu")
        state = torch_sim.io.atoms_to_state(atoms, torch.device("cpu"), model.dtype)
        found = model(state)
        parts = found["forces"].split([len(a) for a in atoms])
        for n, a in enumerate(atoms):
            out[f"{file} torchsim {n}"] = {
                "energy": float(found["energy"][n]), "forces": parts[n].tolist(),
                **({"stress": found["stress"][n].tolist()} if a.pbc.all() else {}),
            }
assert not any(name.split(".")[0] == "pet_flows" for name in sys.modules)
print("RESULT" + json.dumps(out))
"""


@pytest.fixture(autouse=True)
def interpreted():
    # compiling takes longer than all that is evaluated here
    with torch.jit.optimized_execution(False):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("export")


def crystal_cells():
    """Strained cells that are multiples P of silicon's: name → atoms, P; a file finds P itself."""
    skewed = bulk("Si") * (1, 1, 2)
    skewed.set_cell(np.array([[1, 0, 0], [1, 1, 0], [-1, 0, 1]]) @ skewed.cell.array)
    permuted = bulk("Si", cubic=True) * (2, 1, 1)
    permuted.set_cell(permuted.cell.array[[1, 2, 0]] * [[1], [-1], [1]])
    vacancy = bulk("Si", cubic=True) * (2, 1, 1)
    del vacancy[3]
    cells = {
        "conventional": bulk("Si", cubic=True),  # not that of the reference
        "2×1×1": bulk("Si") * (2, 1, 1),
        "skewed": skewed,
        "permuted": permuted,
        "vacancy": vacancy,
    }
    found = {}
    for n, (name, atoms) in enumerate(cells.items()):
        multiple = atoms.cell.array @ np.linalg.inv(bulk("Si").cell.array)
        strained = sheared(atoms, seed=n)
        # where atoms are missing, the volume tells how many cells there are
        ratio = (atoms.get_volume() / strained.get_volume()) ** (1 / 3)
        strained.set_cell(strained.cell.array * ratio, True)
        found[name] = strained, multiple
    return found


def test_files_need_no_pet_flows(folder):
    checkpoint = save_checkpoint(folder / "rough.ckpt")
    exported = folder / "rough.pt"
    rough_model(zbl=True).save(str(exported))
    atoms = [*(a for a, _ in list(crystal_cells().values())[:2]), molecule("H2O")]
    multiples = [multiple for _, multiple in list(crystal_cells().values())[:2]]
    names = [str(folder / f"{n}.json") for n in range(3)]  # keeps every digit
    for name, a in zip(names, atoms, strict=True):
        write(name, a)
    crystals, molecular = names[:2], names[2:]
    cases = [
        (checkpoint, "grid:tetrahedral", "float64", crystals[:1], True),
        (exported, "grid:tetrahedral", "float32", crystals, False),
        (checkpoint, "crystal", "float64", crystals, False),
        (exported, "ecse", "float64", molecular, False),
    ]
    work, specs = [], {}
    for n, (model, strategy, dtype, structures, optimized) in enumerate(cases):
        spec = PotentialSpec(
            model=str(model), sha256=sha256_of(model), symmetrization=strategy, dtype=dtype,
            device="cpu",
        )  # fmt: skip
        # 20 atoms at a time: many chunks, one of copies of both structures
        file = str(export_model(spec, folder / f"{n}.pt", bulk("Si"), chunk_atoms=20))
        metadata = read_model_metadata(file)
        assert metadata.extra["symmetrization"] == strategy
        assert metadata.extra["weights_sha256"] == spec.sha256
        assert "First derivatives only" in metadata.description
        work.append((file, structures, optimized))
        specs[file] = (spec, structures)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OUTSIDER, json.dumps(work)],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.split("RESULT")[1])
    for file, (spec, structures) in specs.items():
        tolerance = 1e-10 if spec.dtype == "float64" else 2e-4
        potential = get_potential(spec)
        carried = potential.bind(bulk("Si")).as_dict()
        if carried:
            reference = CrystalReference.from_dict(carried["reference"])
            stored = read_model_metadata(file).extra["crystal_reference_digest"]
            assert stored == reference.digest
        for n, name in enumerate(structures):
            ours = atoms[int(Path(name).stem)].copy()
            own = carried_for_supercell(carried, multiples[n]) if carried else None
            ours.calc = SymmetrizedCalculator(potential, carried=own)
            for engine in ("ase", "torchsim"):
                theirs = found[f"{file} {engine} {n}"]
                assert theirs["energy"] == pytest.approx(
                    ours.get_potential_energy(), rel=1e-7, abs=tolerance
                )
                np.testing.assert_allclose(theirs["forces"], ours.get_forces(), atol=tolerance)
                if "stress" in theirs:
                    stress = ours.get_stress(voigt=False)
                    np.testing.assert_allclose(theirs["stress"], stress, atol=tolerance)
                if "energies" in theirs:
                    each = ours.get_potential_energies()
                    np.testing.assert_allclose(theirs["energies"], each, rtol=1e-6, atol=tolerance)


@lru_cache(maxsize=1)
def silicon_model():
    return symmetrized_model(rough_model(), parse_strategy("crystal"), bulk("Si"))


@pytest.mark.parametrize("name", crystal_cells())
def test_crystal_finds_the_setting(name):
    atoms, multiple = crystal_cells()[name]
    model = silicon_model()
    assert model.capabilities().interaction_range == np.inf
    carried = carried_for_supercell(parse_strategy("crystal").bind(bulk("Si")).as_dict(), multiple)
    expected = in_process("crystal", atoms, carried)
    for seed in (0, 1):  # proper and improper
        q = orthogonal(seed)
        b = turned(atoms, q)
        b.calc = MetatomicCalculator(model)
        assert b.get_potential_energy() == pytest.approx(expected.energy, abs=1e-10)
        np.testing.assert_allclose(b.get_forces() @ q.T, expected.forces, atol=1e-10)
        stress = q @ b.get_stress(voigt=False) @ q.T
        np.testing.assert_allclose(stress, expected.stress, atol=1e-10)


def test_crystal_with_a_group():
    strategy = parse_strategy("crystal:tetrahedral")
    atoms = sheared(bulk("Si"))
    expected = in_process(strategy.spec, atoms, strategy.bind(bulk("Si")).as_dict())
    atoms.calc = MetatomicCalculator(symmetrized_model(rough_model(), strategy, bulk("Si")))
    assert atoms.get_potential_energy() == pytest.approx(expected.energy, abs=1e-10)
    np.testing.assert_allclose(atoms.get_forces(), expected.forces, atol=1e-10)
    np.testing.assert_allclose(atoms.get_stress(voigt=False), expected.stress, atol=1e-10)


def test_crystal_orientation_keeps_the_cell_it_was_exported_for():
    strategy = parse_strategy("crystal:orientation")
    parent = bulk("Si", cubic=True)
    model = symmetrized_model(rough_model(), strategy, parent)
    atoms = sheared(parent * (1, 2, 1))
    carried = carried_for_supercell(strategy.bind(parent).as_dict(), np.diag([1, 2, 1]))
    expected = in_process("crystal:orientation", atoms, carried)
    atoms.calc = MetatomicCalculator(model)
    assert atoms.get_potential_energy() == pytest.approx(expected.energy, abs=1e-10)
    np.testing.assert_allclose(atoms.get_forces(), expected.forces, atol=1e-10)
    np.testing.assert_allclose(atoms.get_stress(voigt=False), expected.stress, atol=1e-10)
    other = bulk("Si")
    other.calc = MetatomicCalculator(model)
    with pytest.raises(torch.jit.Error, match="integer multiple of the very cell"):
        other.get_potential_energy()


def test_crystal_refuses_other_cells():
    model = silicon_model()
    for atoms, sentence in (
        (bulk("Si", "hcp", a=3.8, c=6.2), "does not match the crystal reference"),
        (bulk("Si", "sc", a=2.5) * (2, 1, 1), "does not match the crystal reference"),
        (molecule("SiH4"), "three independent periodic"),
    ):
        atoms.calc = MetatomicCalculator(model)
        with pytest.raises(torch.jit.Error, match=sentence):
            atoms.get_potential_energy()


CHEAP = {
    "ecse:atom": ("dimer", "linear", "slab"),
    "ecse:structure": ("water", "linear", "slab"),
    "ecse:tetrahedral": ("water", "dimer"),
}


@pytest.mark.parametrize("spec", ["ecse", "ecse:atom", "ecse:structure", "ecse:tetrahedral"])
def test_ecse_equals_the_strategy(spec):
    model = symmetrized_model(rough_model(), parse_strategy(spec), chunk_atoms=300)
    for name in ("water", "dimer", "linear", "bent0.5", "tail", "slab", "melt"):
        if spec != "ecse" and name not in CHEAP[spec]:
            continue
        atoms = molecules()[name]
        expected = in_process(spec, atoms)
        atoms.calc = MetatomicCalculator(model)
        assert atoms.get_potential_energy() == pytest.approx(expected.energy, abs=1e-10), name
        np.testing.assert_allclose(atoms.get_forces(), expected.forces, atol=1e-10, err_msg=name)
        each = atoms.get_potential_energies()
        np.testing.assert_allclose(each, expected.energies, atol=1e-10, err_msg=name)
        if expected.stress is not None:
            stress = atoms.get_stress(voigt=False)
            np.testing.assert_allclose(stress, expected.stress, atol=1e-10)


def test_single_atom_is_left_alone():
    atoms = molecules()["atom"]
    plain = atoms.copy()
    plain.calc = MetatomicCalculator(rough_model())
    atoms.calc = MetatomicCalculator(symmetrized_model(rough_model(), parse_strategy("ecse")))
    assert atoms.get_potential_energy() == pytest.approx(plain.get_potential_energy(), abs=1e-12)
    assert np.abs(atoms.get_forces()).max() == 0


def test_ranges_and_neighbour_lists():
    def of(spec):
        return symmetrized_model(rough_model(n_layers=1), parse_strategy(spec))

    local = of("ecse")

    plain = rough_model(n_layers=1).capabilities().interaction_range
    assert of("grid:octahedral").capabilities().interaction_range == plain
    assert local.capabilities().interaction_range == 2 * plain
    assert of("ecse:structure").capabilities().interaction_range == np.inf
    assert [o.cutoff for o in local.requested_neighbor_lists()] == [4.5]


class Token:
    """Something whose death can be seen."""


class Held(torch.autograd.Function):
    """Nothing but a token in the graph."""

    @staticmethod
    def forward(ctx, values, token):
        ctx.token = token
        return values.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad, None


class Recorder(torch.nn.Module):
    """Counts atoms per call, and graphs of earlier calls that are still alive."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.atoms, self.alive, self.kept = [], [], []

    def forward(self, systems, outputs, selected_atoms=None):
        self.alive.append(sum(ref() is not None for ref in self.kept))
        self.atoms.append(sum(len(s) for s in systems))
        result = self.inner(systems, outputs, selected_atoms)
        block = result["energy"].block()
        token = Token()
        self.kept.append(weakref.ref(token))
        values = Held.apply(block.values, token)
        block = TensorBlock(values, block.samples, block.components, block.properties)
        return {"energy": TensorMap(result["energy"].keys, [block])}


def eager(spec, chunk):
    recorder = Recorder(rough_model().module)
    plan = parse_strategy(spec).bind(bulk("Si")).plan(torch.zeros(2, 3), torch.zeros(3, 3))
    lists = rough_model().requested_neighbor_lists()
    frames = GridFrames(plan.rotations, plan.weights[:, 0])
    module = SymmetrizedModule(recorder, frames, "energy", "eV", lists, (chunk, chunk))
    return module.eval(), recorder


def metatomic_system(atoms, lists):
    from vesin.metatomic import NeighborList

    positions = torch.tensor(atoms.positions, requires_grad=True)
    system = System(
        torch.tensor(atoms.numbers, dtype=torch.int32), positions,
        torch.tensor(atoms.cell.array), torch.tensor(atoms.pbc),
    )  # fmt: skip
    for options in lists:
        calculator = NeighborList(options, "angstrom", check_consistency=False)
        system.add_neighbor_list(options, calculator.compute(system))
    return system


def test_memory_does_not_grow_with_rotations():
    atoms = sheared(bulk("Si", cubic=True))
    for spec, copies in (("grid:tetrahedral", 12), ("grid:octahedral:inversion", 48)):
        module, recorder = eager(spec, 20)
        system = metatomic_system(atoms, module.requested_neighbor_lists())
        energy = module([system], {"energy": ModelOutput(sample_kind="system")})["energy"]
        assert recorder.atoms == [16] * (copies // 2)
        assert max(recorder.alive) == 0
        energy.block().values.sum().backward()
        expected = in_process(spec, atoms)
        np.testing.assert_allclose(system.positions.grad, -expected.forces, atol=1e-10)


def test_selected_atoms():
    atoms = sheared(bulk("Si", cubic=True))
    module, _ = eager("grid:tetrahedral", 1000)
    chosen = Labels(["system", "atom"], torch.tensor([[0, 1], [0, 5]], dtype=torch.int32))
    each = in_process("grid:tetrahedral", atoms).energies
    for kind in ("atom", "system"):
        system = metatomic_system(atoms, module.requested_neighbor_lists())
        block = module([system], {"energy": ModelOutput(sample_kind=kind)}, chosen)["energy"]
        values = block.block().values
        wanted = each[[1, 5]] if kind == "atom" else [each[[1, 5]].sum()]
        np.testing.assert_allclose(values.detach()[:, 0], wanted, atol=1e-10)
        values.sum().backward()
        step, h = np.zeros_like(atoms.positions), 1e-4
        step[2, 0] = h
        shifted = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions += sign * step
            shifted.append(in_process("grid:tetrahedral", moved).energies[[1, 5]].sum())
        slope = (shifted[0] - shifted[1]) / (2 * h)
        assert float(system.positions.grad[2, 0]) == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_command(folder, capsys):
    checkpoint = str(save_checkpoint(folder / "command.ckpt"))
    write(folder / "Si.cif", bulk("Si"))
    target = str(folder / "command.pt")
    words = ["export", checkpoint, "--trust", "--symmetrize"]
    with pytest.raises(SystemExit) as done:
        main([*words, "crystal", "-o", target, "--reference", str(folder / "Si.cif")])
    assert not done.value.code
    assert "crystal, float64" in capsys.readouterr().out
    assert Path(target).is_file()
    for more, sentence in (
        (["crystal", "-o", target], "exported for one crystal"),
        (["grid:icosahedral", "-o", str(folder / "model.pth")], r"write to .*model\.pt"),
        (["grid:icosahedral", "-o", str(folder / "no" / "model.pt")], "There is no folder"),
        (["cubic", "-o", target], "There is no symmetrization 'cubic'"),
        (["none", "-o", target, "--dtype", "float16"], "--dtype is float32 or float64"),
    ):
        with pytest.raises(SystemExit, match=sentence):
            main([*words, *more])


def test_model_without_energies_by_atom_is_refused():
    class Whole:
        requested_inputs = staticmethod(lambda use_new_names: {})

        def capabilities(self):
            class Capabilities:
                outputs = {"energy": ModelOutput(sample_kind="system")}  # noqa: RUF012

            return Capabilities()

        module = None

    with pytest.raises(PetFlowsError, match="no per-atom energies"):
        symmetrized_model(Whole(), parse_strategy("none"))


def in_process(spec, atoms, carried=None):
    """Evaluation by the in-process evaluator."""
    raw = PETRaw(rough_model())
    strategy = parse_strategy(spec).configure(raw.cutoff, raw.n_layers)
    bound = strategy.bind(atoms, carried)
    return Evaluator(raw, strategy).evaluate([OurSystem.of(atoms, bound)])[0]
