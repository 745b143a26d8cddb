"""Materials screening with rotationally exact PET potentials: Jobflow, FireWorks, MongoDB."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

#: name → module it is in; imported when it is asked for, so that importing this package is quick
_PUBLIC = {
    "load_potential": "pet_flows.api",
    "compute": "pet_flows.api",
    "PropertyResult": "pet_flows.api_result",
    "SymmetrizedCalculator": "pet_flows.engines.ase",
    "PotentialSpec": "pet_flows.models.spec",
    "PetFlowsError": "pet_flows.errors",
    "ResultStore": "pet_flows.store.results",
    "open_job_store": "pet_flows.store.locate",
    "build_prototypes": "pet_flows.inputs.prototypes",
    "read_inputs": "pet_flows.inputs.sources",
    "compare_campaign": "pet_flows.compare.campaign",
    "comparison_table": "pet_flows.compare.tables.table",
    "force_field": "pet_flows.jobs.force_field",
    "GPAWMaker": "pet_flows.jobs.gpaw",
    "ScreenMaker": "pet_flows.flows.screen",
    "FollowUpMaker": "pet_flows.flows.followup",
    "submit": "pet_flows.launch.submit",
    **dict.fromkeys(
        (
            "CompareMaker", "PropertyMaker", "RelaxMaker", "StaticMaker", "EOSMaker",
            "ElasticMaker", "PhononMaker", "QHAMaker", "ConductivityMaker", "MDMaker", "maker_of",
        ),
        "pet_flows.jobs",
    ),
}  # fmt: skip
#: the properties of this package; those of others are found too
_PROPERTIES = ("relax", "static", "eos", "elastic", "phonon", "qha", "kappa", "md")

__all__ = ["__version__", *_PUBLIC, *_PROPERTIES]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    if not name.startswith("_"):
        from pet_flows.properties.registry import properties

        if name in properties():
            from pet_flows.api import function_of

            return function_of(name)
    raise AttributeError(f"module 'pet_flows' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
