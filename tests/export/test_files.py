"""Exported files against the in-process potential, in a process where pet_flows cannot be had."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.io import write
from metatomic.torch import ModelOutput, read_model_metadata

from pet_flows.cli import main
from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.potential import get_potential
from pet_flows.errors import PetFlowsError
from pet_flows.export.model import export_model, symmetrized_model
from pet_flows.models.catalogue import sha256_of
from pet_flows.models.spec import PotentialSpec
from pet_flows.symmetrization.crystal import inherited_by_supercell
from pet_flows.symmetrization.reference import CrystalReference
from pet_flows.symmetrization.strategies import parse_strategy
from tests.export.exported import crystal_cells
from tests.rough import rough_model, save_checkpoint

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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("export")


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
        inherited = potential.bind(bulk("Si")).as_dict()
        if inherited:
            reference = CrystalReference.from_dict(inherited["reference"])
            stored = read_model_metadata(file).extra["crystal_reference_digest"]
            assert stored == reference.digest
        for n, name in enumerate(structures):
            ours = atoms[int(Path(name).stem)].copy()
            own = inherited_by_supercell(inherited, multiples[n]) if inherited else None
            ours.calc = SymmetrizedCalculator(potential, inherited=own)
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
        (
            ["none", "-o", target, "--dtype", "float16"],
            "--dtype must be float32 or float64 .got 'float16'",
        ),
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
