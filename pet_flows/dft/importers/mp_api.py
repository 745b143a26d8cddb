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
#: of the client's ``materials``, those that say their level of theory themselves
_SAYING = ("thermo", "elasticity")
_COLLECTIONS = (*_SAYING, "phonon")
#: how the client says that a material has no phonons
_NONE = "No phonon data found"


def read(source: str, options: Options, known: Known) -> Iterator[Read]:
    """References of some materials of the Materials Project.

    Parameters
    ----------
    source
        ``materials-project:mp-149,mp-13``: thermo and elasticity; with a collection
        ``materials-project:phonon:mp-149`` that alone.

    Raises
    ------
    PetFlowsError
        The client is not installed, there is no key, no identifier, or no answer.
    """
    first, colon, rest = source.removeprefix(PREFIX).partition(":")
    if colon and first not in _COLLECTIONS:
        raise PetFlowsError(
            f"{source!r} names no collection that is read: choose from {', '.join(_COLLECTIONS)}."
        )
    given = (rest if colon else first).split(",")
    identifiers = [normalized(name) for name in given if name.strip()]
    if not identifiers:
        raise PetFlowsError(
            f"{source!r} names no material: write it like materials-project:mp-149,mp-13."
        )
    for collection in (first,) if colon else _SAYING:
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
            rester = getattr(client.materials, collection)
            if collection == "phonon":
                return list(_phonons(rester, identifiers))
            found = rester.search(material_ids=identifiers)
    except Exception as error:  # of the client, of requests, of emmet's models
        first = (str(error).splitlines() or [""])[0][:200]
        raise PetFlowsError(
            f"The Materials Project gave no {collection} documents ({type(error).__name__}: "
            f"{first}): check the network, MP_API_KEY and the identifiers."
        ) from None
    return [document.model_dump(mode="json") for document in found]


def _phonons(rester: Any, identifiers: list[str]) -> Iterator[dict[str, Any]]:
    """Phonon documents with their arrays, which lie in tables of their own."""
    from mp_api.client.core import MPRestError

    for material in identifiers:
        try:
            tasks = rester.search(material_ids=[material])
        except MPRestError as error:
            if _NONE not in str(error):
                raise
            continue
        for task in tasks:
            which = str(task.identifier), str(getattr(task.phonon_method, "value", ""))
            document = {**task.model_dump(mode="json"), "material_id": material}
            document["phonon_dos"] = None
            try:
                document["force_constants"] = rester.get_forceconstants_from_phonon_id(*which)
            except MPRestError:  # of perturbation theory there are curves alone
                curves = rester.get_dos_from_phonon_id(*which)
                document["phonon_dos"] = _plain(curves)
                document["phonon_bandstructure"] = _plain(
                    rester.get_bandstructure_from_phonon_id(*which)
                )
            yield document


def _plain(model: Any) -> Any:
    return model.model_dump(mode="json") if hasattr(model, "model_dump") else model
