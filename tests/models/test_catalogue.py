"""Names, files, hashes, and the sentence for each way in which they can be wrong."""

import subprocess
import sys

import pytest
import torch

from pet_flows.errors import PetFlowsError
from pet_flows.models.catalogue import find, sha256_of
from pet_flows.models.load import load_model
from pet_flows.models.resolve import resolve
from pet_flows.models.spec import PotentialSpec
from tests.rough import rough_model, save_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("models") / "mine.ckpt")


def test_bundled_model_has_a_card_and_loads():
    file = find("pet-mvl")
    assert file.functional == "PBE"
    assert file.path.stat().st_size < 10e6
    model = load_model(PotentialSpec(model="pet-mvl", device="cpu"))
    assert list(model.capabilities().atomic_types) == [3, 14, 28, 29, 32, 41, 42, 73, 74]


def test_pickle_is_opened_only_when_trusted(checkpoint):
    with pytest.raises(PetFlowsError, match="--trust") as refused:
        find(str(checkpoint))
    assert sha256_of(checkpoint) in str(refused.value)
    assert find(str(checkpoint), trust=True).trusted
    assert find(str(checkpoint), sha256=sha256_of(checkpoint)).path == checkpoint


def test_resolved_spec_travels_without_asking_again(checkpoint):
    spec = resolve(PotentialSpec(model=str(checkpoint), device="cpu"), trust=True).spec
    assert spec.sha256 == sha256_of(checkpoint)
    again = PotentialSpec.model_validate_json(spec.model_dump_json())
    assert again.digest == spec.digest
    assert load_model(again) is load_model(spec)  # one copy in the process


def test_digest_ignores_path_and_device_but_not_physics(checkpoint):
    spec = resolve(PotentialSpec(model=str(checkpoint)), trust=True).spec
    assert spec.digest == spec.with_(device="cpu", model="elsewhere.ckpt").digest
    assert spec.digest != spec.with_(dtype="float32").digest
    assert spec.digest != spec.with_(symmetrization="none").digest


def test_exported_model_loads_in_both_precisions(tmp_path):
    path = tmp_path / "exported.pt"
    rough_model().save(str(path))
    for dtype in ("float64", "float32"):
        model = load_model(PotentialSpec(model=str(path), dtype=dtype, device="cpu"))
        assert model.capabilities().dtype == dtype
        assert next(model.parameters()).dtype == getattr(torch, dtype)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("pet-mvll", "No model is called 'pet-mvll'; did you mean pet-mvl"),
        ("PET-MAD-S", "'PET-MAD-S'; did you mean pet-mad-s"),
        ("something", "No model is called 'something'. Use a bundled name .pet-mvl., a upet"),
        ("nowhere.ckpt", "There is no model file at nowhere.ckpt"),
        ("folder/model.onnx", "neither a metatrain checkpoint"),
    ],
)
def test_wrong_names_get_one_sentence(name, sentence):
    with pytest.raises(PetFlowsError, match=sentence):
        find(name)


def test_other_hash_than_asked_for(checkpoint):
    with pytest.raises(PetFlowsError, match="was asked for"):
        find(str(checkpoint), sha256="0" * 64)


def test_truncated_and_foreign_files(tmp_path, checkpoint):
    truncated = tmp_path / "half.ckpt"
    truncated.write_bytes(checkpoint.read_bytes()[:20_000])
    with pytest.raises(PetFlowsError, match="truncated"):
        load_model(PotentialSpec(model=str(truncated)), trust=True)
    foreign = tmp_path / "foreign.ckpt"
    torch.save({"weights": torch.zeros(3)}, foreign)
    with pytest.raises(PetFlowsError, match="names no architecture"):
        load_model(PotentialSpec(model=str(foreign)), trust=True)
    other = tmp_path / "other.ckpt"
    torch.save({"architecture_name": "nonsense", "best_epoch": 0}, other)
    with pytest.raises(PetFlowsError, match="nonsense"):
        load_model(PotentialSpec(model=str(other)), trust=True)
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(PetFlowsError, match="truncated"):
        load_model(PotentialSpec(model=str(broken)))


def test_unknown_device_is_one_sentence(checkpoint):
    spec = PotentialSpec(model=str(checkpoint), sha256=sha256_of(checkpoint), device="gpu7")
    with pytest.raises(PetFlowsError, match="cuda:N"):
        load_model(spec)


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:", ""])
def test_unknown_device_is_noticed_before_jobs_are_submitted(device):
    with pytest.raises(PetFlowsError, match="cuda:N"):
        resolve(PotentialSpec(device=device))


def test_loading_leaves_logging_alone():
    """Or every DEBUG line of FireWorks is printed by a worker."""
    code = (
        "import logging\n"
        "from pet_flows.models.load import load_model\n"
        "from pet_flows.models.spec import PotentialSpec\n"
        "load_model(PotentialSpec(model='pet-mvl', device='cpu'))\n"
        "print(logging.root.handlers)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
