"""Documents of the Materials Project as emmet's own models write them, and outputs of jobs."""

from __future__ import annotations

import copy
import gzip
import json
import sys
from datetime import datetime
from functools import cache

import numpy as np
import pytest
from emmet.core.elasticity import ElasticityDoc
from emmet.core.mpid import AlphaID
from emmet.core.phonon import PhononBSDOSDoc
from emmet.core.thermo import ThermoDoc
from emmet.core.vasp.material import MaterialsDoc
from pymatgen.core import Lattice, Structure
from pymatgen.core.elasticity import Strain, Stress
from pymatgen.core.elasticity.elastic import ElasticTensor
from pymatgen.entries.computed_entries import ComputedStructureEntry

from pet_flows.cli import main
from pet_flows.dft.importers.importing import import_references
from pet_flows.dft.importers.kinds import kind_of
from pet_flows.dft.importers.options import Options
from pet_flows.dft.material_ids import normalized
from pet_flows.store.results import ResultStore

PBE = Options(level={"functional": "PBE", "spin": True})
WHEN = datetime(2026, 1, 2, 3, 4, 5)


@pytest.fixture
def store():
    with ResultStore.open() as opened:
        yield opened


def hematite() -> Structure:
    """Fe2O3, ten atoms in the primitive cell."""
    return Structure.from_spacegroup(
        "R-3c",
        Lattice.hexagonal(5.04, 13.77),
        ["Fe", "O"],
        [[0, 0, 0.355], [0.306, 0, 0.25]],
    )


def entry(run_type: str = "GGA+U", energy: float = -6.7) -> ComputedStructureEntry:
    structure = hematite()
    hubbards = {"Fe": 5.3, "O": 0.0} if "+U" in run_type else {}
    parameters = {
        "run_type": run_type,
        "is_hubbard": bool(hubbards),
        "hubbards": hubbards,
        "potcar_spec": [{"titel": "PAW_PBE Fe_pv 06Sep2000"}, {"titel": "PAW_PBE O 08Apr2002"}],
    }
    return ComputedStructureEntry(
        structure,
        energy * len(structure),
        correction=-0.9 * len(structure),
        parameters=parameters,
        data={"material_id": "mp-19770", "task_id": "mp-1", "run_type": run_type,
              "aspherical": True},
        entry_id=f"mp-19770-{run_type}",
    )  # fmt: skip


def elements() -> list[ComputedStructureEntry]:
    found = []
    for symbol, energy in (("Fe", -8.4), ("O", -4.9)):
        structure = Structure(Lattice.cubic(3.0), [symbol], [[0, 0, 0]])
        data = {"material_id": f"mp-{len(symbol)}", "task_id": "mp-2", "run_type": "GGA"}
        found.append(
            ComputedStructureEntry(structure, energy, parameters={"run_type": "GGA"}, data=data)
        )
    return found


def thermo() -> dict:
    documents = ThermoDoc.from_entries([entry(), *elements()], "GGA_GGA+U", last_updated=WHEN)
    (found,) = [one for one in documents if one.formula_pretty == "Fe2O3"]
    return found.model_dump(mode="json")


def materials() -> dict:
    found = MaterialsDoc.from_structure(
        meta_structure=hematite(),
        material_id=AlphaID("mp-19770"),
        task_ids=["mp-1"],
        entries={"GGA+U": entry(), "r2SCAN": entry("r2SCAN", -11.1)},
        deprecated=False,
        last_updated=WHEN,
    )
    return found.model_dump(mode="json")


def diamond() -> Structure:
    return Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.43), ["Si"], [[0, 0, 0]])


@cache
def elasticity() -> dict:
    """emmet's own fit of stresses that Hooke's law gives (GPa).

    Of a crystal without symmetry: its loops over operations take half a minute for silicon.
    """
    constants = np.zeros((6, 6))
    constants[:3, :3] = 63.7
    constants[range(6), range(6)] = [165.4, 165.4, 165.4, 79.3, 79.3, 79.3]
    law = ElasticTensor.from_voigt(constants)
    deformations, stresses = [], []
    for row, column in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)):
        for size in (-0.01, -0.005, 0.005, 0.01):
            strain = np.zeros((3, 3))
            strain[row, column] = strain[column, row] = size
            deformation = Strain(strain).get_deformation_matrix("upper")
            second = Stress(law.calculate_stress(deformation.green_lagrange_strain))
            cauchy = deformation @ second @ deformation.T / np.linalg.det(deformation)
            deformations.append(deformation)
            stresses.append(Stress(cauchy))
    found = ElasticityDoc.from_deformations_and_stresses(
        Structure(
            Lattice.from_parameters(3.1, 3.7, 4.3, 80, 85, 95),
            ["Si", "Ge"],
            [[0, 0, 0], [0.3, 0.4, 0.6]],
        ),
        deformations=deformations,
        stresses=stresses,
        material_id=AlphaID("mp-149"),
        last_updated=WHEN,
    )
    return found.model_dump(mode="json")


def write(folder, *contents, name: str = "documents.json.gz"):
    path = folder / name
    text = json.dumps(contents[0] if len(contents) == 1 else list(contents)).encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return str(path)


def test_an_identifier_has_one_spelling():
    for written in ("mp-149", "mp-ft", "mp-aaaaaaft", AlphaID("mp-149"), " mp-149 "):
        assert normalized(str(written)) == "mp-149"
    # beyond those that were ever written as numbers
    assert normalized("mp-4000000") == normalized(str(AlphaID("mp-4000000", padlen=8)))
    for other in ("wbm-1-42", "agm001234", "mine", "JVASP-1002", "mp-1-GGA", "MP-149"):
        assert normalized(other) == other


def test_a_thermo_document_gives_uncorrected_energies(store, tmp_path):
    path = write(tmp_path, thermo())
    assert kind_of(path) == "documents"
    assert import_references(store, path).new == 2
    for found in store.references.find():
        assert found["result"]["energy_per_atom"] == pytest.approx(-6.7)
        assert found["material_ids"] == ["mp-19770"]
        assert found["nsites_primitive"] == 10
        assert found["level"]["functional"] == "PBE"
        assert found["level"]["u"] == {"Fe": 5.3}
        assert found["level"]["spin"] is True
        assert found["level"]["pseudopotentials"]["Fe"] == "PAW_PBE Fe_pv 06Sep2000"
        kept = ComputedStructureEntry.from_dict(found["entry"])
        assert kept.energy_per_atom == pytest.approx(-6.7)
        assert kept.parameters["run_type"] == "GGA+U"
        assert kept.data["corrected_energy_per_atom"] == pytest.approx(-7.6)
        assert kept.data["energy_above_hull"] == 0.0
        assert found["source"]["database"] == "Materials Project"
        assert found["source"]["completed_at"] == WHEN
    (relax,) = store.references.find({"property": "relax"})
    assert relax["result"]["lattice"]["c"] == Structure.from_dict(relax["structure"]).lattice.c


def test_each_functional_of_a_material_is_a_reference(store, tmp_path):
    path = write(tmp_path, materials())
    assert import_references(store, path).new == 4
    found = {
        one["level"]["functional"]: one for one in store.references.find({"property": "relax"})
    }
    assert set(found) == {"PBE", "r2SCAN"}
    assert found["r2SCAN"]["result"]["energy_per_atom"] == pytest.approx(-11.1)
    assert found["r2SCAN"]["level"]["u"] == {}
    assert import_references(store, path).same == 4
    assert import_references(store, path, again=True).same == 4


def test_an_elasticity_document_gives_its_raw_tensor(store, tmp_path):
    document = elasticity()
    assert import_references(store, write(tmp_path, document), options=PBE).new == 1
    (found,) = store.references.find()
    result = found["result"]
    assert np.array(result["tensor"]) == pytest.approx(
        np.array(document["elastic_tensor"]["raw"]), abs=0.1
    )
    # in other axes the same tensor, and not rounded to whole GPa as emmet's is
    given, ieee = (ElasticTensor.from_voigt(result[name]) for name in ("tensor", "tensor_ieee"))
    assert ieee.k_vrh == pytest.approx(given.k_vrh, rel=1e-9)
    assert ieee.g_vrh == pytest.approx(given.g_vrh, rel=1e-9)
    assert (
        np.abs(np.array(result["tensor_ieee"]) - document["elastic_tensor"]["ieee_format"]).max()
        > 0.1
    )
    assert result["k_vrh"] == pytest.approx((165.4 + 2 * 63.7) / 3, abs=0.05)
    assert result["g_vrh"] == pytest.approx(document["shear_modulus"]["vrh"], abs=0.2)
    assert 100 < result["young"] < 200
    assert result["n_strains"] == 24
    assert found["material_ids"] == ["mp-149"]


def test_without_a_tensor_there_are_moduli(store, tmp_path):
    document = {**elasticity(), "elastic_tensor": None}
    import_references(store, write(tmp_path, document), options=PBE)
    (found,) = store.references.find()
    assert found["result"]["k_vrh"] == document["bulk_modulus"]["vrh"]
    assert "no tensor" in found["problems"][0]


def test_a_phonon_document_of_emmet(store, tmp_path, emt_jobs):
    """The same crystal as atomate2's own document, whose energies emmet counts otherwise."""
    (job,) = [one for one in emt_jobs[0] if one["name"].startswith("generate_frequencies")]
    blobs = {one["blob_uuid"]: one["data"] for one in emt_jobs[1]}
    content = copy.deepcopy(job["output"])
    for name in ("force_constants", "phonon_bandstructure", "phonon_dos"):
        content[name] = blobs[content[name]["blob_uuid"]]
    content = {key: value for key, value in content.items() if not key.startswith("@")}
    own = PhononBSDOSDoc.migrate_fields(**copy.deepcopy(content), last_updated=WHEN)
    document = {**own.model_dump(mode="json"), "identifier": "mp-19770"}
    path = write(tmp_path, document)
    assert kind_of(path) == "documents"
    assert import_references(store, path, options=PBE).new == 1
    (whole,) = store.references.find()
    assert "mesh_frequencies" in store.references.blob(whole, "phonon")
    document["force_constants"] = None
    document["last_updated"] = "2026-02-01T00:00:00"
    assert import_references(store, write(tmp_path, document), options=PBE).changed == 1
    (curves,) = store.references.find()
    at_300 = [
        next(row for row in one["result"]["thermal"] if row["T"] == 300) for one in (whole, curves)
    ]
    assert at_300[1]["f"] == pytest.approx(at_300[0]["f"], abs=0.1)
    assert at_300[1]["cv"] == pytest.approx(at_300[0]["cv"], abs=0.1)
    for name in ("min_frequency", "max_frequency"):
        assert curves["result"][name] == pytest.approx(whole["result"][name], abs=0.6)


def test_a_summary_needs_its_functional(store, tmp_path):
    document = {
        "property_name": "summary",
        "material_id": "mp-ft",
        "structure": diamond().as_dict(),
        "uncorrected_energy_per_atom": -5.42,
        "bulk_modulus": {"voigt": 88.0, "reuss": 87.0, "vrh": 87.5},
        "last_updated": "2026-01-01T00:00:00",
    }
    path = write(tmp_path, document)
    (problem,) = import_references(store, path).problems
    assert "--level functional=PBE" in problem.reason
    assert "mp-149" in problem.name
    assert import_references(store, path, options=PBE).new == 3


@pytest.mark.parametrize(
    ("make", "change", "reason"),
    [
        (thermo, {"entries": {}}, "no entries"),
        (thermo, {"material_id": None}, "no material_id"),
        (thermo, {"entries": {"GGA": {"energy": 1.0, "parameters": {}}}}, "no structure"),
        (elasticity, {"state": "failed"}, "did not succeed"),
        (elasticity, {"structure": None}, "no structure"),
        (
            elasticity,
            {"elastic_tensor": None, "bulk_modulus": None, "shear_modulus": None},
            "neither a tensor nor moduli",
        ),
        (dict, {"property_name": "xas", "builder_meta": {}}, "of no kind that is known"),
        (list, None, "not a document"),
    ],
)
def test_a_damaged_document_is_a_problem_and_stops_no_other(make, change, reason, store, tmp_path):
    document = make() if change is None else {**make(), **change}
    path = write(tmp_path, document, materials())
    found = import_references(store, path, "documents", PBE)
    assert reason in found.problems[0].reason
    assert found.new == 4


def test_a_file_that_is_no_json_is_refused(store, tmp_path):
    (tmp_path / "cut.json").write_text('{"builder_meta": ')
    with pytest.raises(SystemExit, match="cannot be read as JSON"):
        main(["reference", "add", str(tmp_path / "cut.json")])
    lines = [json.dumps(materials()), "{", json.dumps(thermo())]
    (tmp_path / "lines.jsonl").write_text("\n".join(lines))
    found = import_references(store, str(tmp_path / "lines.jsonl"))
    assert [problem.name for problem in found.problems] == ["lines.jsonl, line 2"]
    assert found.new == 6


def test_jobs_that_were_exported_are_read_as_in_their_store(store, tmp_path, emt_jobs):
    jobs = [
        one for one in emt_jobs[0] if one["name"] in ("Force field relax", "fit_elastic_tensor")
    ]
    path = write(tmp_path, *json.loads(json.dumps(jobs, default=str)))
    found = import_references(store, path, "documents")
    assert found.new == 2
    # the calculations that would say its level are not in the file
    (problem,) = found.problems
    assert "fit_elastic_tensor" in problem.name
    assert "--level functional=PBE" in problem.reason


def test_without_the_client_of_the_materials_project_a_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "mp_api", None)
    monkeypatch.setitem(sys.modules, "mp_api.client", None)
    with pytest.raises(SystemExit, match="pip install mp-api"):
        main(["reference", "add", "materials-project:mp-149"])
