"""The campaign file that makes a campaign again, from its records and its manifest."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from pet_flows.inputs.prototypes import PROTOTYPES
from pet_flows.models.catalogue import bundled
from pet_flows.models.family import family_of
from pet_flows.models.hub import UPET_NAME
from pet_flows.properties.registry import properties
from pet_flows.report.values import counted
from pet_flows.symmetrization.spec import serving

#: files that are named one by one; more of them by their folders
_FILES = 200
#: what YAML reads as it stands, in lists too, and as text
_PLAIN = re.compile(r"(?:\.{0,2}/)?[A-Za-z_][\w./+-]*")
_NO_TEXT = frozenset(("true", "false", "yes", "no", "on", "off", "null", "y", "n"))


class Inputs:
    """Where the structures of a campaign came from, gathered record by record."""

    def __init__(self) -> None:
        self._files: Counter[str] = Counter()
        self._prototypes: dict[str, set[str]] = {}
        self._collections: dict[str, set[str]] = {}
        self._others: set[str] = set()

    def add(self, source: Mapping[str, Any]) -> None:
        """Take note of one source of a record."""
        name = str(source.get("material_id") or "")
        if path := source.get("path"):
            self._files[str(path)] += 1
        elif source.get("database") or source.get("collection"):
            place = "/".join(str(source[k]) for k in ("database", "collection") if source.get(k))
            self._collections.setdefault(place, set()).add(name)
        elif (prototype := _prototype(source)) is not None:
            self._prototypes.setdefault(prototype[0], set()).add(prototype[1])
        else:
            self._others.add(name)

    def lines(self) -> list[str]:
        """Lines of the file: ``inputs:`` as `pet_flows.read_inputs` takes them, and comments.

        A comment says what no input can name: structures that were given in Python or came from a
        database, and elements of which the campaign has some prototypes only.
        """
        whole = [e for e, found in self._prototypes.items() if found == set(PROTOTYPES)]
        named = [f"prototypes:{','.join(whole)}"] if whole else []
        comments = []
        files = list(self._files)
        if len(files) > _FILES:
            comments.append(f"{len(files)} files, which are named by their folders:")
            files = list(dict.fromkeys(str(PurePath(file).parent) for file in files))
        for element in self._prototypes.keys() - set(whole):
            there = ", ".join(sorted(self._prototypes[element]))
            comments.append(f"Of {element} only {there}; prototypes:{element} would be all five.")
        for place, names in self._collections.items():
            said = counted(len(names), "structure")
            comments.append(f"{said} of {place}, a database: see from_store, --query.")
        if self._others:
            comments.append(
                f"{counted(len(self._others), 'structure')} given in Python, to "
                "pet_flows.screen: write them into files."
            )
        inputs = [*named, *map(text, files)]
        found = [f"  # {' '.join(comment.split())}" for comment in comments]
        if not inputs:
            return ["inputs: []", *found]
        return ["inputs:", *found, *(f"  - {one}" for one in inputs)]


def campaign_file(
    name: str,
    manifest: Mapping[str, Any],
    potentials: Sequence[Mapping[str, Any]],
    inputs: Inputs,
) -> str:
    """Campaign file (see ``pet-flows init``) with the settings that are not the default.

    Parameters
    ----------
    name
        Of the campaign.
    manifest
        As `pet_flows.store.campaigns.Campaigns` has it.
    potentials
        As records have them; their weights are named with their hash.
    inputs
        Of all records.
    """
    lines = [f"name: {text(name)}", *inputs.lines(), *_potentials(manifest, potentials)]
    lines.append("properties:")
    known = properties()
    for which in manifest.get("properties", ()):
        lines.append(f"  {which}:")
        prop = known.get(which)
        defaults: Mapping[str, Any] = {}
        own: Mapping[str, Any] = {}
        if prop is not None:
            own = prop.in_campaign
            try:
                defaults = prop.settings().model_dump(mode="json")
            except ValueError:  # some of it has no default
                defaults = {}
        for key, given in (manifest.get("settings", {}).get(which) or {}).items():
            if key in own or key not in defaults or defaults[key] != given:
                lines.append(f"    {key}: {value(given)}")
    return "\n".join(lines) + "\n"


def _potentials(manifest: Mapping[str, Any], potentials: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of the potentials, each as it was given, before properties took what serves them.

    A potential given as ``crystal`` is ``crystal:icosahedral`` where phases are compared.
    """
    asked = manifest.get("potentials") or []
    groups = [list(one.values()) for one in ([asked] if isinstance(asked, Mapping) else asked)]
    if not groups:  # of a campaign without a manifest, what its records say
        by_weights: dict[str, list[Any]] = {}
        for potential in potentials:
            which = f"{potential['sha256']} {potential.get('variant')} {potential['dtype']}"
            by_weights.setdefault(which, []).append(potential)
        groups = list(by_weights.values())
    names = {p["sha256"]: str(p.get("model") or p["name"]) for p in potentials}
    lines = []
    for group in groups:
        sha256 = group[0]["sha256"]
        used = list(dict.fromkeys(str(one["symmetrization"]) for one in group))
        given = _given(used)
        lines += _model(names.get(sha256, "unknown"))
        if given is None:
            lines.append(f"    # properties have symmetrizations of their own: {', '.join(used)}")
        lines += [
            f"    symmetrization: {text(given or used[0])}",
            f"    dtype: {text(str(group[0]['dtype']))}",
            f"    sha256: {text(str(sha256))}",
        ]
        if variant := group[0].get("variant"):
            lines.append(f"    variant: {text(str(variant))}")
    return ["potentials:", *lines] if lines else []


def _model(name: str) -> list[str]:
    """Line of a model; of a file that was given by its path records keep the name alone."""
    if name in bundled() or family_of(name) is not None or UPET_NAME.match(name):
        return [f"  - model: {text(name)}"]
    return [
        "  # a file that was given by its path: write where it is now (.ckpt, or .pt)",
        f"  - model: {text(f'path/to/{name}.ckpt')}",
    ]


def _given(used: Sequence[str]) -> str | None:
    """The spec of which all that were used came; None where there is none."""
    for spec in (*used, "crystal"):
        served = {serving(spec, purpose) for purpose in ("derivatives", "dynamics", "phases")}
        if served | {spec} >= set(used):
            return spec
    return None


def value(given: Any) -> str:
    """A value as YAML reads it back, with all digits, on one line."""
    if isinstance(given, Mapping):
        return f"{{{', '.join(f'{text(str(k))}: {value(v)}' for k, v in given.items())}}}"
    if isinstance(given, list | tuple):
        return f"[{', '.join(map(value, given))}]"
    if isinstance(given, str):
        return text(given)
    if isinstance(given, float):
        written = repr(given)
        # YAML takes 1e-05 for text, and 1.0e-05 for a number
        return written if "." in written else written.replace("e", ".0e")
    return json.dumps(given)


def text(given: str) -> str:
    """Text as YAML reads it back, whatever is in it."""
    if _PLAIN.fullmatch(given) and given.lower() not in _NO_TEXT:
        return given
    return json.dumps(given, ensure_ascii=False)


def _prototype(source: Mapping[str, Any]) -> tuple[str, str] | None:
    """Element and prototype that a structure was built of."""
    tags = dict(
        tag.split(":", 1) for tag in source.get("tags") or () if isinstance(tag, str) and ":" in tag
    )
    element, prototype = tags.get("element"), tags.get("prototype")
    if prototype in PROTOTYPES and source.get("material_id") == f"{element}-{prototype}":
        return str(element), str(prototype)
    return None
