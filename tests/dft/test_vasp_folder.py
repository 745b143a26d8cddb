"""Folders of VASP calculations: a recorded run, whole and as its vasprun.xml alone."""

from __future__ import annotations

import gzip
import os
import re

import numpy as np
import pytest

from pet_flows.cli import main
from pet_flows.dft.importers.importing import import_references
from pet_flows.dft.importers.kinds import kind_of
from pet_flows.dft.importers.options import Options
from pet_flows.errors import PetFlowsError
from pet_flows.store.results import ResultStore
from tests.dft.jobs import RECORDED, vasp_folder


@pytest.fixture
def store():
    with ResultStore.open() as opened:
        yield opened


@pytest.fixture
def folder(tmp_path):
    """A calculation as it lies on a disk."""
    vasp_folder(tmp_path / "runs" / "si")
    return tmp_path / "runs" / "si"


@pytest.fixture
def recorded(tmp_path):
    return vasp_folder(tmp_path / "recorded")


def the_one(store):
    (found,) = store.references.find()
    return found


@pytest.mark.parametrize("whole", [True, False], ids=["with OUTCAR", "vasprun.xml alone"])
def test_a_recorded_run_is_a_static_reference(store, folder, recorded, whole):
    if not whole:
        (folder / "OUTCAR").unlink()
    assert kind_of(str(folder.parent)) == "vasp"
    assert str(import_references(store, str(folder.parent))) == "1 new, 0 changed, 0 the same"
    found = the_one(store)
    assert found["property"] == "static"
    assert found["formula_pretty"] == "Si"
    assert found["nsites_primitive"] == 64  # displaced: nothing repeats in it
    result, last = found["result"], recorded.ionic_steps[-1]
    assert result["energy_per_atom"] == pytest.approx(recorded.final_energy / 64, abs=1e-12)
    assert result["max_force"] == pytest.approx(np.linalg.norm(last["forces"], axis=1).max())
    # VASP's kbar count compression as positive
    assert np.array(result["stress"]) == pytest.approx(-0.1 * np.array(last["stress"]))
    assert result["pressure"] == pytest.approx(0.1 * np.trace(last["stress"]) / 3)
    level = found["level"]
    assert level["functional"] == "PBE"  # the run type is GGA, the POTCAR PBE's
    assert level["pseudopotentials"] == {"Si": "PAW_PBE Si 05Jan2001"}
    assert (level["code"], level["cutoff"], level["spin"], level["u"]) == ("VASP", 300, False, {})
    assert found["entry"]["energy"] == pytest.approx(recorded.final_energy)
    assert found["entry"]["parameters"]["run_type"] == "GGA"


def test_what_has_not_changed_is_not_read_again(store, folder, monkeypatch):
    import_references(store, str(folder))
    before = the_one(store)
    from pet_flows.dft.importers import vasp_folder

    def refuse(*_):
        raise AssertionError("it was read again")

    with monkeypatch.context() as patch:
        patch.setattr(vasp_folder, "_read", refuse)
        assert import_references(store, str(folder)).same == 1
        # under other options it is read, and here refused
        assert import_references(store, str(folder), options=Options(doi="10.1/x")).problems
    assert import_references(store, str(folder), again=True).same == 1
    assert the_one(store) == before
    file = folder / "vasprun.xml.gz"
    later = file.stat().st_mtime + 5
    os.utime(file, (later, later))
    assert import_references(store, str(folder)).changed == 1


def test_what_the_user_says_of_the_level_counts(store, folder):
    options = Options(level={"functional": "PBEsol", "spin": True}, material_id="mp-ft")
    import_references(store, str(folder), options=options)
    found = the_one(store)
    assert (found["level"]["functional"], found["level"]["spin"]) == ("PBEsol", True)
    assert found["level"]["cutoff"] == 300
    assert found["material_ids"] == ["mp-ft"]
    assert import_references(store, str(folder), options=options).same == 1
    # read with its own level, it takes the place of the first
    assert import_references(store, str(folder), options=Options(doi="10.1/x")).changed == 1
    assert the_one(store)["level"]["functional"] == "PBE"


def test_a_damaged_run_is_a_problem_and_stops_no_other(store, folder):
    (cut := folder.parent / "cut").mkdir()
    text = gzip.decompress(RECORDED.read_bytes())
    (cut / "vasprun.xml").write_bytes(text[: len(text) // 2])
    found = import_references(store, str(folder.parent))
    assert (found.new, len(found.problems)) == (1, 1)
    assert found.problems[0].name == str(cut / "vasprun.xml")
    assert "damaged" in found.problems[0].reason


def test_a_run_that_did_not_converge_is_a_problem(store, tmp_path):
    text = gzip.decompress(RECORDED.read_bytes()).decode()
    steps = text.count("</scstep>")
    nelm = '<i type="int" name="NELM">'
    assert nelm in text
    start = text.index(nelm) + len(nelm)
    end = text.index("<", start)
    (tmp_path / "vasprun.xml").write_text(f"{text[:start]}{steps:6d}{text[end:]}")
    found = import_references(store, str(tmp_path / "vasprun.xml"))
    assert found.total == len(found.problems) == 1
    assert "VASP did not end successfully (state failed)" in found.problems[0].reason


def test_the_command_adds_lists_and_removes(folder, capsys):
    main_ends(["reference", "add", str(folder), "--material-id", "mp-149"])
    assert "1 new, 0 changed, 0 the same" in capsys.readouterr().out
    main_ends(["reference", "list", "mp-ft"])
    printed = capsys.readouterr().out
    assert "mp-149" in printed
    assert "energy_per_atom -5.42" in printed
    assert "PBE, 300 eV" in printed
    key = re.search(r"\b[0-9a-f]{12}\b", printed)[0]
    main_ends(["reference", "list", key])
    assert "1 reference\n" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="There is no such reference"):
        main(["reference", "list", "Ge"])
    main_ends(["reference", "remove", "mp-149"])
    assert "Removed 1 reference." in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"--query '\{\}' for all"):
        main(["reference", "remove"])


def test_a_folder_of_two_kinds_says_so(folder, capsys):
    (folder / "phonopy.yaml").write_text("phonopy: {}\n")
    with pytest.raises(SystemExit):
        main(["reference", "add", str(folder.parent)])
    assert "also holds some of kind vasp: add it with --as vasp." in capsys.readouterr().err
    main_ends(["reference", "add", str(folder.parent), "--as", "vasp"])
    printed = capsys.readouterr()
    assert "1 new" in printed.out
    assert "also holds" not in printed.err


def main_ends(arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code in (None, 0)


def test_a_source_that_is_none_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="There is no file or folder 'nowhere'"):
        main(["reference", "add", "nowhere"])
    (tmp_path / "notes.md").write_text("nothing")
    with pytest.raises(PetFlowsError, match="is of no known kind"):
        kind_of(str(tmp_path / "notes.md"))
