"""Sources that are empty, cut off or broken: one sentence each, and the others are read."""

import gzip
import json

import pytest
from ase.db import connect

from pet_flows.cli import main
from pet_flows.dft.importers.importing import import_references
from pet_flows.dft.importers.options import Options
from pet_flows.errors import PetFlowsError
from pet_flows.store.results import ResultStore

PBE = Options(level={"functional": "PBE"})
CUT_OFF = gzip.compress(b'{"a": "%s"}' % bytes(range(35, 90)), mtime=0)[:-20]
GOOD = "element,prototype,b0\nSi,Diamond,88\n"


def said_of(path, kind=None) -> str:
    with ResultStore.open() as store, pytest.raises(PetFlowsError) as error:
        import_references(store, str(path), kind, PBE)
    assert str(error.value).startswith(str(path))
    assert len(str(error.value)) < 400
    return str(error.value).removeprefix(f"{path} ")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", b"", "is empty: restore it, or name another."),
        ("a.dat", b"", "is empty"),
        ("a.csv", b"", "is empty"),
        ("a.json", b'{"a": ', "cannot be read (line 1: Expecting value)"),
        ("a.json", b"[]", "holds nothing: name another file."),
        ("a.json", b"null", "holds nothing"),
        ("a.json", b"[1, 2]", "holds '[1, 2]' instead of documents"),
        ("a.json.gz", CUT_OFF, "(it was cut off)"),
        ("a.extxyz", b"", "holds nothing that a reference could be made of"),
        ("a.csv", b"\x89PNG\x01\x02,b\nx,y\n", "holds binary data instead of a table"),
        ("a.csv", b"element,prototype,b0\n", "holds nothing that a reference could be made of"),
        ("a.csv", b"element,b0,b0\nSi,3,4\n", "has two columns 'b0': rename one of them."),
    ],
)  # fmt: skip
def test_a_file_that_gives_nothing(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    assert said in said_of(tmp_path / name)


def test_a_cut_off_file_of_documents(tmp_path):
    documents = [{"property_name": "thermo", "n": n} for n in range(3000)]
    whole = gzip.compress(json.dumps(documents).encode())
    (tmp_path / "a.json.gz").write_bytes(whole[: len(whole) // 2])
    assert said_of(tmp_path / "a.json.gz").startswith("cannot be read as JSON (it was cut off)")


def test_folders_and_databases_of_nothing(tmp_path):
    (tmp_path / "folder").mkdir()
    assert said_of(tmp_path / "folder") == "is an empty folder: name another."
    with connect(tmp_path / "a.db") as database:
        assert len(database) == 0
    assert "holds nothing that a reference could be made of" in said_of(tmp_path / "a.db")


def test_many_columns_are_not_all_named(tmp_path):
    (tmp_path / "a.csv").write_text(",".join(f"column{n}" for n in range(5000)) + "\n")
    with ResultStore.open() as store, pytest.raises(PetFlowsError, match="and 4988 more"):
        import_references(store, str(tmp_path / "a.csv"), options=PBE)


def test_decimal_commas(tmp_path):
    (tmp_path / "a.csv").write_text("element;prototype;b0\nSi;diamond;88,5\nCu;FCC;140.5\n")
    (tmp_path / "b.csv").write_text("element,prototype,b0\nSi,diamond,88,5\n")
    with ResultStore.open() as store:
        found = import_references(store, str(tmp_path / "a.csv"), options=PBE)
        assert found.new == 1
        (problem,) = found.problems
        assert problem.reason == "Its b0 is written with a decimal comma ('88,5'): write 88.5."
        (problem,) = import_references(store, str(tmp_path / "b.csv"), options=PBE).problems
        assert "(are there decimal commas?): correct it." in problem.reason


def test_one_bad_source_stops_no_other(tmp_path, capsys):
    (tmp_path / "none.csv").write_text("element,prototype,b0\n")
    (tmp_path / "good.csv").write_text(GOOD)
    names = [str(tmp_path / name) for name in ("none.csv", "good.csv")]
    with pytest.raises(SystemExit) as ended:
        main(["reference", "add", *names, "--level", "functional=PBE"])
    assert ended.value.code == 1
    printed, said = capsys.readouterr()
    assert "good.csv: 1 new" in printed
    assert "none.csv holds nothing" in said
