"""Workers killed with SIGKILL under load, or the server: what is missing, stuck or done twice.

    python benchmarks/dispatch_kills.py [--kills 1000] [--structures 4000] [--workers 6]
        [--batch-sizes 1 20] [--seconds 0.5] [--pause 0.5] [--server-kills 20] [--seed 0]
        [--heartbeat SECONDS]

Real workers, the real path of every record and a real server; a property that costs nothing
(`free.py`) sleeps instead of physics. For each batch size a campaign is submitted, and a random one
of the workers is killed again and again, and replaced. Nothing but workers brings back what they
had. Then the server is killed and started again under load. One line of JSON for each: how many
records there are, which states the fireworks are in at the end, how often a structure was begun
more than once, and by whom; after how many seconds since the last kill nothing of a killed worker
was RUNNING or RESERVED, and after how many all was done. The dead are brought back when they have
been silent for 80 s, and then for 21 s in which one worker lives: with a short ``--pause`` that is
after the kills.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from dispatch_site import DATABASE, LAUNCHPAD, Site, alive, brief, followed, judge

#: s without a change after which there is nothing to wait for
HOPELESS = 400.0


def trial(
    folder: Path,
    *,
    structures: int,
    batch_size: int,
    kills: int,
    workers: int,
    seconds: float,
    pause: float,
    seed: int = 0,
    server_kills: int = 0,
    heartbeat: int | None = None,
) -> dict[str, Any]:
    """Kill workers, or the server, while a campaign runs; tells what is left."""
    rng = random.Random(seed)
    with Site(folder, seconds, heartbeat) as site:
        site.reset()
        site.submit("kills", 0, structures, batch_size)
        here = [site.fork() for _ in range(workers)]
        killed: list[int] = []
        ended: list[int] = []
        start = time.monotonic()

        def kill_worker() -> None:
            chosen = rng.choice(here)
            if alive(chosen):
                os.kill(chosen, signal.SIGKILL)
                killed.append(chosen)
            else:
                ended.append(chosen)
            here[here.index(chosen)] = site.fork()

        def kill_server() -> None:
            site.server.kill()
            site.server.wait()
            time.sleep(rng.uniform(0.5, 3.0))
            site.start_server()

        with followed(site):
            wait(lambda: site.log.stat().st_size > 0, 120)
            while len(killed) < kills:
                time.sleep(rng.expovariate(1 / pause))
                kill_worker()
            for _ in range(server_kills):
                time.sleep(rng.uniform(2, 8))
                kill_server()
            last = time.monotonic()
            recovered = until_recovered(site, killed)
            free = until_quiet(site)
        ended += [number for number in here if not alive(number)]
        for number in here:
            os.kill(number, signal.SIGTERM) if alive(number) else None
        wait(lambda: not any(map(alive, here)), 15)
        verdict = judge(site, killed)
    return {
        "batch_size": batch_size,
        "structures": structures,
        "kills": kills,
        "server_kills": server_kills,
        "workers": workers,
        "sound": verdict.sound and verdict.records == structures and not ended,
        **asdict(verdict),
        "ended_by_themselves": len(ended),
        "seconds_of_kills": round(last - start),
        "seconds_until_recovered": None if recovered is None else round(recovered - last),
        "seconds_until_quiet": None if free is None else round(free - last),
    }


def wait(condition: Callable[[], object], seconds: float) -> bool:
    """Ask until it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def until_recovered(site: Site, killed: Sequence[int]) -> float | None:
    """When nothing was RUNNING or RESERVED by a process that was killed; None if it always was."""
    dead, start = {str(number) for number in killed}, time.monotonic()
    host = platform.node()  # a folder is named HOST-PROCESS-RANDOM
    with site.client() as client:
        pad = client[LAUNCHPAD]
        while time.monotonic() - start < HOPELESS:
            busy = {"state": {"$in": ["RUNNING", "RESERVED"]}}
            last = [fw["launches"][-1:] for fw in pad.fireworks.find(busy, {"launches": 1})]
            ids = [number for launches in last for number in launches]
            folders = pad.launches.find({"launch_id": {"$in": ids}}, {"launch_dir": 1})
            names = [Path(launch["launch_dir"]).name for launch in folders]
            owners = {name.removeprefix(f"{host}-").partition("-")[0] for name in names}
            if all(last) and not owners & dead:
                return time.monotonic()
            time.sleep(0.5)
    return None


def until_quiet(site: Site) -> float | None:
    """When everything was there and nothing ran, was reserved or locked; None if it never was."""
    before: Any = None
    since = time.monotonic()
    with site.client() as client:
        while time.monotonic() - since < HOPELESS:
            now = brief(client)
            locked = client[LAUNCHPAD].workflows.count_documents({"locked": {"$exists": True}})
            busy = sum(now.get(state, 0) for state in ("READY", "RUNNING", "RESERVED", "WAITING"))
            if not busy and not locked and client[DATABASE].pet_records.count_documents({}):
                return time.monotonic()
            if now != before:
                before, since = now, time.monotonic()
            time.sleep(1.0)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--structures", type=int, default=4000)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--batch-sizes", type=int, nargs="*", default=[1, 20])
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--pause", type=float, default=0.5)
    parser.add_argument("--server-kills", type=int, default=20)
    parser.add_argument("--heartbeat", type=int, help="s between signs of life of workers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where logs are kept; a temporary one without")
    args = parser.parse_args()
    sizes = args.batch_sizes
    plans: list[dict[str, int]] = [
        {"batch_size": n, "kills": args.kills // len(sizes)} for n in sizes if args.kills
    ]
    if args.server_kills:
        plans.append({"batch_size": sizes[-1], "kills": 0, "server_kills": args.server_kills})
    for number, plan in enumerate(plans):
        with tempfile.TemporaryDirectory() as scratch:
            found = trial(
                (args.folder or Path(scratch)) / str(number),
                structures=args.structures // len(plans),
                workers=args.workers,
                seconds=args.seconds,
                pause=args.pause,
                seed=args.seed,
                heartbeat=args.heartbeat,
                **plan,
            )
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
