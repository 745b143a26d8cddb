"""What the pages of a report are given: collected from records and comparisons."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Composition, Lattice, Structure

from pet_flows.compare.statistics import summarize
from pet_flows.dft.documents import document_of
from pet_flows.dft.level import LevelOfTheory
from pet_flows.dft.reference import Origin, Reference
from pet_flows.errors import PetFlowsError
from pet_flows.flows.campaign_file import Draft
from pet_flows.report.page import assets, viewer
from pet_flows.report.page.curves import bands, density, equation_of_state
from pet_flows.report.page.figures import write_figures
from pet_flows.report.page.folder import write_report
from pet_flows.report.page.hulls import hulls
from pet_flows.report.page.scripts import script
from pet_flows.report.page.series import beside_dft
from pet_flows.report.page.shell import PAGES
from pet_flows.report.table import report
from pet_flows.store.results import ResultStore
from pet_flows.yaml_file import read_yaml
from tests.cli.stored import CAMPAIGN, made, run
from tests.plots.examples import EXAMPLES
from tests.report.conftest import enter


def data(folder: Path, name: str):
    """Value of a script, which is one assignment of JSON."""
    text = (folder / "data" / f"{name}.js").read_text("utf-8")
    assert re.match(r"window\.[A-Z]+ = ", text)
    assert text.endswith(";\n")
    return json.loads(text.partition(" = ")[2].removesuffix(";\n"))


def test_a_script_holds_no_markup_and_only_json():
    value = {"a": "</script><!--", "b": [np.float64(1 / 3), float("nan"), np.int64(2)], "c": None}
    text = script("X", value)
    assert "<" not in text
    assert ">" not in text
    assert "\u2028" not in script("X", "a\u2028b")
    read = json.loads(text.removeprefix("window.X = ").removesuffix(";\n"))
    assert read == {"a": "</script><!--", "b": [0.33333333, None, 2], "c": None}


def test_series_are_the_comparisons(folder):
    with ResultStore.open(read_only=True) as store:
        rows = report(store, CAMPAIGN).rows
        beside = beside_dft(store, CAMPAIGN, rows)
        documents = list(store.comparisons.find({"campaigns": CAMPAIGN}))
    pairs = [d for d in documents if d["record"] and d["reference"]]
    assert beside.n_comparisons == len(pairs)
    ours = {(s.property, s.name): s for s in beside.series}
    assert {s.level for s in beside.series} == {"PBE"}
    assert beside.levels == {"PBE": "PBE, PAW 54, 520 eV, non-magnetic"}
    # the same numbers as the statistics of all comparisons, which read the documents themselves
    for theirs in summarize(documents):
        series = ours[theirs.property, theirs.name]
        assert len(series.row) == theirs.n
        assert np.abs(series.difference).mean() == pytest.approx(theirs.mae, rel=1e-12)
        assert len(series.differs) == theirs.across
    keys = {m.key: n for n, row in enumerate(rows) for m in row.members}
    alone = [d for d in documents if not d["reference"]]
    assert len(pairs) + len(alone) == len(documents) - 1  # a reference without a record
    assert {one["row"] for one in beside.alone if one["what"] == "record"} == {
        keys[d["record"]] for d in alone
    }
    assert {one["reason"] for one in beside.alone} <= {
        "no reference of this formula", "no value is in both", "no record stands beside it",
        "DFT has no conductivity at 300 K",
    }  # fmt: skip
    # copper's equation of state did not converge: it is nobody's error
    copper = next(n for n, row in enumerate(rows) if row.material == "mp-30")
    assert copper not in ours["eos", "b0"].row
    assert copper in beside.matched


def entry(name: str, formula: str, energy: float) -> tuple[dict, dict]:
    """Record of a relaxation of a made-up crystal."""
    species = [e for e, n in Composition(formula).items() for _ in range(int(n))]
    places = [[k / len(species)] * 3 for k in range(len(species))]
    structure = Structure(Lattice.cubic(4.0 + 0.1 * len(name)), species, places)
    result = {**EXAMPLES["relax"].result, "energy_per_atom": energy}
    return made(
        EXAMPLES["relax"], name, structure.to_ase_atoms(), campaign="alloy",
        outcome={"result": result},
    )  # fmt: skip


def test_hulls_by_hand(tmp_path):
    energies = {"Cu": -1.0, "Cu2": -0.9, "Au": -2.0, "CuAu": -1.7, "Cu3Au": -1.3, "CuO": -3.0}
    with ResultStore.open() as store:
        for name, energy in energies.items():
            store.put(*entry(name, "Cu" if name == "Cu2" else name, energy))
        for formula, energy in {"Cu": -3.5, "Au": -3.0, "Cu3Au": -3.6, "CuAu": -3.3}.items():
            structure = store.final_structure(entry("x", formula, 0.0)[0])
            reference = Reference(
                property="relax", result={"energy_per_atom": energy}, structure=structure,
                level=LevelOfTheory(functional="PBE", u={}), source=Origin(name=formula),
            )  # fmt: skip
            store.references.put(*document_of(reference))
        rows = report(store, "alloy").rows
        found = {h["system"]: h for h in hulls(store, "alloy", rows)}
    alloy = found["Au-Cu"]
    at = {rows[number].material: k for k, number in enumerate(alloy["row"])}
    # formation of Cu3Au: -1.3 + 1.25; the hull between Cu and CuAu (-0.2) is there at -0.1
    expected = {"Cu": (0, 0), "Cu2": (0.1, 0.1), "Au": (0, 0), "CuAu": (-0.2, 0)}
    for name, (formation, above) in {**expected, "Cu3Au": (-0.05, 0.05)}.items():
        k = at[name]
        assert alloy["formation"][k] == pytest.approx(formation, abs=1e-12)
        assert alloy["above"][k] == pytest.approx(above, abs=1e-12)
        assert alloy["stable"][k] == (above == 0)
    # DFT's: Cu3Au at -3.6 + 3.375 = -0.225, CuAu at -3.3 + 3.25 = -0.05 above the line to Au
    theirs = dict(zip(alloy["dft"]["formula"], alloy["dft"]["formation"], strict=True))
    assert theirs == pytest.approx({"Cu": 0, "Au": 0, "Cu3Au": -0.225, "CuAu": -0.05}, abs=1e-12)
    # e_hull,PET = e_hull,DFT + e_form,PET - e_form,DFT = 0 - 0.05 + 0.225
    assert alloy["above_dft"][at["Cu3Au"]] == pytest.approx(0.175, abs=1e-12)
    assert found["Cu-O"]["missing"] == ["O"]
    assert sorted(found["Cu"]["above"]) == pytest.approx([0.0, 0.1])


def test_curves_are_those_of_the_results():
    result = EXAMPLES["eos"].result
    drawn = equation_of_state(result, result["volumes"])
    at = np.interp(result["volumes"], drawn["volumes"], drawn["energies"])
    # meV/atom; linear interpolation between points that are 0.05 Å³ apart errs by 0.02
    assert at == pytest.approx(drawn["point_energies"], abs=0.05)
    assert equation_of_state({"v0_per_atom": 20.0}, result["volumes"]) is None
    arrays = EXAMPLES["phonon"].arrays["phonon"]
    longer = {**arrays, "band_distances": 2.0 * arrays["band_distances"]}
    ours, theirs = bands(arrays), bands(longer, arrays)
    for one, other in zip(ours["lines"], theirs["lines"], strict=True):
        assert other["x"] == pytest.approx(one["x"], abs=1e-5)
    other_path = {**arrays, "band_labels": arrays["band_labels"][::-1]}
    assert bands(other_path, arrays) is None
    mesh = {name: arrays[name] for name in ("mesh_frequencies", "mesh_weights")}
    smeared = density(mesh)
    # three modes an atom
    assert np.trapezoid(smeared["y"], smeared["x"]) == pytest.approx(3.0, rel=1e-3)


def test_lines_are_those_of_the_results_with_the_references_over_them(written):
    """Pages of a record with expansion, dynamics and conductivity."""
    pages = [
        json.loads(path.read_text("utf-8").removeprefix("window.STRUCTURE = ").rstrip(";\n"))
        for path in (written / "data").glob("??/*.js")
    ]
    found = {one["name"]: one for page in pages for one in page["lines"]}
    assert found.keys() == {"volume", "alpha", "bulk", "cp", "rdf", "msd", "kappa"}
    qha = EXAMPLES["qha"].result
    (alpha,) = found["alpha"]["curves"]
    assert alpha["x"] == qha["temperatures"]
    assert alpha["y"] == pytest.approx(1e6 * np.array(qha["thermal_expansion"]), rel=1e-4)
    (point,) = found["kappa"]["curves"]
    assert point["y"] == pytest.approx([p["mean"] for p in EXAMPLES["kappa"].result["kappa"]], 1e-4)
    observed = EXAMPLES["md"].arrays["observables"]
    whole = len(observed["rdf_r"])
    step = -(-whole // 200)
    assert len(found["rdf"]["curves"]) == len(observed["rdf_pairs"])
    assert found["rdf"]["curves"][0]["y"] == pytest.approx(observed["rdf"][0][::step], rel=1e-4)
    assert found["msd"]["curves"][0]["y"][5] > 0
    beside = [one for one in found.values() if one["beside"]]
    assert beside, "no reference is drawn beside any"
    for one in beside:
        (other,) = one["beside"]
        assert [c["name"] for c in other["curves"]] == [c["name"] for c in one["curves"]]
        assert other["curves"][0]["x"] == one["curves"][0]["x"]


def test_the_folder(written):
    about, rows = data(written, "campaign"), data(written, "rows")
    assert about["n_structures"] == len(rows["material"]) == 34
    assert about["states"]["properties"][0] == {
        "name": "relax",
        "states": {"ok": 2, "failed": 1, "incomplete": 31},
    }
    assert dict(about["states"]["reasons"]) == {"unknown_element": 1, "killed": 1}
    assert len(set(rows["page"])) == len(rows["page"])
    assert rows["state"][rows["material"].index("mp-30")] == "unconverged"
    for number in data(written, "pages"):
        page = rows["page"][number]
        structure = data(written, f"{page[:2]}/{page}")
        assert structure["row"] == number
    for reference in structure["references"]:
        assert (written / "documents" / f"{reference['key']}.json").is_file()
    b0 = next(s for s in data(written, "series") if s["name"] == "b0")
    summary = b0["summary"]
    assert summary["n"] == len(b0["row"]) > 20
    assert summary["interval"][0] < summary["mae"] < summary["interval"][1]
    spread, said = summary["calibration"]["spread"], summary["calibration"]["uncertainty"]
    assert spread["n"] == sum(s is not None for s in b0["spread"]) > 20
    assert said["n"] == spread["n"]
    assert said["scale"] != pytest.approx(spread["scale"])
    known = [(u, s) for u, s in zip(b0["uncertainty"], b0["spread"], strict=True) if u is not None]
    assert len(known) == said["n"]
    assert all(u == pytest.approx(2 * s) for u, s in known)
    with (written / "comparisons.csv").open(newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["name"] == "b0"]
    assert [float(line["difference"]) for line in lines] == pytest.approx(b0["difference"])
    assert {line["level"] for line in lines} == {"PBE, PAW 54, 520 eV, non-magnetic"}
    licences = (written / "assets" / "LICENSES.txt").read_text("utf-8")
    for name in ("Tabulator", "plotly", "chemiscope"):
        assert name in licences


def test_pages_ask_nothing_but_the_disk(written):
    pages = list(written.glob("*.html"))
    assert {f"{name}.html" for name in PAGES} < {page.name for page in pages}
    for page in pages:
        text = page.read_text("utf-8")
        assert "default-src 'none'" in text
        assert "unsafe-eval" not in text
        assert not re.search(r"https?:|type=.module|onclick", text)


def test_scripts_are_of_one_idea():
    ours = [p for p in assets.STATIC.glob("*.[jc]s*") if ".min." not in p.name]
    assert len(ours) > 5
    assert not {p.name for p in ours if len(p.read_text("utf-8").splitlines()) > 300}


def test_the_largest_errors_have_pages_first(folder, tmp_path):
    with ResultStore.open(read_only=True) as store:
        written = write_report(store, CAMPAIGN, tmp_path / "few", n_pages=4)
        beside = beside_dft(store, CAMPAIGN, report(store, CAMPAIGN).rows)
    assert written.n_pages == 4
    series, pages = data(tmp_path / "few", "series"), data(tmp_path / "few", "pages")
    first = series[0]
    errors = np.abs(np.array(first["relative"], dtype=float))
    assert first["row"][int(errors.argmax())] in pages
    chosen = [series for series in beside.series if series.name in ("b0", "v0_per_atom")]
    drawn = write_figures([*chosen, chosen[0]], tmp_path / "figures", "svg")
    assert [path.name for path in drawn] == [
        "eos_v0_per_atom_PBE.svg", "eos_b0_PBE.svg", "eos_v0_per_atom_PBE-2.svg"
    ]  # fmt: skip
    assert all("<svg" in path.read_text("utf-8") for path in drawn)


def test_a_report_is_written_again_but_over_nothing_else(folder, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with ResultStore.open(read_only=True) as store:
        with pytest.raises(PetFlowsError, match="holds other files"):
            write_report(store, CAMPAIGN, tmp_path / "mine")
        write_report(store, CAMPAIGN, tmp_path / "again")
        pages = {path.name for path in (tmp_path / "again" / "data").rglob("*.js")}
        write_report(store, "few", tmp_path / "again")
    assert data(tmp_path / "again", "campaign")["name"] == "few"
    assert len(list((tmp_path / "again" / "data").rglob("*.js"))) < len(pages)


def test_a_damaged_document_leaves_the_others(folder, tmp_path, caplog):
    copy = tmp_path / "store"
    copy.mkdir()
    for file in folder.glob("pet_flows*.db*"):
        shutil.copy(file, copy)
    with pytest.MonkeyPatch.context() as patch:
        enter(copy, patch)
        with ResultStore.open() as store:
            phonon = next(store.query({"property": "phonon"}))
            gone = {"blobs.phonon": f"{phonon['_id']}:gone"}
            store.records.update_one({"_id": phonon["_id"]}, {"$set": gone})
            beside = {"property": "eos", "record": {"$ne": None}, "reference": {"$ne": None}}
            reference = store.references.get(store.comparisons.find_one(beside)["reference"])
            store.references.remove({"_id": reference["_id"]})
            pair = store.comparisons.find_one({"property": "relax", "reference": {"$ne": None}})
            store.comparisons.update_one({"_id": pair["_id"]}, {"$unset": {"matched_by": ""}})
            static = next(store.query({"property": "static"}))
            store.records.update_one({"_id": static["_id"]}, {"$unset": {"blobs": ""}})
            xenon = next(store.query({"sources.material_id": "my xenon"}))
            store.records.update_one({"_id": xenon["_id"]}, {"$unset": {"state": ""}})
        with ResultStore.open(read_only=True) as store:
            written = write_report(store, CAMPAIGN, tmp_path / "damaged")
    assert (written.n_structures, written.n_pages) == (33, 33)
    assert f"Comparison {pair['_id']} is damaged" in caplog.text
    assert f"Record {xenon['_id']} is damaged" in caplog.text
    assert f"Reference {reference['_id']} of a comparison is not in this store" in caplog.text
    assert "is not in the additional store" in caplog.text


def test_without_references_and_without_chemiscope(folder, tmp_path, monkeypatch, capsys):
    with ResultStore.open() as store:
        store.campaigns.put({"name": "alone", "n_inputs": 1})
        record = next(store.query({"property": "eos", "sources.material_id": "mp-1003"}))
        store.add_source(record["_id"], {"campaign": "alone", "material_id": "mp-1003"})
    monkeypatch.setattr(viewer, "find_spec", lambda name: None)
    code, out, _ = run(capsys, "report", "alone", "-o", tmp_path / "alone")
    assert code == 0
    assert "1 structure and 0 comparisons in" in out
    assert "Nothing is beside DFT: pet-flows compare alone looks for references." in out
    assert "install pet-flows[report]" in out
    assert data(tmp_path / "alone", "series") == []
    assert "install pet-flows[report]" in data(tmp_path / "alone", "campaign")["viewer"]


def test_the_campaign_file_is_read_back(written, tmp_path):
    (tmp_path / "campaign.yaml").write_text(data(written, "campaign")["campaign_file"])
    again = Draft.of(read_yaml(tmp_path / "campaign.yaml")).campaign()
    assert again.name == CAMPAIGN
    assert list(again.properties) == ["relax", "static", "eos"]


def test_sentences(folder, capsys, tmp_path):
    said = run(capsys, "report", CAMPAIGN, "-o", "metals.tsv")[2]
    assert "or in nothing for a folder of pages (got metals.tsv)" in said
    said = run(capsys, "report", CAMPAIGN, "-o", "metals.csv", "--figures", "png")[2]
    assert "--figures needs a folder" in said
    said = run(capsys, "report", CAMPAIGN, "-o", tmp_path, "--format", "csv")[2]
    assert "a folder of pages, which has no format" in said
    said = run(capsys, "report", CAMPAIGN, "-o", tmp_path, "--pages", "-1")[2]
    assert "--pages must be at least 0 (got -1)" in said
    said = run(capsys, "report", "metal", "-o", tmp_path / "x")[2]
    assert "There is no campaign 'metal'" in said
