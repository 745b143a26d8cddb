"""Docstrings write :func:`name` as Sphinx has it; the site writes such a link in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from griffe import Alias, Extension, Module, Object

ROLE = re.compile(r":(?:class|func|meth|mod|attr|data):`[.~]*([\w.]+)`")


class Roles(Extension):
    """Makes the roles in docstrings links where the site shows what they name, else plain code."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Rewrite the docstrings of a package, once all of it is read."""
        for found in _objects(pkg):
            if found.docstring is not None:
                text = found.docstring.value
                found.docstring.value = ROLE.sub(lambda m: _link(m[1], found, pkg), text)  # noqa: B023


def _objects(within: Object) -> Iterator[Object]:
    yield within
    for member in within.members.values():
        if not isinstance(member, Alias):
            yield from _objects(member)


def _link(name: str, of: Object, pkg: Module) -> str:
    try:  # as Python would find it from there
        path = name if name.startswith(f"{pkg.name}.") else of.resolve(name)
        target = pkg[path.removeprefix(f"{pkg.name}.")]
    except Exception:  # griffe raises kinds of its own for a name that is not there
        return f"`{name}`"
    if target.docstring is None or any(part.startswith("_") for part in path.split(".")):
        return f"`{name}`"
    return f"[`{name.rpartition('.')[2]}`][{path}]"
