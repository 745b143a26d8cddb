"""The demo campaign as a Jobflow script: nine elements in five structures, next to DFT.

Run it as it is for all nine, or name elements: python workflows/screen_polymorphs.py Si Cu
"""

import sys

from jobflow import run_locally
from rich.console import Console

import pet_flows

elements = sys.argv[1:] or ["Li", "Si", "Ni", "Cu", "Ge", "Nb", "Mo", "Ta", "W"]
maker = pet_flows.ScreenMaker(
    name="polymorphs",
    potential="pet-mvl",
    symmetrization="crystal",
    properties=["relax", "eos", "phonon", "static"],
)
store = pet_flows.open_job_store()  # the one of your jobflow.yaml, or pet_flows.db in this folder
run_locally(maker.make(pet_flows.build_prototypes(elements)), store=store, log=False)

records = pet_flows.ResultStore.from_job_store(store)
for record in records.query({"sources.campaign": "polymorphs", "property": "phonon"}):
    modes = "imaginary modes" if record["result"].get("has_imaginary_modes") else "stable"
    print(record["sources"][0]["material_id"], record["state"], modes)
compared = pet_flows.compare_campaign(records, "polymorphs")
Console().print(pet_flows.comparison_table(compared))
