"""Examples of the documentation do what they say, and commands in it are commands there are."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from ase.build import bulk

import pet_flows
from pet_flows.cli import COMMANDS, main
from pet_flows.cli.screen import SOME_FAILED
from pet_flows.dft import sources
from pet_flows.properties import registry
from tests.docs.examples import (
    PAGES,
    ROOT,
    blocks,
    indented,
    missing_lines,
    mongodb,
    name_of,
    run_python,
    write_file,
)

MARK = re.compile(r"tested(: mongodb)?|file: \S+|not run: \w.*")
#: README has tests of its own, which look at what its blocks print
DOCS = [page for page in PAGES if page.name != "README.md"]


def forget() -> None:
    """Which packages there are."""
    registry.forget()
    sources.forget()


def pages(mark: str) -> list:
    found = [page for page in DOCS if any(block.mark == mark for block in blocks(page))]
    return [pytest.param(page, id=name_of(page)) for page in found]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a page's examples run; packages that lie there are importable and found."""

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    forget()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_python_block_is_tested_or_says_why_not(page):
    for block in blocks(page):
        if block.language == "python":
            assert MARK.fullmatch(block.mark), f"{name_of(page)}, line {block.line}"


@pytest.mark.parametrize("page", pages("tested"))
def test_examples_run_and_print_what_the_page_says(page, folder, capsys):
    space: dict[str, object] = {}
    printed = ""
    for block in blocks(page):
        if block.mark == "printed":
            missing = missing_lines(block.code, printed)
            assert not missing, f"{name_of(page)}, line {block.line}:\n{missing}\nin\n{printed}"
        if block.file is not None:
            write_file(block, folder)
            forget()
        if block.mark != "tested":
            continue
        if block.language == "python":
            run_python(block, page, space)
        for words in block.commands() if block.language == "sh" else []:
            run_command(words)
        printed = capsys.readouterr().out


def run_command(words: list[str]) -> None:
    """A command that cannot do its work ends the test; some structures may fail."""
    try:
        main(words)
    except SystemExit as ended:
        if ended.code not in (None, 0, SOME_FAILED):
            raise


def test_a_property_of_ones_own_is_short_and_is_computed_right(folder):
    page = ROOT / "docs" / "howto" / "add-a-property.md"
    for block in blocks(page):
        if block.file is not None:
            write_file(block, folder)
    forget()
    assert len((folder / "vacancy.py").read_text().splitlines()) < 60
    silicon = bulk("Si").repeat(2)
    potential = pet_flows.load_potential("pet-mvl", symmetrization="none")
    found = pet_flows.vacancy(bulk("Si"), potential, lengths=(7.0,))
    silicon.calc = pet_flows.SymmetrizedCalculator(potential)
    whole = silicon.get_potential_energy()
    del silicon[0]
    expected = silicon.get_potential_energy() - len(silicon) / 16 * whole
    assert found.energy == pytest.approx(expected, abs=1e-9)
    salt = pet_flows.vacancy(bulk("SiGe", "zincblende", a=5.5), potential)
    assert (salt.state, salt.reason) == ("failed", "no_element")


def test_a_misspelt_setting_is_refused_as_the_tutorial_says(folder):
    page = ROOT / "docs" / "tutorial.md"
    (campaign,) = [block for block in blocks(page) if block.file == "campaign.yaml"]
    (said,) = [block.code for block in blocks(page) if block.code.startswith("Error:")]
    (folder / "campaign.yaml").write_text(campaign.code.replace("min_length", "min_lenght"))
    with pytest.raises(SystemExit) as ended:
        main(["screen", "campaign.yaml"])
    assert str(ended.value.code) == said.strip()


@pytest.mark.parametrize("page", pages("tested: mongodb"))
def test_examples_of_a_server_run(page, mongodb_uri, mongodb_database):
    for block in blocks(page):
        if block.mark == "tested: mongodb":
            run_python(mongodb(block, mongodb_uri, mongodb_database), page, {})


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_options_exist(page):
    for block in [*blocks(page), *indented(page)]:
        for name, *words in block.commands() if block.language == "sh" else []:
            if name.startswith("-") or name in ("help", "COMMAND"):
                continue
            assert name in COMMANDS, f"{name_of(page)}, line {block.line}: pet-flows {name}"
            used = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
            unknown = used - options(name)
            assert not unknown, f"{name_of(page)}, line {block.line}: pet-flows {name} {unknown}"


@cache
def options(name: str) -> set[str]:
    import typer

    app = typer.Typer(add_completion=False)
    app.command(help=None)(import_module(f"pet_flows.cli.{name}").command)
    command = typer.main.get_command(app)
    return {name for parameter in command.params for name in parameter.opts} | {"--help"}
