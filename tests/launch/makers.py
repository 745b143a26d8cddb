"""A maker of ours that needs no model: it says when it ran, and waits when it is told to."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobflow import job

from pet_flows.jobs.base import PropertyMaker, job_result_store
from pet_flows.jobs.entries import load_entries
from pet_flows.jobs.observe import tell_result
from tests.mongodb_server.start import wait_until
from tests.store.examples import record


@dataclass
class FakeMaker(PropertyMaker):
    name: str = "fake"
    log: str = ""
    seconds: float = 0.0
    """s that it waits, the first time"""
    each: float = 0.0
    """s for each structure, after it is stored, the first time"""
    fail: str = ""
    together: int = 1
    """processes that must have begun a job before one goes on"""
    property_name: str = "static"

    @job
    def make(self, structure: Any, prev_dir: Any = None) -> Any:
        return self.run(structure)

    def run(self, given: Any) -> Any:
        with open(self.log, "a") as stream:
            stream.write(f"start {os.getpid()} {self.name}\n")
        wait_until(lambda: len(self._pids()) >= self.together, 120)
        first = Path(self.log).read_text().count(f" {self.name}\n") == 1
        time.sleep(self.seconds * first)
        if self.fail and not Path(f"{self.log}.{self.name}.failed").exists():
            Path(f"{self.log}.{self.name}.failed").touch()
            from pymongo import errors

            raise getattr(errors, self.fail)("gone")
        store = job_result_store()
        keys = []
        for entry in load_entries(given, store):
            document, blobs = record(
                input_structure=entry.given.structure, sources=[entry.given.source]
            )
            store.put(document, blobs)
            keys.append({"key": document["_id"], "state": "ok"})
            tell_result(self.name, keys[-1], True)
            time.sleep(self.each * first)
        with open(self.log, "a") as stream:
            stream.write(f"end {os.getpid()} {self.name}\n")
        return keys

    def _pids(self) -> set[str]:
        return {line.split()[1] for line in Path(self.log).read_text().splitlines()}
