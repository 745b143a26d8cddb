"""References of other packages are found, win over our own, and are checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from pet_flows.compare.campaign import compare_campaign
from pet_flows.dft import acwf, sources
from pet_flows.errors import PetFlowsError
from pet_flows.store.results import ResultStore
from tests.compare.stored import element, potential, put_record

MODULE = """
from ase.build import bulk
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.dft.reference import LevelOfTheory, Origin, Reference

def references():
    return [
        Reference(property="eos", result={"b0": value},
                  structure=AseAtomsAdaptor.get_structure(bulk("Si")),
                  level=LevelOfTheory(functional=functional),
                  source=Origin(name=functional, database="ours", citation="ours"))
        for functional, value in [("PBEsol", 93.0), ("PBE", 88.0)]
    ]
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Install a package with a module and an entry point for its references."""

    def installed(text: str) -> None:
        name = f"dft_{tmp_path.name}"
        (tmp_path / f"{name}.py").write_text(text)
        info = tmp_path / "our_dft-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: our-dft\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            f"[pet_flows.references]\nours = {name}:references\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        sources.forget()

    yield installed
    sources.forget()


def test_without_other_packages_there_is_all_electron_pbe_alone():
    found = sources.sources(["Si"])
    assert list(found) == ["acwf"]
    assert len(found["acwf"]) == 4
    assert len(sources.sources()["acwf"]) == 384


@pytest.mark.parametrize(("functional", "value"), [("PBE", 88.0), ("PBEsol", 93.0)])
def test_another_package_adds_functionals_and_wins_over_our_own(install, functional, value):
    install(MODULE)
    assert list(sources.sources(["Si"])) == ["ours", "acwf"]
    assert sources.sources(["Cu"])["ours"] == ()
    with ResultStore.open() as store:
        used = potential(functional=functional)
        put_record(store, "eos", element("Si", "diamond"), "mp-149", potential=used, b0=90.0)
        (row,) = compare_campaign(store, "first").rows()
    # what the package does not say is ours, where that is of the same functional
    ours = acwf.find("Si", "diamond").result["v0_per_atom"]
    assert row.references == {"b0": value, **({"v0_per_atom": ours} if functional == "PBE" else {})}
    assert row.comparisons["b0"].difference == 90.0 - value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_at_all", "our-dft cannot be read .ModuleNotFoundError"),
        ("references = 3", "our-dft cannot be read .TypeError"),
        ("def references(): return [1.0]", "our-dft hold a float, which is not a Reference"),
        (MODULE.replace('"PBEsol"', '"PBE"'), "our-dft and our-dft both .* 'PBE'"),
        (
            "from pet_flows.dft import acwf\nreferences = acwf.references",
            "our-dft and pet-flows both have the reference eos of 'Si-",
        ),
    ],
)
def test_a_package_that_is_wrong_is_named(install, text, said):
    install(text)
    with pytest.raises(PetFlowsError, match=said):
        sources.sources(["Si"])
