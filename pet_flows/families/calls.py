"""``MODULE.CLASS(sigma=3.4)`` read without running anything: names and literal values only."""

from __future__ import annotations

import ast
import hashlib
import json
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from pet_flows.errors import PetFlowsError
from pet_flows.models.catalogue import sha256_of
from pet_flows.models.family import Weights
from pet_flows.models.installed import source_of


@dataclass(frozen=True)
class Call:
    """A class or function and what it is called with."""

    module: str
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __str__(self) -> str:
        given = [repr(one) for one in self.args]
        given += [f"{name}={value!r}" for name, value in sorted(self.kwargs.items())]
        return f"{self.module}.{self.name}({', '.join(given)})"

    def files(self) -> list[Path]:
        """Files that are named by the values."""
        values = [*self.args, *(self.kwargs[name] for name in sorted(self.kwargs))]
        return [Path(one) for one in values if isinstance(one, str) and Path(one).is_file()]

    def weights(self, family: str) -> Weights:
        """What identifies the potential: the call, the source of its class, the files it names."""
        source = source_of(self.module)
        parts = [str(self), sha256_of(source), *map(sha256_of, self.files())]
        identity = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        return Weights(self.name, f"{family}:{self}", source, not self.files(), identity)

    def make(self, base: type, **more: Any) -> Any:
        """Call it; with what is given besides as far as it knows that and the text is silent.

        Parameters
        ----------
        base
            What it must be a subclass of: a name in a file must not run whatever there is.

        Raises
        ------
        PetFlowsError
            The module has no such class, or it refuses the values.
        """
        made = getattr(import_module(self.module), self.name, None)
        if not (isinstance(made, type) and issubclass(made, base)):
            raise PetFlowsError(
                f"{self.module}.{self.name} is not a subclass of {base.__module__}."
                f"{base.__name__}: use one that is, with its module."
            )
        try:
            known = signature(made).parameters
            taken = set(list(known)[: len(self.args)]) | set(self.kwargs)
            besides = {k: v for k, v in more.items() if k in known and k not in taken}
            return made(*self.args, **self.kwargs, **besides)
        except Exception as error:  # whatever somebody else's class raises
            said = (str(error).splitlines() or [""])[0]
            raise PetFlowsError(
                f"{self} cannot be made ({type(error).__name__}: {said}): correct what it is "
                "called with."
            ) from None


def parse_call(text: str, form: str) -> Call:
    """The call that a text spells; files named in it get absolute paths.

    Parameters
    ----------
    text
        Such as ``ase.calculators.lj.LennardJones(sigma=3.4)``; without brackets nothing is given.
    form
        How it should look, for the error.

    Raises
    ------
    PetFlowsError
        It is no dotted name with literal values, or there is no such module.
    """
    wrong = PetFlowsError(
        f"{text!r} is not of the form {form}: give a class with its module, and numbers, strings "
        "or lists in brackets."
    )
    try:
        node = ast.parse(text.strip(), mode="eval").body
        function, args, keywords = node, [], []
        if isinstance(node, ast.Call):
            function, args, keywords = node.func, node.args, node.keywords
        module, _, name = ast.unparse(function).rpartition(".")
        values = [_value(one) for one in args]
        named = {str(one.arg): _value(one.value) for one in keywords if one.arg is not None}
    except (SyntaxError, ValueError):
        raise wrong from None
    parts = [*module.split("."), name]
    if len(parts) < 2 or len(named) != len(keywords) or not all(p.isidentifier() for p in parts):
        raise wrong
    return Call(module, name, tuple(values), named)


def _value(node: ast.expr) -> Any:
    """A literal; a path that is there becomes absolute."""
    value = ast.literal_eval(node)
    if isinstance(value, str) and value and Path(value).expanduser().is_file():
        return str(Path(value).expanduser().resolve())
    return value
