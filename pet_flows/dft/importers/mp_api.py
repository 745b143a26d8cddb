"""Documents of the Materials Project, downloaded by its own client where that is installed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from pet_flows.dft.importers.document_files import read_documents
from pet_flows.dft.importers.known import Known
from pet_flows.dft.importers.options import Options
from pet_flows.dft.importers.read import Read
from pet_flows.dft.material_ids import normalized
from pet_flows.errors import PetFlowsError

PREFIX = "materials-project:"
#: of the client's ``materials``; phonons come there in parts
_COLLECTIONS = ("thermo", "elasticity")


def read(source: str, options: Options, known: Known) -> Iterator[Read]:
    """References of some materials of the Materials Project.

    Parameters
    ----------
    source
        ``materials-project:mp-149,mp-13``.

    Raises
    ------
    PetFlowsError
        The client is not installed, there is no key, no identifier, or no answer.
    """
    given = source.removeprefix(PREFIX).split(",")
    identifiers = [normalized(name) for name in given if name.strip()]
    if not identifiers:
        raise PetFlowsError(
            f"{source!r} names no material: write it like materials-project:mp-149,mp-13."
        )
    for collection in _COLLECTIONS:
        documents = _download(collection, identifiers)
        yield from read_documents(documents, f"{collection} document {{}}", options, known)


def _download(collection: str, identifiers: list[str]) -> list[dict[str, Any]]:
    try:
        from mp_api.client import MPRester
    except ImportError:
        raise PetFlowsError(
            "The Materials Project's client is not installed: run pip install mp-api, or download "
            "documents as JSON and add these files."
        ) from None
    from pymatgen.core import SETTINGS

    if not (os.environ.get("MP_API_KEY") or SETTINGS.get("PMG_MAPI_KEY")):
        raise PetFlowsError(
            "There is no key of the Materials Project: set MP_API_KEY to yours, from "
            "materialsproject.org/api."
        )
    try:
        with MPRester() as client:
            found = getattr(client.materials, collection).search(material_ids=identifiers)
    except Exception as error:  # of the client, of requests, of emmet's models
        first = (str(error).splitlines() or [""])[0][:200]
        raise PetFlowsError(
            f"The Materials Project gave no {collection} documents ({type(error).__name__}: "
            f"{first}): check the network, MP_API_KEY and the identifiers."
        ) from None
    return [document.model_dump(mode="json") for document in found]
