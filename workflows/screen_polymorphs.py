"""The demo campaign as a Jobflow script: nine elements in five structures, next to DFT.

Run it as it is for all nine, or name elements: python workflows/screen_polymorphs.py Si Cu
"""

import sys

from jobflow import run_locally
from rich.console import Console

from pet_flows.compare.campaign import compare_campaign
from pet_flows.compare.table import render
from pet_flows.flows import ScreenMaker
from pet_flows.inputs.prototypes import build_prototypes
from pet_flows.store.locate import open_job_store
from pet_flows.store.results import ResultStore

elements = sys.argv[1:] or ["Li", "Si", "Ni", "Cu", "Ge", "Nb", "Mo", "Ta", "W"]
maker = ScreenMaker(
    name="polymorphs",
    potential="pet-mvl",
    symmetrization="crystal",
    properties=["relax", "eos", "phonon", "static"],
)
store = open_job_store()  # the one of your jobflow.yaml, or pet_flows.db in this folder
run_locally(maker.make(build_prototypes(elements)), store=store, log=False)

records = ResultStore.from_job_store(store)
for record in records.query({"sources.campaign": "polymorphs", "property": "phonon"}):
    modes = "imaginary modes" if record["result"].get("has_imaginary_modes") else "stable"
    print(record["sources"][0]["material_id"], record["state"], modes)
Console().print(render(compare_campaign(records, "polymorphs")))
