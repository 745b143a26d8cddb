"""``--level``: what it says, what it leaves open, and what it cannot mean."""

import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from pet_flows.compare.energies.corrections import adjust
from pet_flows.dft.differences import differences
from pet_flows.dft.importers.given_level import checked, doubt_of, parse_level
from pet_flows.dft.importers.importing import import_references
from pet_flows.dft.importers.options import Options
from pet_flows.dft.level import MATERIALS_PROJECT_U, LevelOfTheory
from pet_flows.errors import PetFlowsError
from pet_flows.store.results import ResultStore

PLAIN = LevelOfTheory(functional="PBE", spin=True)
WITH_U = LevelOfTheory.from_card({"functional": "PBE", "run_type": "GGA_GGA+U", "spin": True})


def level(text):
    return Options(level=parse_level(text)).level_of(None)


def test_a_u_that_is_left_out_is_unknown():
    given = level("functional=PBE,spin=true")
    assert given.u is None
    for ours in (PLAIN, WITH_U):
        assert differences(ours, given, ["Fe", "O"])
        assert not differences(ours, given, ["Fe"])
        assert not differences(ours, given, ["Mg", "O"])
    for none in ("none", "no", "0", "{}"):
        said = level(f"functional=PBE,spin=true,u={none}")
        assert said.u == {}
        assert not differences(PLAIN, said, ["Fe", "O"])
        assert differences(WITH_U, said, ["Fe", "O"])


def test_what_a_source_says_stays():
    said = LevelOfTheory(functional="PBE", u={"Fe": 4.0})
    assert Options(level={"functional": "PBE+U"}).level_of(said).u == {"Fe": 4.0}


def test_a_functional_with_u():
    assert (level("functional=PBE+U").functional, level("functional=PBE+U").u) == ("PBE", None)
    assert level("functional=PBE+U,u.Fe=4").u == {"Fe": 4.0}
    for name in ("GGA_GGA+U", "PBE_PBE+U"):
        mixture = level(f"functional={name}")
        assert (mixture.functional, mixture.u) == ("PBE", MATERIALS_PROJECT_U)
        assert not differences(WITH_U, level(f"functional={name},spin=true"), ["Fe", "O"])
    with pytest.raises(PetFlowsError, match="is with U, and u says none"):
        parse_level("functional=PBE+U,u=none")


@pytest.mark.parametrize("text", ["u_with=[O,F]", "u_with=[O, F]", "u_with=[F,O],cutoff=520"])
def test_lists(text):
    assert level(f"functional=PBE,u.Fe=4,{text}").u_with == ("F", "O")


def test_one_element_is_a_list_of_one():
    assert level("functional=PBE,u.Fe=4,u_with=O").u_with == ("O",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("functional=PBE,u.Xx=4", "there is no element 'Xx'"),
        ("functional=PBE,u_with=Oxygen", "there is no element 'Oxygen'"),
        ("functional=PBE,u=[1", r"--level holds u=\[1, which is not a value"),
        ("functional=PBE,u=none,u.Fe=4,spin.Fe=1", "only u and pseudopotentials are by element"),
        ("functional=PBE,u=3,u.Fe=4", "says u twice"),
        ("functional", "--level holds 'functional'"),
    ],
)
def test_what_it_cannot_mean_is_a_sentence(text, said):
    with pytest.raises(PetFlowsError, match=said):
        parse_level(text)


def test_an_unknown_functional_is_a_doubt():
    assert doubt_of({"functional": "PBE-D3(BJ)"}) is None
    assert doubt_of({"functional": "GGA_GGA+U"}) is None
    assert doubt_of({"functional": "PBEsool"}).endswith("of no known name; PBEsol?")
    assert checked({"functional": "mine"}).functional == "mine"


def test_u_is_in_the_entry_of_a_frame(tmp_path):
    """pymatgen corrects GGA+U energies by the run type and U of their entry."""
    atoms = bulk("FeO", "rocksalt", a=4.3)
    atoms.calc = SinglePointCalculator(atoms, energy=-13.0)
    write(tmp_path / "feo.extxyz", atoms)
    rows = "element,prototype,energy_per_atom\nFe,bcc,-8.3\n"
    (tmp_path / "fe.csv").write_text(rows)
    given = parse_level("functional=GGA_GGA+U,spin=true")
    with ResultStore.open() as store:
        import_references(store, str(tmp_path / "feo.extxyz"), options=Options(level=given))
        (oxide,) = store.references.find({"formula_pretty": "FeO"})
        parameters = oxide["entry"]["parameters"]
        assert (parameters["run_type"], parameters["hubbards"]) == ("PBE+U", {"Fe": 5.3})
        # by A. Wang et al. 2021, eV: -2.256 per Fe under U, -0.687 per O of an oxide; two atoms
        assert adjust(oxide["entry"]).total == pytest.approx((-2.256 - 0.687) / 2, abs=2e-3)
        table = Options(level=given, columns={"energy_per_atom": "static.energy_per_atom"})
        import_references(store, str(tmp_path / "fe.csv"), options=table)
        (iron,) = store.references.find({"formula_pretty": "Fe"})
        assert iron["entry"]["parameters"]["run_type"] == "PBE"
        assert iron["entry"]["parameters"]["hubbards"] == {}


def test_the_doubt_is_a_problem_of_the_reference(tmp_path):
    (tmp_path / "fe.csv").write_text("element,prototype,b0\nFe,bcc,180\n")
    with ResultStore.open() as store:
        options = Options(level={"functional": "PBEsool"})
        import_references(store, str(tmp_path / "fe.csv"), options=options)
        (iron,) = store.references.find()
        assert iron["problems"] == [
            "the functional PBEsool that was given is of no known name; PBEsol?"
        ]
