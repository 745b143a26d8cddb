"""Settings: environment above file above default, and mistakes named with their line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pet_flows.errors import PetFlowsError
from pet_flows.jobs import RelaxMaker
from pet_flows.models.spec import PotentialSpec
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
        (
            "model: x\ndtype: float16\n",
            "Line 2 of .*yaml: dtype must be 'float32' or .* .got 'float16'",
        ),
        (
            "\n\nmodle: x\n",
            "Line 3 of .*yaml: there is no setting 'modle': did you mean 'model'",
        ),
        ("model: x\n  dtype: y\n", "Line 2 of .*settings.yaml"),
        ("- a\n", "must hold lines"),
    ],
)
def test_a_bad_line_is_named(settings_file, content, sentence):
    settings_file.write_text(content)
    with pytest.raises(PetFlowsError, match=sentence):
        get_settings()


def test_a_bad_variable_is_named(settings_file, monkeypatch):
    monkeypatch.setenv("PET_FLOWS_MAX_ATTEMPTS", "many")
    with pytest.raises(
        PetFlowsError,
        match="MAX_ATTEMPTS: max_attempts must be a whole number",
    ):
        get_settings()


def test_the_address_of_a_server_is_no_file(settings_file, monkeypatch):
    monkeypatch.setenv("PET_FLOWS_STORE", "mongodb://me:secret@db.example.org/results")
    with pytest.raises(PetFlowsError, match=r"store must be .*JOBFLOW_CONFIG_FILE") as told:
        get_settings()
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("PET_FLOWS_SYMMETRISATION", "PET_FLOWS_SYMMETRIZATION"), ("pet_flows_devise", "DEVICE")],
)
def test_a_misspelt_variable_is_not_passed_over(name, meant, settings_file, monkeypatch):
    monkeypatch.setenv(name, "none")
    with pytest.raises(PetFlowsError, match=f"{name} is not a setting: did you mean .*{meant}"):
        get_settings()


def test_a_file_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("PET_FLOWS_CONFIG", "/nowhere/x.yaml")
    with pytest.raises(PetFlowsError, match="names /nowhere/x"):
        get_settings()


def test_relative_paths_start_where_a_maker_is_made(monkeypatch, tmp_path):
    """And not where its job runs, even if nothing but the store is left to the settings."""
    monkeypatch.setenv("PET_FLOWS_STORE", "mine.db")
    monkeypatch.chdir(tmp_path)
    RelaxMaker(potential=PotentialSpec())
    (tmp_path / "job").mkdir()
    monkeypatch.chdir(tmp_path / "job")
    assert get_settings().store == tmp_path / "mine.db"


def test_a_removed_working_directory_is_no_obstacle(monkeypatch, tmp_path):
    """Importing asks nothing of it; only a relative path needs one."""
    code = """
import os, sys
os.rmdir(os.getcwd())
from pet_flows.errors import PetFlowsError
from pet_flows.models.resolve import resolve
from pet_flows.settings import get_settings
print(resolve("pet-mvl").name, get_settings().store)
os.environ["PET_FLOWS_STORE"] = "mine.db"
get_settings.cache_clear()
try:
    get_settings()
except PetFlowsError as error:
    print(error)
"""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.setenv("PET_FLOWS_STORE", "/there/mine.db")
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=gone, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    found, refused = done.stdout.splitlines()
    assert found == "pet-mvl /there/mine.db"
    assert "the relative path mine.db means nothing: give an absolute path" in refused
