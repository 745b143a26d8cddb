"""A campaign beside one broken worker of each kind and a good one: who does what.

    python benchmarks/dispatch_broken.py [--structures 100] [--seconds 0.1]

Each structure is a firework; the weights are a file whose hash the campaign names. Workers start
one after the other and again when they end, as a queue starts them: one without the weights, one
with others, one with another database in its jobflow.yaml, one whose disk is full (a quota of the
kernel's), one whose ``CUDA_VISIBLE_DEVICES`` names a GPU that is not there; then the good one. One
line of JSON for each worker, with its exit code and the sentence it ended with, and one for the
campaign.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from dispatch_site import DATABASE, LAUNCHPAD, Site, brief

#: kind → what is done to the process before it begins
BROKEN = {
    "no model": "model.unlink(missing_ok=True)",
    "other hash": "model.write_bytes(b'others')",
    "wrong database": "os.environ['JOBFLOW_CONFIG_FILE'] = str(other / 'jobflow.yaml')",
    "full disk": "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))",
    "no GPU": "os.environ['CUDA_VISIBLE_DEVICES'] = '0'",
    "none": "",
}


def work(site: Site, kind: str, model: Path, weights: Path, idle: float) -> dict[str, object]:
    """Run one worker to its end, then give everybody the weights again."""
    code = f"""
import os, sys
from pathlib import Path
model, other = Path({str(model)!r}), Path({str(site.folder / "other")!r})
{BROKEN[kind]}
from pet_flows.cli import main
main(["worker", "--idle-timeout", "{idle}", "--launchpad",
      {str(site.folder / "my_launchpad.yaml")!r}])
"""
    file = site.folder / "start.py"
    body = code.replace("from pet_flows.cli", "if __name__ == '__main__':\n  from pet_flows.cli")
    file.write_text(body.replace("\nmain([", "\n  main(["))
    process = site.script(file)
    said, errors = process.communicate()
    if not model.exists() or model.stat().st_size != weights.stat().st_size:
        shutil.copy(weights, model)
    lines = [line for line in (said + errors).splitlines() if line.startswith(("Error", "Trace"))]
    ran = [line for line in said.splitlines() if line.endswith(("run.", "ok."))]
    return {"worker": kind, "exit_code": process.returncode, "ran": ran, "said": lines}


def trial(folder: Path, structures: int, seconds: float) -> Iterator[dict[str, object]]:
    """All workers twice, the good one last."""
    from pet_flows.models.catalogue import bundled, sha256_of

    weights = Path(next(iter(bundled().values()))["path"])
    with Site(folder, seconds) as site:
        model = folder / "mine.ckpt"
        shutil.copy(weights, model)
        site.write(folder / "other", "elsewhere")
        site.reset()
        site.submit("broken", 0, structures, 1, potential=(str(model), sha256_of(model)))
        for _ in range(2):
            for kind in list(BROKEN)[:-1]:
                yield work(site, kind, model, weights, 1)
        yield work(site, "none", model, weights, 3)
        with site.client() as client:
            launches = client[LAUNCHPAD].launches.count_documents({})
            ok = client[DATABASE].pet_records.count_documents({"state": "ok"})
            states = {k: v for k, v in brief(client).items() if k != "records"}
            yield {"states": states, "launches": launches, "ok": ok}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=0.1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for line in trial(Path(scratch), args.structures, args.seconds):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
