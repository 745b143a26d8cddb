"""References of other packages are found, win over our own, and are checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from pet_flows.dft import acwf, sources
from pet_flows.dft.quantity import Crystal, LevelOfTheory
from pet_flows.errors import PetFlowsError

SILICON = Crystal(element="Si", prototype="diamond")
MODULE = """
from pet_flows.dft.quantity import Crystal, LevelOfTheory, Reference

def references():
    return [
        Reference(id=f"ours/{functional}", property="b0", value=value, unit="GPa",
                  crystal=Crystal(element="Si", prototype="diamond"),
                  level=LevelOfTheory(functional=functional), citation="ours")
        for functional, value in [("PBEsol", 93.0), ("PBE", 88.0)]
    ]
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Install a package with a module and an entry point for its references."""

    def forget():
        sources.sources.cache_clear()
        sources._index.cache_clear()

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
        forget()

    yield installed
    forget()


def test_without_other_packages_there_is_all_electron_pbe_alone():
    assert list(sources.sources()) == ["acwf"]
    ours = acwf.find("Si", "diamond", "b0")
    assert sources.known(SILICON, "b0") == (ours,)
    for functional in ("pbe", "PBEsol", None):  # the only one is the nearest
        assert sources.nearest(SILICON, "b0", LevelOfTheory(functional=functional)) == ours
    assert sources.nearest(SILICON, "c11", LevelOfTheory(functional="PBE")) is None


def test_another_package_adds_functionals_and_wins_over_our_own(install):
    install(MODULE)
    assert list(sources.sources()) == ["ours", "acwf"]
    pbe = LevelOfTheory(functional="PBE")
    assert sources.nearest(SILICON, "b0", LevelOfTheory(functional="PBEsol")).value == 93.0
    assert sources.nearest(SILICON, "b0", pbe).value == 88.0
    volume = acwf.find("Si", "diamond", "v0_per_atom")
    assert sources.nearest(SILICON, "v0_per_atom", pbe) == volume
    assert len(sources.known(SILICON, "b0")) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_at_all", "our-dft cannot be read .ModuleNotFoundError"),
        ("references = 3", "our-dft cannot be read .TypeError"),
        ("def references(): return [1.0]", "our-dft hold a float, which is not a Reference"),
        (MODULE.replace("ours/{functional}", "ours"), "our-dft and our-dft both .* 'ours'"),
        (MODULE.replace("ours/{functional}", "acwf-pbe/Si-diamond/b0"), "both have a reference"),
    ],
)
def test_a_package_that_is_wrong_is_named(install, text, said):
    install(text)
    with pytest.raises(PetFlowsError, match=said):
        sources.sources()
