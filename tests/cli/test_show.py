"""pet-flows show: one record as a person reads it."""

import re
import subprocess
import sys

from pet_flows.store.results import ResultStore
from tests.cli.stored import made, potential, run
from tests.plots.examples import EXAMPLES


def shown(capsys, *words):
    code, out, err = run(capsys, "show", *words)
    assert code == 0, err
    assert max(map(len, out.splitlines())) <= 100
    return out


def test_a_record(keys, capsys):
    out = shown(capsys, "mp-149", "-p", "eos")
    lines = out.splitlines()
    assert lines[0] == "eos of Si (mp-149): equation of state"
    rows = {
        m[1].strip(): m[2] for line in lines if (m := re.match(r" *(\S[^.]{1,20}?)  +(.*)", line))
    }
    assert rows["state"] == "ok"
    assert rows["in short"] == "V0 20.000 Å³/atom, B0 100.0 GPa"
    assert rows["key"] == keys["eos"]
    assert rows["potential"] == "pet-mvl, crystal, float64 (trained on PBE)"
    assert rows["structure"] == "Si, 2 atoms per cell, space group Fd-3m (227)"
    assert rows["cell"].startswith("a 3.8396, b 3.8396, c 3.8396 Å; α 60.00")
    assert re.fullmatch(r"100 GPa +bulk modulus at that volume", rows["b0"])
    assert rows["starts from"].endswith(keys["relax"])
    assert "12 model evaluations in 1.50 s on cpu" in rows["computed"]
    assert rows["metals"] == "mp-149, mp-149.cif"
    assert rows["curve"] == f"pet-flows plot {keys['eos'][:12]} --plot curve"
    assert "settings that are not the default" not in out


def test_settings_blobs_nested_results_and_tables(keys, capsys):
    out = shown(capsys, keys["md"])
    assert re.search(r"temperature +600 K +default 300\n", out)
    assert re.search(r"temperature +target 600 K, mean 650 K, std 1 K\n", out)
    assert "trajectory " in out
    assert "kinetic (21)" in out
    assert "16 atoms per cell" in out  # of the final structure
    out = shown(capsys, keys["phonon"])
    assert re.search(r"thermal +T \(K\) +cv \(J/K/mol\) +s \(J/K/mol\) +f \(kJ/mol\)\n", out)
    assert re.search(r"projected_dos\s+\(2×161\)", out)
    assert "1  0  0\n" in out


def test_a_failed_record_says_why_and_what_to_do(keys, capsys):
    out = shown(capsys, "my xenon")
    assert "failed, unknown_element: The model was not trained on Xe." in out
    assert "computed again only with --retry-failed" in out
    assert "plots" not in out
    out = shown(capsys, "mp-30", "-p", "eos")
    assert "unconverged, killed: It was killed; start it again." in out


def test_a_property_that_is_not_installed(keys, capsys):
    out = shown(capsys, "ffffff")
    assert "a property that is not installed here" in out
    assert re.search(r"k_ic +0.9", out)
    assert re.search(r"crack +3", out)


def test_several_records_are_listed(keys, capsys):
    out = run(capsys, "show", "mp-149")[1]
    assert "7 records" in out
    assert keys["kappa"][:12] in out
    assert "or name its property with --property" in out
    assert "potential" not in out  # the same for all


def test_records_of_two_potentials_are_told_apart(keys, capsys):
    other = potential("pet-mad", dtype="float32")
    with ResultStore.open() as store:
        store.put(*made(EXAMPLES["eos"], potential=other))
    out = run(capsys, "show", "mp-149", "--property", "eos")[1]
    lines = [line.split() for line in out.splitlines() if " eos " in line]
    assert len(lines) == 2
    assert {name for line in lines for name in line if name.startswith("pet-")} == {
        "pet-mvl", "pet-mad",
    }  # fmt: skip
    assert sum("float32" in line for line in lines) == 1


def test_sentences(keys, capsys):
    assert (
        "metals is a campaign: list its records with pet-flows query metals"
        in run(capsys, "show", "metals")[2]
    )
    assert "did you mean 'mp-149'" in run(capsys, "show", "mp-194")[2]
    assert "mp-30 has no record of phonon" in run(capsys, "show", "mp-30", "-p", "phonon")[2]


def test_what_looks_at_records_is_imported_when_it_is_needed():
    code = (
        "import sys; from pet_flows.cli import plot, query, report, show; "
        "assert not {'numpy', 'pymatgen', 'matplotlib', 'ase', 'maggma'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
