"""Outcomes become documents that MongoDB takes and people understand."""

import json
import sys
from datetime import datetime
from enum import Enum, IntEnum, StrEnum
from subprocess import run

import bson
import numpy as np
import pytest
from ase.build import bulk
from pydantic import ValidationError
from pymatgen.core import Lattice, Structure

from pet_flows.properties.relax.declaration import RelaxSettings
from pet_flows.records.build import build_record
from pet_flows.records.keys import structure_digest
from pet_flows.records.plain import plain
from pet_flows.records.schema import Record
from pet_flows.records.structures import structure_of_arrays
from tests.store.examples import POTENTIAL, crystal, outcome, record


def test_a_record_has_what_the_documentation_says():
    document, blobs = record()
    assert bson.decode(bson.encode(document)) == document
    assert document["_id"] == record()[0]["_id"]
    assert (document["state"], document["reason"], document["attempts"]) == ("ok", None, 1)
    assert (document["formula_pretty"], document["chemsys"], document["nsites"]) == ("Si", "Si", 2)
    assert document["spacegroup"] == {
        "input": {"tight": 229, "loose": 229},
        "final": {"tight": 227, "loose": 227},
    }
    assert document["volume_per_atom"] == pytest.approx(bulk("Si").get_volume() / 2)
    assert isinstance(document["last_updated"], datetime)
    assert document["provenance"]["versions"]["ase"]
    assert document["sources"][0]["tags"] == []
    assert list(blobs) == ["static"]
    assert Structure.from_dict(document["input_structure"]) == crystal()


@pytest.mark.parametrize("where", ["result", "spread", "inherited", "positions", "cell"])
def test_what_is_not_finite_fails_alone(where):
    atoms, flat = bulk("Si"), bulk("Si")
    atoms.positions[0, 0] = np.nan
    flat.cell[2] = flat.cell[1]
    broken = {
        "result": outcome(energy=float("nan")),
        "spread": outcome(energy_spread=float("inf")),
        "inherited": outcome(inherited={"h0": [[np.inf]]}),
        "positions": outcome(atoms=atoms),
        "cell": outcome(atoms=flat),
    }[where]
    document, blobs = build_record(
        broken, input_structure=crystal(), property="static", settings={}, potential=POTENTIAL
    )
    assert (document["state"], document["reason"]) == ("failed", "not_finite")
    assert document["result"] == {}
    assert document["input_structure"] is not None
    assert blobs == {}
    json.dumps(document, default=str, allow_nan=False)


def test_a_result_that_is_not_as_documented_fails_and_says_what_is_wrong():
    result = {**outcome().result, "colour": "blue"}
    del result["energy"]
    document, _ = build_record(
        outcome(result=result), input_structure=crystal(), property="static", settings={},
        potential=POTENTIAL,
    )  # fmt: skip
    assert (document["state"], document["reason"]) == ("failed", "invalid_result")
    assert "colour" in document["message"]
    assert "energy" in document["message"]


def test_unconverged_may_be_incomplete_but_not_wrong():
    partial = outcome("unconverged", result={"energy": -1.0})
    known = {"input_structure": crystal(), "property": "relax", "settings": RelaxSettings()}
    document, _ = build_record(partial, potential=POTENTIAL, **known)
    assert document["state"] == "unconverged"
    wrong = outcome("unconverged", result={"energy": "low"})
    assert build_record(wrong, potential=POTENTIAL, **known)[0]["reason"] == "invalid_result"


def test_density_is_of_the_final_structure():
    """Of a phonon that is the primitive cell, whatever cell was given."""
    silicon = bulk("Si", cubic=True)
    given = Structure(Lattice(silicon.cell.array), ["Si"] * 8, silicon.get_scaled_positions())
    made, _ = build_record(
        outcome(atoms=bulk("Si")), input_structure=given, property="relax",
        settings=RelaxSettings(), potential=POTENTIAL,
    )  # fmt: skip
    assert made["density"] == pytest.approx(float(given.density), rel=1e-9)


def test_large_structures_are_blobs():
    large = Structure(Lattice.cubic(30), ["Si"] * 201, np.random.default_rng(0).random((201, 3)))
    document, blobs = record(input_structure=large)
    assert document["input_structure"] is None
    assert document["nsites"] == 201
    assert structure_digest(structure_of_arrays(blobs["input_structure"])) == structure_digest(
        large
    )
    assert len(bson.encode(document)) < 20_000


def test_partial_occupancy_survives_as_blob():
    rng = np.random.default_rng(0)
    alloy = Structure(Lattice.cubic(30), [{"Fe": 0.25, "Ni": 0.75}] * 201, rng.random((201, 3)))
    _, blobs = record(state="failed", input_structure=alloy)
    assert structure_of_arrays(blobs["input_structure"]).composition.almost_equals(
        alloy.composition
    )


def test_a_record_above_a_megabyte_fails():
    large = outcome(inherited={"operations": np.ones((40, 100, 30)).tolist()})
    document, _ = build_record(
        large, input_structure=crystal(), property="static", settings={}, potential=POTENTIAL
    )
    assert (document["state"], document["reason"]) == ("failed", "too_large")


def test_an_unreadable_input_has_a_record():
    failed = outcome("failed", reason="unreadable", message="The file is empty.", retryable=False)
    document, _ = build_record(
        failed, input_structure=None, property="relax", settings={}, potential=POTENTIAL,
        sources=[{"path": "empty.cif"}],
    )  # fmt: skip
    assert document["state"] == "failed"
    assert document["structure_digest"] is None
    assert document["elements"] == []


def test_what_was_dropped_is_said():
    document, _ = record(dropped=["magnetic moments"])
    assert document["dropped"] == ["magnetic moments"]
    assert any("magnetic moments" in warning for warning in document["warnings"])


def test_keys_are_addressable():
    document, _ = build_record(
        outcome(inherited={"a.b": {"$c": 1}}), input_structure=crystal(), property="static",
        settings={}, potential=POTENTIAL,
    )  # fmt: skip
    assert document["symmetry_reference"] == {"a_b": {"_c": 1}}


class Colour(StrEnum):
    RED = "red"


class Count(IntEnum):
    TWO = 2


class Axis(Enum):
    Z = (0, 1)


def test_plain_values_are_of_plain_types():
    made = plain(
        {
            Colour.RED: [Colour.RED, Count.TWO, Axis.Z, np.str_("x"), np.float64(0.5)],
            "arrays": (np.array([np.int64(1)]), np.array([Colour.RED, None]), np.longdouble(1.5)),
            "nothing\0": np.bool_(True),
        }
    )
    assert made == {
        "red": ["red", 2, [0, 1], "x", 0.5],
        "arrays": [[1], ["red", None], 1.5],
        "nothing_": True,
    }
    assert list(made) == ["red", "arrays", "nothing_"]
    assert [type(value) for value in made["red"]] == [str, int, list, str, float]
    assert type(made["arrays"][1][0]) is str
    assert type(made["arrays"][2]) is float
    assert all(type(key) is str for key in made)
    for value in (1j, np.complex128(1j), [np.array([1j])]):
        with pytest.raises(TypeError, match="a complex cannot be stored"):
            plain(value)


@pytest.mark.parametrize(
    ("inherited", "said"),
    [({"x": 1j}, "a complex"), ({"x": 2**64}, "8-byte ints"), ({"x": "\udce9"}, "surrogates")],
)
def test_what_no_database_takes_fails_alone(inherited, said):
    document, _ = build_record(
        outcome(inherited=inherited), input_structure=crystal(), property="static", settings={},
        potential=POTENTIAL,
    )  # fmt: skip
    assert (document["state"], document["reason"]) == ("failed", "invalid_result")
    assert said in document["message"]
    bson.encode(document)


def test_the_schema_refuses_what_does_not_fit():
    document, _ = record()
    with pytest.raises(ValidationError, match="reason"):
        Record.model_validate({**document, "state": "failed"})
    with pytest.raises(ValidationError, match="extra"):
        Record.model_validate({**document, "colour": "blue"})
    with pytest.raises(ValidationError, match="no property"):
        Record.model_validate({**document, "property": "magic"})


def test_records_and_store_do_not_import_torch():
    code = (
        "import sys, pet_flows.records.build, pet_flows.store.results, pet_flows.settings;"
        "sys.exit('torch' in sys.modules)"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0
