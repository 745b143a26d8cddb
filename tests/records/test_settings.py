"""Settings: environment above file above default, and mistakes named with their line."""

import pytest

from pet_flows.errors import PetFlowsError
from pet_flows.settings import get_settings


@pytest.fixture
def settings_file(tmp_path, monkeypatch):
    path = tmp_path / "settings.yaml"
    path.touch()
    monkeypatch.setenv("PET_FLOWS_CONFIG", str(path))
    return path


def test_environment_is_above_file(settings_file, monkeypatch):
    settings_file.write_text("model: pet-mad-s\ndtype: float32\ntrusted: [aa, bb]\n")
    monkeypatch.setenv("PET_FLOWS_DTYPE", "float64")
    settings = get_settings()
    assert (settings.model, settings.dtype, settings.trusted) == (
        "pet-mad-s", "float64", ("aa", "bb"),
    )  # fmt: skip
    assert settings is get_settings()


def test_trusted_hashes_of_the_environment_are_separated_by_commas(settings_file, monkeypatch):
    monkeypatch.setenv("PET_FLOWS_TRUSTED", "aa, bb")
    assert get_settings().trusted == ("aa", "bb")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("model: x\ndtype: float16\n", "Line 2 of .*settings.yaml sets dtype to 'float16'"),
        ("\n\nmodle: x\n", "Line 3 of .*settings.yaml sets 'modle', which is no setting"),
        ("model: x\n  dtype: y\n", "line 2 of .*settings.yaml"),
        ("- a\n", "must hold lines"),
    ],
)
def test_a_bad_line_is_named(settings_file, content, sentence):
    settings_file.write_text(content)
    with pytest.raises(PetFlowsError, match=sentence):
        get_settings()


def test_a_bad_variable_is_named(settings_file, monkeypatch):
    monkeypatch.setenv("PET_FLOWS_MAX_ATTEMPTS", "many")
    with pytest.raises(PetFlowsError, match="PET_FLOWS_MAX_ATTEMPTS sets max_attempts to 'many'"):
        get_settings()


@pytest.mark.parametrize(
    ("name", "meant"),
    [("PET_FLOWS_SYMMETRISATION", "PET_FLOWS_SYMMETRIZATION"), ("pet_flows_devise", "DEVICE")],
)
def test_a_misspelt_variable_is_not_passed_over(name, meant, settings_file, monkeypatch):
    monkeypatch.setenv(name, "none")
    with pytest.raises(PetFlowsError, match=f"{name} is no setting: did you mean .*{meant}"):
        get_settings()


def test_a_file_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("PET_FLOWS_CONFIG", "/nowhere/x.yaml")
    with pytest.raises(PetFlowsError, match="names /nowhere/x"):
        get_settings()


def test_relative_paths_start_where_the_process_started(monkeypatch, tmp_path):
    from pet_flows import START_DIRECTORY

    monkeypatch.setenv("PET_FLOWS_STORE", "mine.db")
    monkeypatch.chdir(tmp_path)
    assert get_settings().store == START_DIRECTORY / "mine.db"
