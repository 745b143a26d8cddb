"""The command line as a person uses it: processes, exit codes, kills, both stores."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings

import pytest
from ase.build import bulk
from ase.io import write

from pet_flows.cli import main
from pet_flows.settings import get_settings
from pet_flows.store import leases
from pet_flows.store.results import ResultStore

PET_FLOWS = [sys.executable, "-m", "pet_flows.cli"]


@pytest.fixture(params=["embedded", "mongodb"])
def backend(request, tmp_path, monkeypatch):
    """The store that processes started by a test find configured."""
    if request.param == "mongodb":
        uri = request.getfixturevalue("mongodb_uri")
        database = request.getfixturevalue("mongodb_database")
        config = tmp_path / "jobflow.yaml"
        config.write_text(
            f"""JOB_STORE:
  docs_store: {{type: MongoURIStore, uri: "{uri}", database: {database}, collection_name: outputs}}
  additional_stores:
    data: {{type: MongoURIStore, uri: "{uri}", database: {database}, collection_name: data}}
"""
        )
        monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(config))
    get_settings.cache_clear()
    return request.param


def records():
    with ResultStore.open(read_only=True) as store:
        return {r["_id"]: r for r in store.query({})}


@pytest.fixture
def folder(tmp_path):
    """Ten good structures and five that cannot be computed."""
    place = tmp_path / "structures"
    place.mkdir()
    for n in range(5):
        write(place / f"cu{n}.cif", bulk("Cu", a=3.55 + 0.03 * n))
        write(place / f"si{n}.vasp", bulk("Si", a=5.35 + 0.03 * n))
    (place / "broken.cif").write_text("data_broken\n_cell_length_a 3.0\nloop_\n_atom_site\n")
    (place / "empty.cif").write_text("")
    write(place / "xenon.cif", bulk("Xe", "fcc", a=6.2))
    close = bulk("Si", cubic=True)
    close.positions[1] = close.positions[0] + [0.05, 0.0, 0.0]
    write(place / "overlap.vasp", close)
    (place / "partial.cif").write_text(PARTIAL)
    return place


PARTIAL = """data_partial
_cell_length_a 3.6
_cell_length_b 3.6
_cell_length_c 3.6
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Cu1 Cu 0 0 0 0.5
Ni1 Ni 0 0 0 0.5
"""


def test_folder_with_bad_files(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["screen", str(folder), "--properties", "relax", "--name", "mixed"]
    assert main_to_end(*words) == 3
    assert "10 ok, 5 failed" in capsys.readouterr().out
    main_to_end("query", "mixed", "--filter", '{"state": "failed"}', "--format", "json")
    listed = json.loads(capsys.readouterr().out)
    reasons = {os.path.basename(r["sources"][0]["path"]): r["reason"] for r in listed}
    assert reasons == {
        "broken.cif": reasons["broken.cif"],
        "empty.cif": "empty_file",
        "xenon.cif": "unknown_element",
        "overlap.vasp": "overlapping_atoms",
        "partial.cif": "partial_occupancy",
    }
    assert reasons["broken.cif"] in ("unreadable", "no_structure", "incomplete")
    assert all(r["message"] for r in listed)
    assert sum(r["state"] == "ok" for r in records().values()) == 10


@pytest.mark.slow
def test_killed_half_way_and_run_again(backend, capsys, monkeypatch):
    words = ["screen", "prototypes:Cu", "-p", "relax", "--batch-size", "1", "-n", "k"]
    process = subprocess.Popen(
        [*PET_FLOWS, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline and not (seen := _peek()):
            time.sleep(0.2)
        assert seen, "nothing was computed in 200 s"
        os.kill(process.pid, signal.SIGSTOP)  # it is still there, and holds what it holds
        if backend == "embedded":
            with pytest.raises(SystemExit, match=f"Error: .*{process.pid}"):
                main(words)
        main_to_end("query", "k")
        assert " record" in capsys.readouterr().out
        reported = records()
    finally:
        process.kill()
        process.wait()
    assert 0 < len(reported) < 5
    monkeypatch.setattr(leases, "DEAD", 1.0)  # what it held is free soon
    assert main_to_end(*words) == 0
    assert f"{5 - len(reported)} computed" in capsys.readouterr().out
    after = records()
    assert len(after) == 5
    for key, record in reported.items():
        assert after[key]["last_updated"] == record["last_updated"]
        assert after[key]["provenance"] == record["provenance"]


def _peek():
    try:
        return records()
    except Exception:  # the store is just being made
        return {}


def main_to_end(*words):
    """Run a command in this process; its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return ended.value.code or 0


def test_compare_and_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main_to_end("screen", "prototypes:Cu", "--properties", "relax,eos,static", "-n", "copper")
    again = main_to_end("screen", "prototypes:Cu", "-p", "relax,eos,static", "-n", "copper")
    assert "nothing computed" in capsys.readouterr().out
    assert again == 0
    main_to_end("compare", "copper")
    assert "Cu fcc" in capsys.readouterr().out
    picture = tmp_path / "parity.png"
    main_to_end("compare", "copper", "--format", "json", "--picture", str(picture))
    (row,) = [r for r in json.loads(capsys.readouterr().out)["rows"] if r["prototype"] == "fcc"]
    assert row["in_training"] is True
    assert picture.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["scren"], "did you mean screen?"),
        (["screen"], "nothing to screen"),
        (["screen", "nowhere/"], "no 'nowhere/'"),
        (["screen", "prototypes:Si", "--model", "pet-nothing"], "No model is called"),
        (["screen", "prototypes:Si", "--symmetrize", "magic"], "no symmetrization 'magic'"),
        (
            ["screen", "prototypes:Si", "--properties", "relax,color"],
            "no property 'color'",
        ),
        (["query", "--filter", "{state: ok}"], "is not JSON"),
        (["query", "--filter", '{"_id": {"$oid": "zz"}}'], "impossible value"),
        (["audit", "--symmetrize", ""], "nothing to audit"),
        (["compare", "never"], "no result store"),
        (["submit", "prototypes:Si"], "jobflow.yaml"),
        (["worker"], "my_launchpad.yaml"),
        (["audit", "--symmetrize", "magic"], "no symmetrization 'magic'"),
    ],
)
def test_mistakes_end_in_one_sentence(words, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert isinstance(ended.value.code, str)  # printed to stderr, exit code 1
    assert ended.value.code.startswith("Error: ")
    assert "\n" not in ended.value.code
    assert sentence in ended.value.code
    # those of other packages are silenced for the command alone
    assert ("ignore", None, Warning, None, 0) not in warnings.filters


def test_help_imports_no_torch():
    code = (
        "import sys; from pet_flows.cli import main; main(['--help']); "
        "assert not {'torch', 'pymatgen', 'typer', 'jobflow'} & set(sys.modules)"
    )
    assert "screen" in subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout  # fmt: skip
    code = (
        "import sys; from pet_flows.cli import main\n"
        "try: main(['screen', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'pymatgen', 'jobflow'} & set(sys.modules)"
    )
    assert "--symmetrize" in subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout  # fmt: skip


def test_brackets_in_a_name_are_only_brackets(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    atoms = bulk("Cu", a=3.6)
    atoms.info["material_id"] = "[/weird] Cu[hex]"
    write("w.extxyz", atoms)
    main_to_end("screen", "w.extxyz", "-p", "static", "-n", "w")
    main_to_end("query", "w")
    assert "[hex]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "target"),
    [
        ({"temperature": 600}, {"temperature": 600.0}),
        ({"ensemble": "npt_langevin", "pressure": 5}, {"temperature": 300.0, "pressure": 5.0}),
    ],
)
def test_molecular_dynamics_as_asked_for(tmp_path, monkeypatch, settings, target):
    monkeypatch.chdir(tmp_path)
    words = [f"md.{key}={value}" for key, value in {**settings, "steps": 4}.items()]
    given = [word for text in words for word in ("--set", text)]
    with pytest.raises(SystemExit) as ended:
        main(
            ["screen", "prototypes:Cu", "-p", "md", "-n", "hot", "--set", "md.min_length=0", *given]
        )
    assert ended.value.code in (0, 3)
    (record,) = (r for r in records().values() if r["formula_pretty"] == "Cu" and
                 r["sources"][0]["material_id"] == "Cu-fcc")  # fmt: skip
    assert record["state"] == "ok"
    assert record["settings"]["steps"] == 4
    for name, value in target.items():
        assert record["result"][name]["target"] == value
