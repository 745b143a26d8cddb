"""Symbolic links: what is meant is the path as it is given, not where a link leads."""

from __future__ import annotations

import pytest

from pet_flows.inputs.sources import read_inputs
from tests.inputs.input_files import cif, only

SILICON = "Si\n5.43\n0 .5 .5\n.5 0 .5\n.5 .5 0\nSi\n2\nDirect\n0 0 0\n.25 .25 .25\n"
COPPER = "Cu\n3.63\n0 .5 .5\n.5 0 .5\n.5 .5 0\nCu\n1\nDirect\n0 0 0\n"


@pytest.fixture
def tree(tmp_path):
    """Files kept once in a pool, under names that say nothing, and linked where they belong."""
    for key, text in {"k1": SILICON, "k2": COPPER}.items():
        (tmp_path / "pool" / key).mkdir(parents=True)
        (tmp_path / "pool" / key / "CONTCAR").write_text(text)
    linked = {"mp-149/POSCAR": "k1", "mp-30/POSCAR": "k2", "flat/mp-149.vasp": "k1"}
    for name, key in {**linked, "flat/icsd-51688.vasp": "k1"}.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(tmp_path / "pool" / key / "CONTCAR")
    return tmp_path / "tree"


def labels(*arguments):
    return [item.label for item in read_inputs([str(argument) for argument in arguments])]


def test_a_link_is_named_after_its_own_place(tree):
    assert labels(tree / "mp-149", tree / "mp-30" / "POSCAR") == ["mp-149", "mp-30"]


def test_two_links_to_one_file_are_two_inputs(tree):
    found = read_inputs([str(tree / "flat")])
    assert [item.label for item in found] == ["icsd-51688", "mp-149"]
    assert found[0].structure == found[1].structure
    assert labels(tree / "flat", tree / "flat" / "*", tree / "flat" / ".." / "flat") == [
        "icsd-51688",
        "mp-149",
    ]


def test_relative_names_and_the_folder_one_is_in(tree, monkeypatch):
    monkeypatch.chdir(tree / "mp-149")
    assert labels("POSCAR", "./POSCAR", tree / "mp-149" / "POSCAR", "../mp-30") == [
        "mp-149",
        "mp-30",
    ]


def test_links_to_folders_elsewhere_are_searched_and_loops_are_not(tree):
    (tree / "mp-7").symlink_to(tree.parent / "pool" / "k2")
    (tree / "latest").symlink_to(tree / "mp-149")  # listed already
    (tree / "up").symlink_to(tree.parent)
    (tree.parent / "pool" / "k2" / "loop").symlink_to(tree.parent / "pool")
    assert labels(tree) == ["icsd-51688", "mp-149", "mp-149", "mp-30", "mp-7"]
    assert labels(tree / "latest") == ["latest"]


def test_a_link_to_itself(tree):
    (tree / "flat" / "x.cif").symlink_to("x.cif")
    assert [item.problem and item.problem[0] for item in read_inputs([str(tree / "flat")])] == [
        None,
        None,
        "missing_file",
    ]


def test_a_link_without_its_file_is_no_silence(tree):
    (tree / "flat" / "mp-1.cif").symlink_to(".git/annex/objects/Kj/0p/x.cif")
    (tree / "flat" / "notes.txt").symlink_to("nowhere")
    for argument in (tree / "flat", tree / "flat" / "mp-*", tree / "flat" / "mp-1.cif"):
        (missing,) = [item for item in read_inputs([str(argument)]) if item.problem]
        assert missing.label == "mp-1"
        assert missing.problem[0] == "missing_file"
        assert "annex/objects/Kj/0p/x.cif" in missing.problem[1]


@pytest.mark.parametrize(
    "content",
    [
        "/annex/objects/SHA256E-s735--0f1e2d.cif\n",
        "version https://git-lfs.github.com/spec/v1\noid sha256:0f1e2d\nsize 735\n",
    ],
)
def test_what_stands_for_a_file_that_was_not_fetched(tmp_path, content):
    for name in ("a.cif", "b.json", "c.cif.gz", "d.vasp", "e.db"):
        (tmp_path / name).write_text(content)
        found = only(tmp_path / name)
        assert found.problem[0] == "missing_file", name
        assert "fetch" in found.problem[1]


def test_a_link_is_read_as_what_it_is_called(tmp_path):
    (tmp_path / "0f1e2d").write_text(cif())
    (tmp_path / "salt.cif").symlink_to("0f1e2d")
    assert only(tmp_path / "salt.cif").structure.formula == "Na4 Cl4"
