"""Examples of the documentation do what they say, and commands in it are commands there are."""

from __future__ import annotations

import re
import shlex
from functools import cache
from importlib import import_module

import pytest

from pet_flows.cli import COMMANDS, main
from tests.docs.examples import PAGES, Block, blocks, mongodb, name_of, run_python

MARK = re.compile(r"tested(: mongodb)?|not run: \w.*")
#: README has tests of its own, which look at what its blocks print
DOCS = [page for page in PAGES if page.name != "README.md"]


def pages(*, with_mongodb: bool) -> list:
    mark = "tested: mongodb" if with_mongodb else "tested"
    found = [page for page in DOCS if any(block.mark == mark for block in blocks(page))]
    return [pytest.param(page, id=name_of(page)) for page in found]


def commands(block: Block) -> list[list[str]]:
    """Words of each pet-flows command in a block, without comments, redirections and pipes."""
    joined = block.code.replace("\\\n", " ")
    found = []
    for line in joined.splitlines():
        words = shlex.split(line, comments=True)
        for n, word in enumerate(words):
            if word == "pet-flows":
                ends = [k for k in range(n, len(words)) if words[k] in ("|", ">", "&", "&&", ";")]
                found.append(words[n + 1 : min(ends, default=len(words))])
                break
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_python_block_is_tested_or_says_why_not(page):
    for block in blocks(page):
        if block.language == "python":
            assert MARK.fullmatch(block.mark), f"{name_of(page)}, line {block.line}"


@pytest.mark.parametrize("page", pages(with_mongodb=False))
def test_examples_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {}
    for block in blocks(page):
        if block.mark != "tested":
            continue
        if block.language == "python":
            run_python(block, page, space)
        for words in commands(block) if block.language == "sh" else []:
            main(words)


@pytest.mark.parametrize("page", pages(with_mongodb=True))
def test_examples_of_a_server_run(page, mongodb_uri, mongodb_database):
    for block in blocks(page):
        if block.mark == "tested: mongodb":
            run_python(mongodb(block, mongodb_uri, mongodb_database), page, {})


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_options_exist(page):
    for block in blocks(page):
        for name, *words in commands(block) if block.language == "sh" else []:
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
