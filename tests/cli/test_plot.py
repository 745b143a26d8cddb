"""pet-flows plot: which records, which files, which sentences."""

from pathlib import Path

import pytest

from tests.cli.stored import run


def written(capsys, *words):
    code, out, err = run(capsys, "plot", *words)
    assert code == 0, err
    return sorted(out.split()), err


def test_a_campaign_is_drawn_into_a_folder(keys, capsys):
    names, err = written(capsys, "few")
    assert names == ["few_plots/mp-149_eos_curve.png", "few_plots/mp-149_relax_path.png"]
    assert all(Path(name).read_bytes().startswith(b"\x89PNG") for name in names)
    assert "Left out 1 record that failed." in err
    assert "Left out 1 plot: This relaxation's path is not stored" in err


def test_identifiers_keys_and_formats(keys, capsys):
    names, _ = written(capsys, "mp-149", "-p", "eos", "--format", "svg")
    assert names == ["mp-149_eos_curve.svg"]
    names, _ = written(capsys, keys["eos"][:8], keys["kappa"], "-o", "there/now")
    assert names == ["there/now/mp-149_eos_curve.png", "there/now/mp-149_kappa_conductivity.png"]
    names, _ = written(capsys, "mp-149", "mp-30", "--plot", "curve", "-o", "two")
    assert names == ["two/mp-149_eos_curve.png", "two/mp-30_eos_curve.png"]
    # a file takes one plot: that which is named, else the first
    names, _ = written(capsys, "mp-149", "--plot", "rdf", "-o", "x.pdf")
    assert names == ["x.pdf"]
    assert Path("x.pdf").read_bytes().startswith(b"%PDF")
    names, _ = written(capsys, keys["phonon"], "-o", "bands.svg")
    assert names == ["bands.svg"]
    # all of its plots
    names, _ = written(capsys, keys["phonon"])
    assert names == ["mp-149_phonon_bands.png", "mp-149_phonon_thermal.png"]


def test_records_of_one_name_have_files_of_their_own(keys, capsys):
    from pet_flows.store.results import ResultStore
    from tests.cli.stored import made, potential
    from tests.plots.examples import EXAMPLES

    with ResultStore.open() as store:
        store.put(*made(EXAMPLES["eos"], potential=potential("another")))
        store.add_source(keys["eos"], {"campaign": "mine", "material_id": "a name of mine"})
    names, _ = written(capsys, "mp-149", "-p", "eos")
    assert len(names) == 2
    assert len({Path(name).name for name in names}) == 2
    assert "mp-149_eos_curve.png" in names
    names, _ = written(capsys, "mine", "-o", ".")
    assert names == ["a-name-of-mine_eos_curve.png"]


def test_a_run_that_ended_early_is_drawn_as_far_as_it_went(keys, capsys):
    from pet_flows.store.results import ResultStore
    from tests.cli.stored import made
    from tests.plots.examples import EXAMPLES

    exploded = {"result": {"ensemble": "nve"}, "blobs": EXAMPLES["md"].arrays}
    with ResultStore.open() as store:
        store.put(*made(EXAMPLES["md"], "hot", state="failed", outcome=exploded))
    names, _ = written(capsys, "hot", "--plot", "run")
    assert names == ["hot_md_run.png"]
    code, _, said = run(capsys, "plot", "hot", "--plot", "msd")
    assert code == 1
    assert "the md of hot ended early (killed) and lacks 'diffusion'" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["mp-148"], "There is no record, identifier or campaign 'mp-148' in this store: did you "
         "mean 'mp-149'?"),
        (["mtals"], "did you mean 'metals'?"),
        (["metals", "--plot", "bnds"], "There is no plot 'bnds': did you mean 'bands'?"),
        (["metals", "-p", "eos", "--plot", "bands"], "no plot of eos 'bands'"),
        (["metals", "-p", "eso"], "no property 'eso'"),
        (["mp-149", "-o", "x.png"], "--output x.png is one file, and there are 5 records to draw"),
        (["mp-149", "-o", "x.gif"], "must end in .png, .pdf or .svg"),
        (["mp-149", "-o", "nowhere/x.png"], "a folder that does not exist"),
        (["mp-149", "-o", "x.png", "--format", "svg"], "does not fit --format svg"),
        (["mp-149", "-p", "static"], "has no record of static"),
        (["my xenon"], "all that was computed of my xenon failed"),
        (["mp-30", "--plot", "path"], "This relaxation's path is not stored"),
    ],
)  # fmt: skip
def test_mistakes_end_in_one_sentence(words, sentence, keys, capsys):
    code, out, said = run(capsys, "plot", *words)
    assert (code, out) == (1, "")
    assert sentence.lower() in said.lower()
    assert "\n" not in said


def test_beginnings_of_several_keys_are_refused(keys, capsys):
    from pet_flows.store.results import ResultStore

    with ResultStore.open() as store:
        record = store.get(keys["eos"])
        blobs = {}
        for last in "0123":
            store.put({**record, "_id": "abcdef" + last * 26}, blobs)
    code, _, said = run(capsys, "plot", "abcdef")
    assert code == 1
    assert "The keys of several records begin with abcdef: " in said
    assert "abcdef0000… (eos of Si)" in said
    assert "and more" in said
    code, out, _ = run(capsys, "plot", "abcdef2", "-o", "one.png")
    assert (code, out) == (0, "one.png\n")
