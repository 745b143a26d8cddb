"""Names and paths → a weights file with a known hash, and what is known about it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pet_flows.errors import PetFlowsError
from pet_flows.models import hub
from pet_flows.models.family import Family, card_of_name, families, family_of


@dataclass(frozen=True)
class ModelFile:
    """A weights file that is there, with its hash and card."""

    name: str
    path: Path
    sha256: str
    trusted: bool
    """whether a pickle at ``path`` may be opened: bundled, from the hub, or its hash was given"""
    card: dict[str, Any] = field(default_factory=dict, compare=False)
    model: str | None = None
    """the name that finds it from any folder, where it is not the one that was given"""

    @property
    def functional(self) -> str | None:
        """Exchange–correlation functional of the training data, if known."""
        return self.card.get("functional")


def bundled() -> dict[str, dict[str, Any]]:
    """Cards of the models that ship with the package, by name."""
    folder = Path(str(files("pet_flows.models"))) / "data"
    cards = {}
    for file in sorted(folder.glob("*.json")):
        card = json.loads(file.read_text("utf-8"))
        cards[file.stem] = {**card, "path": str(file.with_suffix(".ckpt"))}
    return cards


def card_of(sha256: str) -> dict[str, Any] | None:
    """Card of the bundled model with these weights; None if they are another's."""
    cards = bundled().values()
    return next((card for card in cards if sha256_of(Path(card["path"])) == sha256), None)


def card_of_variant(card: Mapping[str, Any], variant: str | None) -> dict[str, Any]:
    """Card of a model that speaks for one of its levels of theory.

    Parameters
    ----------
    card
        Of the model; what it says of level and functional is that of its default.
    variant
        Which one; None for the default.
    """
    if variant is None:
        return dict(card)
    own = {"functional": None, "run_type": None, **hub.VARIANTS.get(variant.lower(), {})}
    rest = {k: v for k, v in card.items() if k not in ("u", "spin", "pseudopotentials")}
    return {**rest, **own, **card.get("variants", {}).get(variant, {})}


@lru_cache(maxsize=64)
def _hash(path: str, size: int, modified: int) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of(path: Path) -> str:
    """Hash of a file, remembered while size and modification time stay."""
    stat = path.stat()
    return _hash(str(path.resolve()), stat.st_size, stat.st_mtime_ns)


def find(model: str, sha256: str | None = None, trust: bool = False) -> ModelFile:
    """Resolve a bundled name, a ``.ckpt`` or ``.pt`` path, a family's or a upet name to a file.

    Parameters
    ----------
    model
        Name or path.
    sha256
        Expected hash; another one is refused.
    trust
        The user vouches for the file: a pickled checkpoint may be opened.

    Raises
    ------
    PetFlowsError
        Unknown name, missing file, other hash than expected, no network for a download.
    """
    cards = bundled()
    if model in cards:
        card = cards[model]
        file = _model_file(model, Path(card["path"]), True, card)
    elif (named := family_of(model)) is not None:
        file = _of_family(*named, trust)
    elif model.endswith((".ckpt", ".pt")) or os.sep in model:
        path = Path(model).expanduser()
        if path.suffix not in (".ckpt", ".pt"):
            raise PetFlowsError(
                f"{model} is neither a metatrain checkpoint (.ckpt) nor an exported metatomic "
                "model (.pt); give a file with one of these endings."
            )
        if not path.is_file():
            raise PetFlowsError(f"There is no model file at {path}: check the path.")
        file = replace(
            _model_file(path.stem, path, trust or path.suffix == ".pt", {}),
            model=str(path.resolve()),
        )
    elif hub.UPET_NAME.match(model):
        file = _from_hub(model, sha256)
    else:
        raise PetFlowsError(
            f"No model is called {model!r}{hub.meant(model, [*cards, *hub.known_names()])} Use a "
            f"bundled name ({', '.join(cards) or 'none here'}), a upet name such as pet-mad-s or "
            "pet-oam-xl-v1.0.0, the path of a .ckpt or .pt file, or another family's "
            f"({', '.join(f'{name}:…' for name in families())}; `pet-flows models` lists what "
            "there is)."
        )
    if sha256 is not None and file.sha256 != sha256:
        raise PetFlowsError(
            f"The weights of {model} at {file.path} have sha256 {file.sha256[:12]}…, but "
            f"{sha256[:12]}… was asked for; use the file with that hash, or leave the hash out."
        )
    if not (file.trusted or sha256 is not None or _in_settings(file.sha256)):
        raise PetFlowsError(
            f"{file.path} is a pickled checkpoint, which can run any code when it is opened. If "
            f"you trust its origin, use --trust (trust=True), or give its hash {file.sha256}."
        )
    return file


def _in_settings(sha256: str) -> bool:
    from pet_flows.settings import get_settings

    return sha256 in get_settings().trusted


def _model_file(name: str, path: Path, trusted: bool, card: dict[str, Any]) -> ModelFile:
    if not path.is_file():
        raise PetFlowsError(f"The weights of {name} are missing at {path}: reinstall pet-flows.")
    return ModelFile(name, path, sha256_of(path), trusted, card)


def _of_family(family: Family, which: str, trust: bool) -> ModelFile:
    """What a family finds of a name."""
    if not which.strip():
        raise PetFlowsError(f"{family.name}: names no model; use {family.help}.")
    family.require()
    found = family.find(which)
    card = {"family": family.name, **(card_of_name(found.name) or {})}
    sha256 = found.sha256 or sha256_of(found.path)
    return ModelFile(found.name, found.path, sha256, trust or found.trusted, card, found.model)


def _from_hub(model: str, sha256: str | None) -> ModelFile:
    """File of a upet name: the cached one with the wanted hash, or what the hub gives."""
    # a resolved spec has its hash: it needs neither a network nor the release that came out since
    same = (path for path in hub.cached(model) if sha256 and sha256_of(path) == sha256)
    path = next(same, None) or hub.checkpoint(model)
    return _model_file(path.stem, path, True, hub.card(path))
