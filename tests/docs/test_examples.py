"""Examples of the documentation do what they say, and commands in it are commands there are."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from pet_flows.cli import COMMANDS, main
from pet_flows.dft import sources
from pet_flows.properties.registry import properties
from tests.docs.examples import (
    PAGES,
    blocks,
    missing_lines,
    mongodb,
    name_of,
    run_python,
    write_files,
)

MARK = re.compile(r"tested(: mongodb)?|file: \S+|not run: \w.*")
#: README has tests of its own, which look at what its blocks print
DOCS = [page for page in PAGES if page.name != "README.md"]


def pages(mark: str) -> list:
    found = [page for page in DOCS if any(block.mark == mark for block in blocks(page))]
    return [pytest.param(page, id=name_of(page)) for page in found]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a page's examples run; packages that lie there are importable and found."""

    def forget() -> None:
        properties.cache_clear()
        sources.sources.cache_clear()
        sources._index.cache_clear()

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
    write_files(page, folder)
    properties.cache_clear()
    space: dict[str, object] = {}
    printed = ""
    for block in blocks(page):
        if block.mark == "printed":
            missing = missing_lines(block.code, printed)
            assert not missing, f"{name_of(page)}, line {block.line}:\n{missing}\nin\n{printed}"
        if block.mark != "tested":
            continue
        if block.language == "python":
            run_python(block, page, space)
        for words in block.commands() if block.language == "sh" else []:
            run_command(words)
        printed = capsys.readouterr().out


def run_command(words: list[str]) -> None:
    """A command that ends in an error code ends the test with its sentence."""
    try:
        main(words)
    except SystemExit as ended:
        if ended.code:
            raise


@pytest.mark.parametrize("page", pages("tested: mongodb"))
def test_examples_of_a_server_run(page, mongodb_uri, mongodb_database):
    for block in blocks(page):
        if block.mark == "tested: mongodb":
            run_python(mongodb(block, mongodb_uri, mongodb_database), page, {})


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_options_exist(page):
    for block in blocks(page):
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
