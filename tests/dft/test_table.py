"""Tables of numbers beside crystals: CSV with a column map, and benchmarks in JSON."""

import gzip
import json

import pytest
from ase.build import bulk
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.cli import main
from pet_flows.dft.importers.columns import Column
from pet_flows.dft.importers.importing import import_references
from pet_flows.dft.importers.kinds import kind_of
from pet_flows.dft.importers.options import Options
from pet_flows.errors import PetFlowsError
from pet_flows.store.results import ResultStore

PBE = {"functional": "PBE"}
SILICON = AseAtomsAdaptor.get_structure(bulk("Si", cubic=True))
SALT = AseAtomsAdaptor.get_structure(bulk("NaCl", "rocksalt", a=5.69))


@pytest.fixture
def store():
    with ResultStore.open() as opened:
        yield opened


def results(store):
    return {(d["formula_pretty"], d["property"]): d["result"] for d in store.references.find({})}


def benchmark(path, entries):
    """As matcalc has its benchmarks."""
    with gzip.open(path, "wt") as file:
        json.dump(entries, file)
    return str(path)


def entry(structure, name, **values):
    return {
        "mp_id": name,
        "formula": structure.reduced_formula,
        "structure": structure.as_dict(),
        **values,
    }


def test_a_benchmark_of_matcalc(store, tmp_path):
    file = benchmark(
        tmp_path / "b.json.gz",
        [
            entry(SILICON, "mp-149", bulk_modulus_vrh=88.9, shear_modulus_vrh=62.4),
            entry(SALT, "mp-22862", heat_capacity=48.5, energy=-6.8, corrected_energy=-7.4),
        ],
    )
    assert kind_of(file) == "benchmark"
    found = import_references(store, file, options=Options(level=PBE, licence="CC BY 4.0"))
    assert str(found) == "4 new, 0 changed, 0 the same"
    known = results(store)
    assert known["Si", "elastic"] == {"k_vrh": 88.9, "g_vrh": 62.4}
    # per cell of two atoms there, per atom here
    assert known["NaCl", "phonon"] == {"thermal": [{"T": 300.0, "cv": pytest.approx(24.25)}]}
    assert known["NaCl", "static"] == {"energy_per_atom": pytest.approx(-3.4)}
    assert known["NaCl", "relax"]["energy_per_atom"] == pytest.approx(-3.4)
    assert known["NaCl", "relax"]["lattice"]["a"] == pytest.approx(5.69 / 2**0.5)
    (silicon,) = store.references.find({"material_ids": "mp-149"})
    assert silicon["nsites_primitive"] == 2
    assert silicon["source"]["licence"] == "CC BY 4.0"
    assert silicon["source"]["name"] == "mp-149"
    (salt,) = store.references.find({"property": "relax"})
    assert salt["entry"]["energy"] == pytest.approx(-6.8)
    assert salt["entry"]["entry_id"] == "mp-22862"
    again = import_references(store, file, options=Options(level=PBE, licence="CC BY 4.0"))
    assert str(again) == "0 new, 0 changed, 4 the same"


def test_one_bad_entry_stops_no_other(store, tmp_path):
    broken = entry(SALT, "b", bulk_modulus_vrh=3.0)
    broken["structure"] = {**broken["structure"], "lattice": {"matrix": [[0, 0, 0]] * 3}}
    file = benchmark(
        tmp_path / "b.json.gz",
        [
            entry(SALT, "none", bulk_modulus_vrh=None),
            entry(SALT, "text", bulk_modulus_vrh="soft"),
            entry(SALT, "nan", bulk_modulus_vrh=float("nan")),
            broken,
            {"mp_id": "bare", "bulk_modulus_vrh": 3.0},
            entry(SILICON, "a", bulk_modulus_vrh=88.9),
            entry(SILICON, "a", bulk_modulus_vrh=89.9),
            7,
        ],
    )
    found = import_references(store, file, options=Options(level=PBE))
    assert found.new == 2
    said = {problem.name: problem.reason for problem in found.problems}
    assert said["none"].startswith("It has no number in bulk_modulus_vrh, shear_modulus_vrh")
    assert said["text"] == "Its bulk_modulus_vrh is not a number ('soft'): correct it."
    assert said["nan"] == "Its bulk_modulus_vrh is not a number (nan): correct it."
    assert {"b", "bare"} < set(said)
    assert len(said) == 6
    names = {d["source"]["name"] for d in store.references.find({})}
    assert names == {"a", "a (2)"}


def test_keys_of_your_own(store, tmp_path):
    file = tmp_path / "ours.json"
    file.write_text(json.dumps({"x": {"structure": SILICON.as_dict(), "K": 90.0, "C": 3.0}}))
    options = Options(level=PBE, columns={"K": "eos.b0", "C": "phonon.thermal.200.cv"})
    assert import_references(store, str(file), "benchmark", options).new == 2
    assert results(store) == {
        ("Si", "eos"): {"b0": 90.0},
        ("Si", "phonon"): {"thermal": [{"T": 200.0, "cv": 3.0}]},
    }


def test_a_table_with_a_column_map(store, tmp_path, capsys):
    SILICON.to(filename=str(tmp_path / "si.cif"))
    SALT.to(filename=str(tmp_path / "POSCAR_salt"), fmt="poscar")
    file = tmp_path / "ours.csv"
    file.write_text(
        "\ufeffname; crystal; K; E; b0; note\n"
        "mp-149; si.cif; 88.9; -43.2; 90.1; good\n"
        "salt; POSCAR_salt; 25.1; ; ; \n"
        "lost; nowhere.cif; 3; ; ; \n"
        "short; si.cif\n"
        "odd; si.cif; about 3; ; ; \n"
    )
    assert kind_of(str(file)) == "table"
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "reference", "add", str(file), "--level", "functional=PBE", "--map",
                "name=material_id,crystal=structure,K=elastic.k_vrh,E=static.energy_per_atom/cell",
            ]
        )  # fmt: skip
    assert not ended.value.code
    printed, said = capsys.readouterr()
    assert "4 new, 0 changed, 0 the same, 3 problems" in printed
    assert "lost: There is no file" in said
    assert "row 4: It has not as many cells as the header, 6: correct it." in said
    assert "odd: Its K is not a number ('about 3'): correct it." in said
    assert results(store) == {
        ("Si", "elastic"): {"k_vrh": 88.9},
        ("Si", "static"): {"energy_per_atom": -43.2 / 8},
        ("Si", "eos"): {"b0": 90.1},  # a column that is called as the number is
        ("NaCl", "elastic"): {"k_vrh": 25.1},
    }
    (silicon, *_) = store.references.find({"property": "eos"})
    assert silicon["material_ids"] == ["mp-149"]


def test_elements_in_prototypes_and_structures_in_cells(store, tmp_path):
    file = tmp_path / "elements.tsv"
    cell = json.dumps(SALT.as_dict()).replace('"', '""')
    file.write_text(
        "element\tprototype\tstructure\tv0_per_atom\teos.b0\n"
        "Cu\thcp\t\t12.0\t140\n"
        "Cu\tcubic\t\t12.0\t140\n"
        f'\t\t"{cell}"\t22.0\t25\n'
        "\t\t\t22.0\t25\n"
    )
    found = import_references(store, str(file), options=Options(level=PBE))
    assert results(store) == {
        ("Cu", "eos"): {"v0_per_atom": 12.0, "b0": 140.0},
        ("NaCl", "eos"): {"v0_per_atom": 22.0, "b0": 25.0},
    }
    (copper,) = store.references.find({"formula_pretty": "Cu"})
    assert copper["spacegroup"]["tight"] == 194
    assert [p.name for p in found.problems] == ["row 2", "row 4"]
    assert "There is no prototype 'cubic': choose from sc, bcc" in found.problems[0].reason
    assert "does not say of which crystal it is" in found.problems[1].reason


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("energy_per_atom", "could be several: write relax.energy_per_atom or static.energy"),
        ("k_vhr", "There is no number in the result of a property 'k_vhr': did you mean 'k_vrh'"),
        ("elastic.k", "there is no number in elastic 'k'"),
        ("eos.volumes", "does not name one number: write a field such as elastic.k_vrh"),
        ("phonon.thermal.warm.cv", "does not name one number"),
        ("phonon.thermal.300.colour", "does not name one number"),
    ],
)
def test_a_column_that_is_no_number_of_a_result(field, said):
    with pytest.raises(PetFlowsError, match=f"(?i){said}"):
        Column.parse("K", field)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "x,y\n1,2\n", "No column of x, y is a number that is compared: name what they"),
        ("a.csv", "<html>", "is a web page"),
        ("b.json", '[{"bulk_modulus_vrh": 1', "cannot be read as JSON"),
        ("b.json", '[{"bulk_modulus_vrh": 1}]', "holds no structures: name another file"),
    ],
)
def test_a_damaged_file_is_a_sentence(store, tmp_path, name, content, said):
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(PetFlowsError, match=said):
        import_references(store, str(file), options=Options(level=PBE))


def test_a_map_of_a_column_that_is_not_there(store, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("K\n3\n")
    with pytest.raises(PetFlowsError, match="The table has no column 'G', only K: correct --map"):
        import_references(store, str(file), options=Options(PBE, columns={"G": "elastic.g_vrh"}))
    with pytest.raises(PetFlowsError, match="does not say with which functional"):
        import_references(store, str(file))


def test_identifiers_are_kept_as_they_are_written(store, tmp_path, capsys):
    """``mp-neg`` could be a number to the base 26, and is a name of somebody's own."""
    file = tmp_path / "a.csv"
    file.write_text("material_id,element,prototype,b0\nmp-neg,Si,diamond,88\nmp-ft,Cu,fcc,140\n")
    import_references(store, str(file), options=Options(level=PBE))
    ids = {d["formula_pretty"]: d["material_ids"] for d in store.references.find({})}
    assert ids == {"Si": ["mp-neg"], "Cu": ["mp-ft"]}
    for name, formula in (("mp-neg", "diamond"), ("mp-149", "fcc"), ("mp-aaaaaaft", "fcc")):
        with pytest.raises(SystemExit):
            main(["reference", "list", name, "--format", "json"])
        printed = json.loads(capsys.readouterr().out)
        assert [one["formula_pretty"] for one in printed] == [
            {"diamond": "Si", "fcc": "Cu"}[formula]
        ], name


def test_nothing_to_remove_is_said(store):
    with pytest.raises(SystemExit, match="There is no such reference, and none was removed"):
        main(["reference", "remove", "nosuch"])


def test_rows_say_their_levels_of_theory(store, tmp_path):
    """Functional, U and spin in columns; what `--level` says counts for all of them."""
    (tmp_path / "several.csv").write_text(
        "material_id,element,prototype,b,xc,spin,U\n"
        "mp-1,Fe,bcc,180,PBE,true,5.3\n"
        "mp-2,Fe,bcc,190,PBEsol,false,\n"
        "mp-3,Cu,fcc,140,r2SCAN,,\n"
        "mp-4,Cu,fcc,140,,,\n"
        "mp-5,Cu,fcc,140,PBE,perhaps,\n"
    )
    columns = {
        "b": "eos.b0", "xc": "level.functional", "spin": "level.spin", "U": "level.u.Fe",
    }  # fmt: skip
    options = Options(columns=columns, level={"dispersion": "D3(BJ)"})
    found = import_references(store, str(tmp_path / "several.csv"), options=options)
    levels = {d["material_ids"][0]: d["level"] for d in store.references.find()}
    said = {
        name: (level["functional"], level["u"], level["spin"], level["dispersion"])
        for name, level in levels.items()
    }
    assert said == {
        "mp-1": ("PBE", {"Fe": 5.3}, True, "D3(BJ)"),
        "mp-2": ("PBEsol", None, False, "D3(BJ)"),
        "mp-3": ("r2SCAN", None, None, "D3(BJ)"),
    }
    reasons = {problem.name: problem.reason for problem in found.problems}
    assert "functional" in reasons["mp-4"]
    assert "spin must be true, false or null (got 'perhaps')" in reasons["mp-5"]
    with pytest.raises(PetFlowsError, match=r"field of a level of theory.*functional"):
        import_references(
            store, str(tmp_path / "several.csv"),
            options=Options(columns={"b": "eos.b0", "xc": "level.functionl"}),
        )  # fmt: skip


def test_names_of_no_reference_are_refused_and_an_empty_store_says_so(store, capsys):
    with pytest.raises(SystemExit, match="There is no such reference"):
        main(["reference", "list", "mp-nosuch"])
    with pytest.raises(SystemExit, match="0"):
        main(["reference", "list"])
    assert "There are no references yet" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="0"):
        main(["reference", "add", "jobflow"])
    assert "nothing that a reference could be made of yet" in capsys.readouterr().out
