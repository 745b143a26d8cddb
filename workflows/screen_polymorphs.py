"""The demo campaign as a Jobflow script: nine elements in five structures, next to DFT.

Run it as it is for all nine, or name elements; all-electron equations of state come with the
package, and DFT results of your own stand beside them where you name some:

    python workflows/screen_polymorphs.py Si Cu
    python workflows/screen_polymorphs.py Si --dft my_runs/ --level functional=PBE,spin=false
"""

import argparse
from pathlib import Path

from jobflow import run_locally
from rich.console import Console

import pet_flows
from pet_flows.compare.tables.parity import draw_parity
from pet_flows.dft.importers.given_level import parse_level
from pet_flows.dft.importers.importing import import_references
from pet_flows.dft.importers.options import Options

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("elements", nargs="*")
parser.add_argument("--dft", help="what pet-flows reference add takes: folder, file, jobflow")
parser.add_argument("--level", help="of these results, where they do not say it")
asked = parser.parse_args()
elements = asked.elements or ["Li", "Si", "Ni", "Cu", "Ge", "Nb", "Mo", "Ta", "W"]

# 1. A campaign: relaxations, and everything else from the relaxed structures.
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

# 2. Beside DFT. Run again, only what changed is read and compared.
if asked.dft:
    options = Options(level=parse_level(asked.level))
    print(asked.dft, import_references(records, asked.dft, options=options))
compared = pet_flows.compare_campaign(records, "polymorphs")
Console(width=110).print(pet_flows.comparison_table(compared))

# 3. Every comparison is a document: here the equilibrium volumes that are most wrong.
errors = sorted(
    (
        (value["relative"], document["material_id"])
        for document in compared.documents()
        for value in document["values"]
        if value["name"] == "v0_per_atom" and value["relative"] is not None
    ),
    key=lambda error: -abs(error[0]),
)
for relative, name in errors[:3]:
    print(f"{name}: V0 {100 * relative:+.1f} %")
rows = compared.rows()
if any(row.published for row in rows):
    draw_parity(rows, Path("polymorphs.png"))
    print("V0 and B0 against DFT are drawn in polymorphs.png")
