"""What there is, is documented; and links lead somewhere."""

from __future__ import annotations

import re
import sys
from importlib.util import module_from_spec, spec_from_file_location

import pytest
import yaml

import pet_flows.jobs
from pet_flows.cli import COMMANDS
from pet_flows.flows.campaign_file import CampaignFile
from pet_flows.properties.execution import Execution
from pet_flows.properties.registry import properties
from pet_flows.settings import Settings
from pet_flows.validate import inner_model
from tests.docs.examples import PAGES, ROOT, name_of
from tests.test_layers import LAYERS

DOCS = ROOT / "docs"
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def generated():
    """Pages that docs/generate.py and generate_api.py write."""
    made = {}
    for name in ("generate", "generate_api"):
        spec = spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
        module = module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        made |= module.pages()
    return made


def section(text: str, heading: str) -> str:
    """What stands under a heading of second level."""
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name, generated):
    rows = section(generated["reference/commands.md"], name).splitlines()
    for option, meaning, *_ in [row.split(" | ") for row in rows if row.startswith("| `")]:
        assert len(meaning) > 5, f"pet-flows {name}: {option} has no help"


@pytest.mark.parametrize("name", properties())
def test_every_setting_and_result_is_documented(name, generated):
    declared = properties()[name]
    settings = section(generated["reference/settings.md"], name)
    results = section(generated["reference/results.md"], name)
    for model, page in ((declared.settings, settings), (declared.result, results)):
        for field, description in fields(model):
            (row,) = [line for line in page.splitlines() if line.startswith(f"| `{field}` |")]
            assert description, f"{name}: {field} has no description"
            assert " ".join(description.split()).replace("|", "\\|") in row


def fields(model, prefix=""):
    """Names and descriptions of a model's fields, those of models within it included."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", field.description
        if (inner := inner_model(field.annotation)) is not None:
            yield from fields(inner, f"{prefix}{name}.")


@pytest.mark.parametrize("model", [Settings, Execution, CampaignFile])
def test_every_setting_of_process_execution_and_campaign_is_documented(model, generated):
    page = generated["reference/settings.md"]
    for name, description in fields(model):
        assert description, f"{model.__name__}.{name} has no description"
        assert f"| `{name}` |" in page


def test_every_maker_is_documented():
    page = (DOCS / "howto" / "jobflow.md").read_text()
    for name in pet_flows.jobs.__all__:
        assert f"`{name}`" in page, f"{name} is not in howto/jobflow.md"


def test_the_front_door_is_documented(generated):
    page = generated["reference/api/pet_flows.md"]
    for name in pet_flows.__all__:
        row = re.search(rf"^\| \[?`{name}`.* \| (.*) \|$", page, re.MULTILINE)
        assert name == "__version__" or (row and len(row[1]) > 10), f"pet_flows.{name}"
    shown = set(re.findall(r"^::: (\S+)", "\n".join(generated.values()), re.MULTILINE))
    for target in re.findall(r"\]\[(\S+)\]", page):
        assert target in shown or target.rpartition(".")[0] in shown, target


def test_the_architecture_names_every_layer_in_its_order():
    page = (DOCS / "architecture.md").read_text()
    rows = re.findall(r"^\| (`[^|]+`) \|", page.split("## ")[0], re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(rows)) == list(LAYERS)


def test_make_help_lists_every_target():
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    for target in targets.split():
        assert re.search(rf"^{target}:[^#]*## .", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_every_page_is_in_the_navigation(generated):
    text = (ROOT / "mkdocs.yml").read_text()
    listed = set(re.findall(r"^ +- (?:[\w ]+: )?([\w/.-]+\.md)", text, re.MULTILINE))
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    by_code = {page for page in generated if not page.startswith("reference/api/")}
    assert listed == written | by_code


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page, generated):
    site = {(DOCS / path).resolve(): text for path, text in generated.items()}
    for found in LINK.finditer(page.read_text()):
        target, _, anchor = (found[1] or found[2]).partition("#")
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists() or path in site, f"{name_of(page)}: {found[0]}"
        if anchor:
            text = site[path] if path in site else path.read_text()
            assert anchor in headings(text), f"{name_of(page)}: {found[0]}"


def headings(text: str) -> set[str]:
    """Anchors as MkDocs and GitHub make them of headings."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_the_glossary_is_in_order_and_says_one_thing_of_each_word():
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", (DOCS / "glossary.md").read_text(), re.M)
    words = [word for word, _ in rows[1:] if not set(word) <= {"-"}]
    assert len(words) >= 30
    assert words == sorted(set(words), key=str.lower)
    for word, meaning in rows[1:]:
        if not set(word) <= {"-"}:
            assert meaning.endswith("."), word
            assert ". " not in meaning, word


def test_nothing_is_fetched_from_elsewhere():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert config["theme"]["font"] is False
    assert all("://" not in script for script in config["extra"]["polyfills"])
