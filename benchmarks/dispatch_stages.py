"""One stage of ``benchmarks/dispatch.py``, in the folder and environment of its configuration."""

from __future__ import annotations

import contextlib
import cProfile
import gc
import io
import json
import logging
import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pymongo
from fireworks import FWorker, LaunchPad, fw_config
from jobflow import Flow, job
from pymatgen.core import Lattice, Structure
from pymongo.monitoring import CommandListener

LAUNCHPAD = "my_launchpad.yaml"


class Counted(CommandListener):
    """Counts what is asked of servers."""

    def __init__(self) -> None:
        self.commands: Counter[str] = Counter()

    def started(self, event: Any) -> None:
        """One more."""
        self.commands[f"{event.command_name} {event.command.get(event.command_name)}"] += 1

    def succeeded(self, event: Any) -> None:
        """Nothing."""

    def failed(self, event: Any) -> None:
        """Nothing."""


COUNTED = Counted()


@contextlib.contextmanager
def measured(stage: str, per: int, **more: Any) -> Iterator[None]:
    """Print CPU time and commands of what is done inside, per structure."""
    profile = cProfile.Profile() if "DISPATCH_PROFILE" in os.environ else None
    COUNTED.commands.clear()
    before, started = time.process_time(), time.perf_counter()
    with profile or contextlib.nullcontext(), contextlib.redirect_stdout(io.StringIO()):
        yield
    cpu, wall = time.process_time() - before, time.perf_counter() - started
    line = {
        "stage": stage, "n": per, **more, "cpu_ms": round(1e3 * cpu / per, 3),
        "commands": round(COUNTED.commands.total() / per, 3), "wall_s": round(wall, 2),
    }  # fmt: skip
    print(json.dumps(line), flush=True)
    if profile is not None:
        profile.dump_stats(os.environ["DISPATCH_PROFILE"])
        print(COUNTED.commands.most_common(20), flush=True)


def structures(n: int) -> Iterator[Structure]:
    """Crystals of two atoms, all different."""
    for k in range(n):
        yield Structure(Lattice.cubic(3.0 + k / n), ["Al", "Cu"], [[0.0] * 3, [0.5] * 3])


class Free:
    """An evaluator of a potential that costs nothing."""

    chunk_atoms = 500
    raw = SimpleNamespace(general=None)

    def refuse_too_large(self, atoms: Any) -> None:
        """Nothing is."""

    def evaluate(self, systems: Any, forces: bool = True) -> list[Any]:
        """Zero, for each."""
        from pet_flows.engines.evaluation import Evaluation

        return [
            Evaluation(
                system=system, energy=0.0, energies=np.zeros(len(system.numbers)),
                forces=np.zeros((len(system.numbers), 3)), stress=np.zeros((3, 3)),
                n_evaluations=1, energy_spread=None, force_spread=None,
            )
            for system in systems
        ]  # fmt: skip


def use_free_potential() -> None:
    """Let every job of this process compute with it."""
    from pet_flows.engines import potential
    from tests.properties.stub import AsePotential

    free: Any = AsePotential()
    free.evaluator = Free()
    potential.get_potential = lambda *given, **options: free


def submit(name: str, n: int, batch_size: int, pad: LaunchPad) -> None:
    """Submit a campaign as the command does, of structures made here."""
    from pet_flows.flows.screen import ScreenMaker
    from pet_flows.inputs.structure import as_input
    from pet_flows.launch.campaign import submit_campaign
    from pet_flows.launch.launchpad import shared_job_store
    from pet_flows.store.results import ResultStore

    maker = ScreenMaker(name, ("static",), "pet-mvl", batch_size=batch_size)
    with ResultStore.from_job_store(shared_job_store()) as results:
        submit_campaign(maker, map(as_input, structures(n)), pad, results)


def memory(name: str) -> float:
    """Memory of this process, MB: ``VmRSS`` now, ``VmHWM`` the most since `forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def forget_peak() -> float:
    """Let the most memory of this process be what it has now, MB."""
    Path("/proc/self/clear_refs").write_text("5")  # Linux: proc(5)
    return memory("VmHWM")


def server_cpu() -> float:
    """CPU time of the server of the tests so far, s; NaN of another one."""
    if "DISPATCH_SERVER" not in os.environ:
        return float("nan")
    told = Path(f"/proc/{os.environ['DISPATCH_SERVER']}/stat").read_text()  # Linux: proc(5)
    user, system = told.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def run(pad: LaunchPad, n: int = 0, on_launch: Callable[[int], None] | None = None) -> None:
    """Work on what is ready, on n fireworks or on all."""
    from pet_flows.launch.launchpad import load_fworker
    from pet_flows.launch.worker import Worker

    use_free_potential()
    start, work = Path.cwd(), Path("work").resolve()
    work.mkdir(exist_ok=True)
    who = load_fworker(("pet-gpu", "pet-cpu"))
    done = Worker(pad, who, work, nlaunches=n, idle_timeout=0.1, on_launch=on_launch).run()
    os.chdir(start)
    if done.fizzled or (n and done.run != n):
        raise SystemExit(f"something went wrong: {done}")


@job
def energy(structure: Structure) -> dict[str, Any]:
    """What a job without a potential of ours returns."""
    return {"energy": 0.0, "forces": np.zeros((len(structure), 3)), "structure": structure}


def peer(pad: LaunchPad, n: int) -> None:
    """Plain jobflow and FireWorks: a job for each structure, in one workflow."""
    from fireworks.core.rocket_launcher import rapidfire
    from jobflow.managers.fireworks import flow_to_workflow

    reset(pad)
    with measured("peer submit", n):
        pad.add_wf(flow_to_workflow(Flow([energy(s) for s in structures(n)])))
    with measured("peer run", n):
        rapidfire(pad, FWorker(), nlaunches=n, strm_lvl="ERROR")


def command(*words: str) -> None:
    """Run a command in this process, which must go well and say something."""
    from pet_flows.cli import main

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            main(list(words))
    except SystemExit as ended:
        if ended.code:
            raise
    if not said.getvalue().strip():
        raise SystemExit(f"{' '.join(words)} said nothing")


def reset(pad: LaunchPad) -> None:
    """Empty the LaunchPad, which is of this benchmark alone."""
    pad.reset("", require_password=False, max_reset_wo_password=10**9)


def store_records(n: int) -> None:
    """Write records of one campaign, as workers leave them."""
    from pet_flows.store.results import ResultStore
    from tests.store.examples import record

    document, _ = record()
    with ResultStore.open() as results:
        results.campaigns.put({"name": "stored", "properties": ["static"], "n_inputs": n})
        for start in range(0, n, 1000):
            results.records.insert_many(
                {
                    **document,
                    "_id": f"{k:032x}",
                    "sources": [{**document["sources"][0], "campaign": "stored"}],
                }
                for k in range(start, min(n, start + 1000))
            )


def main(stage: str, n: int, batch_size: int = 50) -> None:
    """Measure one stage."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    pymongo.monitoring.register(COUNTED)
    fw_config.LAUNCHPAD_LOC = str(Path(LAUNCHPAD).resolve())
    pad = LaunchPad.from_file(LAUNCHPAD)
    pad.strm_lvl = "ERROR"
    if pad.fw_id_assigner.find_one({}) is None:
        reset(pad)
    if stage in ("submit", "memory", "flat", "single"):
        submit(f"warm {os.getpid()}", 3, 3, pad)
        run(pad)
    if stage in ("submit", "again"):
        with measured(stage, n):
            submit("c", n, batch_size, pad)
    elif stage == "run":
        with measured(stage, n):
            run(pad)
    elif stage in ("query", "status"):
        command(stage, "c")
        with measured(stage, n):
            command(stage, "c")
    elif stage == "peer":
        peer(pad, n)
    elif stage == "single":
        submit(f"one {n}", n, 1, pad)
        with measured(stage, 15, campaign=n):
            run(pad, 15)
        reset(pad)
    elif stage == "memory":
        submit(f"warm {n}", 1000, batch_size, pad)
        gc.collect()
        before = forget_peak()
        submit(f"memory {n}", n, batch_size, pad)
        line = {"stage": stage, "n": n, "mb": round(memory("VmHWM") - before, 1)}
        print(json.dumps({**line, "before_mb": round(before, 1)}), flush=True)
    elif stage == "flat":
        submit("flat", n, batch_size, pad)
        used: list[float] = []
        run(pad, on_launch=lambda done: used.append(memory("VmRSS")))
        parts = [round(float(np.mean(part)), 1) for part in np.array_split(used[2:], 5)]
        print(json.dumps({"stage": stage, "n": n, "mb": parts}), flush=True)
    elif stage == "stored":
        store_records(n)
        status = ("status", "stored")
        for words in (status, status, ("query", "stored", "--limit", "100")):
            before, started, served = time.process_time(), time.perf_counter(), server_cpu()
            command(*words)
            cpu, wall = time.process_time() - before, time.perf_counter() - started
            line = {"stage": stage, "n": n, "command": words[0], "cpu_s": round(cpu, 2)}
            served = round(server_cpu() - served, 2)
            print(json.dumps({**line, "server_s": served, "wall_s": round(wall, 2)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
