"""The upet hub: which names it has, and the checkpoint behind a name."""

from __future__ import annotations

import difflib
import re
import runpy
from collections.abc import Iterable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pet_flows.errors import PetFlowsError

REPOSITORY = "lab-cosmo/upet"
#: name-size[-vX.Y.Z] as on the hub
UPET_NAME = re.compile(
    r"^(?P<model>pet-[a-z0-9]+)-(?P<size>xs|s|m|l|xl)(?:-v?(?P<version>\d+\.\d+\.\d+))?$"
)
_RELEASE = re.compile(r"(?P<name>pet-[a-z0-9]+-[a-z]+)-v(?P<version>\d+\.\d+\.\d+)\.ckpt$")
#: of OMat24 and the Materials Project: PBE, with U on oxides and fluorides of V, Cr, Mn, Fe, Co,
#: Ni, Mo and W, spin-polarized; ``run_type`` is what the Materials Project calls the mixture
_PBE_U = {"functional": "PBE", "run_type": "GGA_GGA+U", "u": True, "spin": True}
_R2SCAN = {"functional": "r2SCAN", "run_type": "r2SCAN"}
_PBESOL = {"functional": "PBEsol", "run_type": "PBEsol"}
#: level of theory that the name of a variant says, of a model that knows several
VARIANTS: dict[str, dict[str, Any]] = {
    "pbe": {"functional": "PBE"},
    "pbesol": _PBESOL,
    "r2scan": _R2SCAN,
}
#: level of theory of the upet families, by their training sets; what is not there is not known
LEVELS: dict[str, dict[str, Any]] = {
    "pet-mad": _R2SCAN,  # PBEsol before version 1.5
    # POTCARs of OMat24 are not those of the others (W_sv, not W_pv; Yb_3, not Yb_2)
    "pet-omat": {**_PBE_U, "pseudopotentials": "VASP PBE_54 of OMat24"},
    "pet-oam": {**_PBE_U, "pseudopotentials": "VASP PBE of the Materials Project"},
    "pet-omad": _PBESOL,
    "pet-omatpes": {**_R2SCAN, "u": False, "spin": True},
    "pet-omol": {"functional": "wB97M-V"},
    "pet-mols": {"functional": "PBE0+MBD"},
    "pet-spice": {"functional": "wB97M-D3"},
}


@lru_cache(maxsize=1)
def known_names() -> tuple[str, ...]:
    """Names that the installed upet knows; its list is read alone, as upet itself imports torch."""
    package = find_spec("upet")
    places = (package and package.submodule_search_locations) or []
    for place in places:
        listed = Path(place) / "_version.py"
        if listed.is_file():
            return tuple(runpy.run_path(str(listed)).get("UPET_AVAILABLE_MODELS", ()))
    return ()


def meant(name: str, names: Iterable[str]) -> str:
    """Names near a misspelt one: ``; did you mean a, b or c?``, or a full stop."""
    near = difflib.get_close_matches(name.lower(), list(names), n=3, cutoff=0.8)
    listed = " or ".join([part for part in (", ".join(near[:-1]), *near[-1:]) if part])
    return f"; did you mean {listed}?" if near else "."


def card(path: Path) -> dict[str, Any]:
    """What is known of a release: ``functional``, ``run_type``, whether with ``u`` and ``spin``."""
    release = _RELEASE.search(path.name)
    if release is None:
        return {}
    family = release["name"].rpartition("-")[0]
    if family == "pet-mad" and _number(release["version"]) < (1, 5, 0):
        return dict(_PBESOL)
    return dict(LEVELS.get(family, {}))


def cached(model: str) -> list[Path]:
    """Checkpoints of this name that earlier downloads left in the hub's cache, newest first."""
    from huggingface_hub.constants import HF_HUB_CACHE

    name, version = _parts(model)
    folder = f"models--{REPOSITORY.replace('/', '--')}/snapshots/*/models"
    found = Path(HF_HUB_CACHE).glob(f"{folder}/{name}-v{version or '*'}.ckpt")
    return sorted(found, key=_version_of, reverse=True)


def checkpoint(model: str) -> Path:
    """Download the checkpoint of a upet name, or take it from the hub's own cache.

    Parameters
    ----------
    model
        Such as ``pet-mad-s`` (its newest release) or ``pet-mad-s-v1.0.2``.

    Raises
    ------
    PetFlowsError
        There is no such model or release, or the hub does not answer and the cache has none.
    """
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    name, version = _parts(model)
    there = cached(model)
    if not there and known_names() and name not in known_names():
        raise PetFlowsError(
            f"The installed upet knows no model {name}{meant(name, known_names())} "
            "`pet-flows models` lists what there is; for a newer model upgrade upet, or pass the "
            "path of its checkpoint with --trust."
        )
    try:
        _ask_hub(patient=not there)
        if version is None:
            version = _newest(name)
        return _download(f"{name}-v{version}.ckpt")
    except Exception as error:  # each HTTP library has its own tree of what a dead line raises
        if isinstance(error, PetFlowsError):
            raise
        missing = isinstance(error, EntryNotFoundError)
        if missing and not isinstance(error, LocalEntryNotFoundError):
            raise PetFlowsError(
                f"The upet hub has no {model}: choose from the releases of {name} that it has, "
                f"{', '.join(_releases(name))}."
            ) from None
        if there:
            return there[0]
        said = (str(error).splitlines() or [""])[0][:120]
        raise PetFlowsError(
            f"Cannot download {model} from the upet hub ({type(error).__name__}: {said}): go "
            "online once, or copy the checkpoint here and pass its path with --trust."
        ) from None


def _ask_hub(patient: bool) -> None:
    """Ask the hub for one answer, whatever it is, and give up at once without a line.

    The client's own requests try again for 23 s, also where there is no network at all.

    Parameters
    ----------
    patient
        Whether a hub that is slow to answer is left to the client's attempts.
    """
    from huggingface_hub.constants import ENDPOINT, HF_HUB_ETAG_TIMEOUT
    from huggingface_hub.utils import get_session

    try:
        get_session().head(ENDPOINT, timeout=HF_HUB_ETAG_TIMEOUT)
    except Exception as error:
        slow = any("Timeout" in kind.__name__ for kind in type(error).__mro__)
        if not (slow and patient):
            raise


def _releases(name: str) -> list[str]:
    """Versions of a model on the hub, newest first."""
    from huggingface_hub import HfApi

    files = map(_RELEASE.search, HfApi().list_repo_files(REPOSITORY))
    versions = {file["version"] for file in files if file is not None and file["name"] == name}
    return sorted(versions, key=_number, reverse=True)


def _newest(name: str) -> str:
    releases = _releases(name)
    if not releases:
        raise PetFlowsError(
            f"The upet hub has no checkpoint of {name}: choose from pet-flows models."
        )
    return releases[0]


def _download(filename: str) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(repo_id=REPOSITORY, filename=filename, subfolder="models"))


def _parts(model: str) -> tuple[str, str | None]:
    parts = UPET_NAME.match(model)
    assert parts is not None
    return f"{parts['model']}-{parts['size']}", parts["version"]


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _version_of(path: Path) -> tuple[int, ...]:
    release = _RELEASE.search(path.name)
    return _number(release["version"]) if release else ()
