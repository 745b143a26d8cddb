"""Pages that docstrings write: what ``import pet_flows`` gives, all modules, and the API of each.

MkDocs calls `on_config` and `on_files`, tests call `pages`. Nothing here imports torch.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pet_flows"
#: packages as they import each other, lowest first; others come after these
ORDER = (
    "geometry", "crystallography", "symmetrization", "audit", "models", "engines", "export",
    "properties", "records", "store", "inputs", "dft", "compare", "report", "jobs", "flows",
    "launch", "cli",
)  # fmt: skip
#: a link as Sphinx has it
ROLE = re.compile(r":(?:class|func|meth|mod|attr|data):`[.~]*([\w.]+)`")


def pages() -> dict[str, str]:
    """Path in the site → Markdown."""
    return {"reference/modules.md": modules_page(), **api_pages()}


def on_config(config: Any) -> Any:
    """Put the API's pages into the navigation."""
    for entry in config.nav:
        if isinstance(entry, dict) and "API" in entry:
            entry["API"] = list(api_pages())
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add these pages to those of docs/."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def api_pages() -> dict[str, str]:
    """A page for what ``import pet_flows`` gives, and one for each package with its modules."""
    made = {"reference/api/pet_flows.md": front_page()}
    for name in _packages():
        dotted = f"pet_flows.{name.replace('/', '.')}"
        modules = _modules(PACKAGE / name)
        if modules:
            tree = ast.parse((PACKAGE / name / "__init__.py").read_text("utf-8"))
            lines = [f"# {name.replace('/', '.')}", "", ast.get_docstring(tree) or "", ""]
            lines += [f"::: {dotted}.{own}\n" for own in _defined(tree)]
            lines += [f"::: {dotted}.{module}\n" for module in modules]
            made[f"reference/api/{name.replace('/', '.')}.md"] = "\n".join(lines)
    return made


def front_page() -> str:
    """What ``import pet_flows`` gives, and the modules beside the packages."""
    import pet_flows
    from pet_flows.properties.registry import properties

    lines = [
        "# pet_flows",
        "",
        "What a script needs, after `import pet_flows`. Everything else is for those who change "
        "pet_flows.",
        "",
        "| `pet_flows.` | |",
        "|---|---|",
    ]
    for name in pet_flows.__all__:
        if name in properties():
            title = properties()[name].title
            about = f"{title[0].upper()}{title[1:]}. [Settings](../settings.md#{name}), "
            about += f"[result](../results.md#{name}), arguments as of `compute`."
            lines.append(f"| `{name}` | {about} |")
        elif name in pet_flows._PUBLIC:
            module, about = _definition(pet_flows._PUBLIC[name], name)
            lines.append(f"| [`{name}`][{module}.{name}] | {_cell(about)} |")
    lines += ["", *(f"::: pet_flows.{module}\n" for module in _modules(PACKAGE))]
    return "\n".join(lines)


def modules_page() -> str:
    """Every module with the first line of its docstring."""
    lines = ["# Modules", "", "Packages as they import each other, lowest first.", ""]
    for name in _packages():
        dotted = f"pet_flows.{name.replace('/', '.')}"
        api = f"api/{name.replace('/', '.')}.md"
        modules = _modules(PACKAGE / name)
        shown = f"[{dotted}]({api})" if modules else dotted
        lines += [f"## {shown}", "", _first_line(PACKAGE / name / "__init__.py"), ""]
        if modules:
            lines += ["| module | |", "|---|---|"]
            for module in modules:
                about = _first_line(PACKAGE / name / f"{module}.py")
                about = ROLE.sub(lambda found: f"`{found[1]}`", about)
                lines.append(f"| `{module}` | {_cell(about)} |")
            lines.append("")
    return "\n".join(lines)


def _first_line(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return text.split("\n\n")[0]


def _definition(module: str, name: str) -> tuple[str, str]:
    """Module that defines a name, and the first paragraph of its docstring; nothing is imported."""
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return module, (ast.get_docstring(node) or "").split("\n\n")[0]
        if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]:
            return _definition(str(node.module), name)
    raise LookupError(f"{module} does not define {name}.")


def _defined(tree: ast.Module) -> list[str]:
    """Public functions and classes that a package itself defines."""
    defined = (n.name for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef))
    return [name for name in defined if not name.startswith("_")]


def _modules(folder: Path) -> list[str]:
    names = (path.stem for path in folder.glob("*.py"))
    return sorted(name for name in names if name not in ("__init__", "__main__"))


def _packages() -> list[str]:
    """Packages by path below pet_flows, in the order of the house."""
    found = [path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("__init__.py")]
    tops = [*ORDER, *sorted({name.split("/")[0] for name in found} - set(ORDER))]
    return sorted(
        (name for name in found if name != "."), key=lambda n: (tops.index(n.split("/")[0]), n)
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
