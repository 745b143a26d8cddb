"""What dispatch costs beside the calculation: CPU and server commands per structure.

    python benchmarks/dispatch.py [--structures 1000] [--batch-size 50] [--peer 100]
        [--single 15 150] [--memory 10000 100000] [--flat 4000]
        [--stored 100000]

Against the server of the tests (or the one that ``PET_FLOWS_TEST_MONGODB_URI`` names), with a
potential that costs nothing, each stage in a process of its own that has imported and connected
everything before. One line of JSON per stage; ``cpu_ms`` and ``commands`` are per structure, the
server's own work not included:

- ``submit``, ``again``, ``run``: a campaign of ``static``; a second submission of the same; a
  worker that computes it;
- ``query``, ``status``: the commands, of that campaign;
- ``peer submit``, ``peer run``: as many jobs of plain jobflow, each of which returns one energy and
  the forces, put on the LaunchPad as one workflow and run by FireWorks' ``rapidfire``;
- ``single``: fifteen fireworks of one structure each, out of a campaign of so many;
- ``memory``: what submitting so many structures adds to the resident size of a process that has
  submitted 1000 before, at its largest, MB (Linux);
- ``flat``: resident size of a worker, in five equal parts of so many structures, MB;
- ``stored``: CPU that ``status``, at first and again, and ``query --limit 100`` take beside so
  many records, s; and what the server of the tests takes for them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import uuid
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.mongodb_server.start import URI_VARIABLE, running

HERE = Path(__file__).resolve().parent


def configure(uri: str, folder: Path) -> dict[str, str]:
    """Write a user's configuration for a new database; gives the environment that names it."""
    name = f"pet_flows_{uuid.uuid4().hex[:12]}"
    place = f'uri: "{uri}", database: {name}'
    (folder / "jobflow.yaml").write_text(
        f"JOB_STORE:\n  docs_store: {{type: MongoStore, {place}, collection_name: outputs}}\n"
        f"  additional_stores:\n    data: {{type: GridFSStore, {place}, collection_name: b}}\n"
    )
    (folder / "my_launchpad.yaml").write_text(
        f"host: {uri}/{name}_fw\nuri_mode: true\nname: {name}_fw\n"
    )
    return {
        **os.environ,
        "JOBFLOW_CONFIG_FILE": str(folder / "jobflow.yaml"),
        "PET_FLOWS_MODEL": "pet-mvl",
        "PYTHONPATH": str(HERE.parent),
        "OMP_NUM_THREADS": "1",
    }


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--structures", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--peer", type=int, default=100)
    parser.add_argument("--single", type=int, nargs="*", default=[15, 150])
    parser.add_argument("--memory", type=int, nargs="*", default=[])
    parser.add_argument("--flat", type=int, default=0)
    parser.add_argument("--stored", type=int, default=0)
    parser.add_argument("--profile", type=Path, help="write a profile of each stage here")
    asked = parser.parse_args()
    n, size = asked.structures, asked.batch_size
    stages: list[tuple[object, ...]] = []
    if n:
        stages = [("submit", n, size), ("again", n, size), ("run", n), ("query", n), ("status", n)]
    if asked.peer:
        stages += [("peer", asked.peer)]
    stages += [("single", of) for of in asked.single]
    stages += [("memory", of, size) for of in asked.memory]
    if asked.flat:
        stages += [("flat", asked.flat, 20)]
    if asked.stored:
        stages += [("stored", asked.stored)]
    with ExitStack() as stack:
        given = os.environ.get(URI_VARIABLE)
        uri, server = (given, None) if given else stack.enter_context(running(memory="4g"))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = configure(uri, folder)
        if server is not None:
            environment["DISPATCH_SERVER"] = str(server.pid)
        for stage in stages:
            words = [sys.executable, str(HERE / "dispatch_stages.py"), *map(str, stage)]
            if asked.profile:
                asked.profile.mkdir(parents=True, exist_ok=True)
                out = asked.profile.resolve() / str(stage[0])
                environment["DISPATCH_PROFILE"] = str(out)
            subprocess.run(words, cwd=folder, env=environment, check=True)


if __name__ == "__main__":
    main()
