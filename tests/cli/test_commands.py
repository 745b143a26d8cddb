"""Single commands as a new user meets them: what they print, what they refuse, how they end."""

import io
import json
import sys
from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import write

import pet_flows
from pet_flows.cli import COMMANDS, main
from pet_flows.cli.screen import MOST_FAILURES


def run(capsys, *words):
    """Exit code (1 for a sentence), what was printed, and the sentence on stderr."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    code = ended.value.code
    out = capsys.readouterr().out
    return (1, out, code) if isinstance(code, str) else (code or 0, out, "")


@pytest.fixture
def campaign(tmp_path, monkeypatch, capsys):
    """Statics of fcc copper, and of xenon and what is no element, which fail: metals."""
    monkeypatch.chdir(tmp_path)
    write("cu.extxyz", bulk("Cu"))
    Path("qq.vasp").write_text("x\n1\n3 0 0\n0 3 0\n0 0 3\nQq\n1\nDirect\n0 0 0\n")
    write("many.extxyz", [bulk("Xe", "fcc", a=6 + 0.01 * n) for n in range(MOST_FAILURES + 2)])
    return run(
        capsys,
        "screen",
        "cu.extxyz",
        "qq.vasp",
        "many.extxyz",
        "-p",
        "static,static",
        "-n",
        "metals",
    )


def test_campaigns_are_named(campaign, capsys):
    code, said, _ = campaign
    assert code == 3
    assert said.count("static   1 ok, 23 failed") == 1  # a property asked for twice is one
    assert f"{MOST_FAILURES + 4} results" in said
    assert "failed: qq in qq.vasp (static): 'Qq' is not an element: name one there." in said
    assert said.count("  failed: ") == MOST_FAILURES
    assert "in many.extxyz (static): The model was not trained on Xe" in said
    assert (
        """and 3 more, which pet-flows query metals --filter '{"state": "failed"}' lists""" in said
    )

    for command in ("query", "compare"):
        code, out, sentence = run(capsys, command, "metal")
        assert (code, out) == (1, "")
        assert sentence == "Error: There is no campaign 'metal' in this store: choose from metals."
    code, out, _ = run(capsys, "query", "metals", "--filter", '{"state": "ok"}')
    assert code == 0
    assert "1 record\n" in out
    code, out, _ = run(capsys, "query", "metals", "--filter", '{"state": "unconverged"}')
    assert (code, out) == (0, "No record matches.\n")  # of a campaign that there is


def test_a_model_card_is_readable(capsys, monkeypatch):
    code, out, _ = run(capsys, "models", "pet-mvl")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 100
    lines = [line.split() for line in out.splitlines()]
    assert ["elements", "n", "energy", "meV/atom", "forces", "eV/Å", "stress", "GPa"] in lines
    rows = {words[0]: words[1:] for words in lines[-16:]}
    card = Path(pet_flows.__file__).parent / "models" / "data" / "pet-mvl.json"
    errors = json.loads(card.read_text())["validation"]
    energy, force = "energy_mae_meV_per_atom", "forces_mae_eV_per_A"
    both = {name: [f"{errors[name][energy]:.1f}", f"{errors[name][force]:.3f}"]
            for name in ("all", "Cu")}  # fmt: skip
    assert rows["all"] == ["539", *both["all"], f"{errors['all']['stress_mae_GPa']:.2f}"]
    assert rows["Cu"] == ["21", *both["Cu"]]  # its stresses are not in the validation set
    assert ["licence", "BSD-3-Clause"] in lines
    assert "{" not in out


def test_help_of_one_command(capsys):
    for name in COMMANDS:
        code, out, _ = run(capsys, "help", name)
        assert code == 0
        assert f"pet-flows {name}" in out
        assert "--help" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["screen", "prototypes:Si", "--query", '{"a": 1}'], "name it with --from-store"),
        (["compare", "x", "--picture", "x.xyz"], "must end in .png, .pdf or .svg"),
        (["compare", "x", "--picture", "nowhere/x.png"], "a folder that does not exist"),
        (["audit", "--picture", "x.xyz"], "must end in .png, .pdf or .svg"),
    ],
)
def test_mistakes_are_said_before_anything_is_done(words, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    code, out, said = run(capsys, *words)
    assert (code, out) == (1, "")
    assert sentence in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("option", "--dtype: dtype must be 'float32' or 'float64' (got 'float16')."),
        ("variable", "PET_FLOWS_DTYPE: dtype must be 'float32' or 'float64'"),
        ("file", "settings.yaml: dtype must be 'float32' or 'float64'"),
    ],
)
def test_a_bad_dtype_is_said_where_it_is(where, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["screen", "prototypes:Si"]
    if where == "option":
        words += ["--dtype", "float16"]
    elif where == "variable":
        monkeypatch.setenv("PET_FLOWS_DTYPE", "float16")
    else:
        (tmp_path / "settings.yaml").write_text("device: cpu\ndtype: float16\n")
        monkeypatch.setenv("PET_FLOWS_CONFIG", str(tmp_path / "settings.yaml"))
    code, out, said = run(capsys, *words)
    assert (code, out) == (1, "")
    assert sentence in said
    assert "None" not in said


def test_a_missing_gpu_is_said_before_a_campaign_is_registered(tmp_path, monkeypatch, capsys):
    from torch.cuda import is_available

    if is_available():
        pytest.skip("there is one")
    monkeypatch.chdir(tmp_path)
    code, out, said = run(capsys, "screen", "prototypes:Si", "--device", "cuda", "--name", "x")
    assert (code, out) == (1, "")
    assert "torch sees no CUDA" in said
    _, _, said = run(capsys, "query", "x")
    assert "There is no result store" in said
