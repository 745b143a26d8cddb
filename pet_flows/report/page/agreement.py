"""How often each potential says the same as DFT, for the first page: stable or not, symmetry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pet_flows.compare.classification import symmetry_kept, verdicts
from pet_flows.report.damage import SYMPTOMS
from pet_flows.store.results import ResultStore

#: values of comparisons that say yes or no
_NAMES = ("stable", "spacegroup_", "operations_")


def agreement(
    store: ResultStore, campaign: str, hulls: Sequence[Mapping[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """Say how often potential and DFT agree.

    Parameters
    ----------
    store
        Where the comparisons are.
    campaign
        Its name.
    hulls
        From `pet_flows.report.page.hulls.stabilities`.

    Returns
    -------
    dict
        ``stable``: ``potential``, ``of`` (property, or ``hull``), ``n``, ``f1`` (None where
        neither side calls anything stable); ``symmetry``: ``potential``, ``tolerance`` (Å), ``n``,
        ``match`` (part of relaxed structures with DFT's space group).
    """
    documents = list(_sound(store, campaign))
    stable = [
        {"potential": one.potential, "of": one.property, "n": one.counts.n, "f1": one.counts.f1}
        for one in verdicts(documents)
    ]
    stable += [{name: one[name] for name in ("potential", "n", "f1")} | {"of": "hull"}
               for one in hulls]  # fmt: skip
    symmetry = [
        {name: getattr(one, name) for name in ("potential", "tolerance", "n", "match")}
        for one in symmetry_kept(documents)
    ]
    return {"stable": stable, "symmetry": symmetry}


def _sound(store: ResultStore, campaign: str) -> Iterator[dict[str, Any]]:
    """Comparisons with their values of yes and no; damaged ones are left out."""
    fields = ["record", "reference", "record_state", "potential", "property", "values"]
    for document in store.comparisons.find({"campaigns": campaign}, fields):
        try:
            values = document.get("values") or ()
            document["values"] = [v for v in values if v["name"].startswith(_NAMES)]
            if not document["values"]:
                continue
            verdicts([document])
            symmetry_kept([document])
        except SYMPTOMS:  # `series` warns of it
            continue
        yield document
