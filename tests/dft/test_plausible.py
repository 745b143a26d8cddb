"""Numbers that no crystal has are refused, with the unit that they may be in."""

import pytest
from ase.build import bulk
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.dft.importers.importing import import_references
from pet_flows.dft.importers.options import Options
from pet_flows.dft.reference import LevelOfTheory, Origin, Reference
from pet_flows.errors import PetFlowsError
from pet_flows.store.results import ResultStore

SILICON = AseAtomsAdaptor.get_structure(bulk("Si"))


def reference(property, result):
    return Reference(
        property=property,
        result=result,
        structure=SILICON,
        level=LevelOfTheory(functional="PBE"),
        source=Origin(name="a table"),
    )


@pytest.mark.parametrize(
    ("property", "result", "said"),
    [
        ("eos", {"v0_per_atom": 0.0}, r"v0_per_atom of eos must be above 0 Å³ per atom, and is 0:"),
        ("eos", {"v0_per_atom": -20.0}, "above 0"),
        ("eos", {"b0": 88.8e9}, r"at most 2000 GPa, and is 8.88e\+10 \(are these Pa\?\)"),
        ("elastic", {"k_vrh": -5.0}, r"above 0 GPa, and is -5: correct it"),
        ("elastic", {"young": 2500.0}, "are these Pa"),
        ("elastic", {"tensor": [[160e9] * 6] * 6}, "are these Pa"),
        ("phonon", {"max_frequency": 520.0}, "at most 200 THz.*are these 1/cm"),
        (
            "relax",
            {"lattice": {"a": 5.4, "b": 0.0, "c": 5.4, "alpha": 90, "beta": 90, "gamma": 90}},
            "lattice.b of relax must be above 0 Å",
        ),
    ],
)
def test_what_no_crystal_has_is_refused(property, result, said):
    with pytest.raises(PetFlowsError, match=said):
        reference(property, result)


def test_what_a_crystal_may_have_is_not():
    # no law forbids an unstable crystal, nor the energy of all electrons
    unstable = {"stable": False, "min_eigenvalue": -40.0, "k_voigt": -3.0, "k_vrh": None}
    assert reference("elastic", unstable).result["k_voigt"] == -3.0
    assert reference("phonon", {"min_frequency": -7.0, "max_frequency": 132.0})
    assert reference("static", {"energy_per_atom": -7.9e3, "pressure": 300.0})


def test_a_bad_row_stops_no_other(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("element,prototype,b0\nSi,diamond,-5\nCu,fcc,140\nAl,fcc,77e9\n")
    with ResultStore.open() as store:
        found = import_references(store, str(file), options=Options(level={"functional": "PBE"}))
        assert found.new == 1
        assert [one.name for one in found.problems] == ["row 1", "row 3"]
        assert "b0 of eos must be above 0 GPa, and is -5" in found.problems[0].reason
        assert "export it again" not in found.problems[0].reason
