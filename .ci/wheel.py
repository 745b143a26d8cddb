"""Build the wheel, install it into an empty environment, and screen silicon there.

By default the packages that the wheel asks for are linked from this environment, where pip has
already fetched them: exactly those, so that what is used and not declared is missing, as it would
be for a user. With ``--download`` pip fetches them all again (several GB).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
MUST_HOLD = (
    "models/data/pet-mvl.ckpt",
    "models/data/pet-mvl.json",
    "dft/data",
    "report/page/static",
    "py.typed",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--download", action="store_true", help="install with pip alone")
    download = parser.parse_args().download
    # beside .venv, where files can be linked; what runs starts in a folder far from the source
    (ROOT / "build").mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=ROOT / "build") as work,
        tempfile.TemporaryDirectory() as far,
    ):
        wheel = build(Path(work))
        print(f"{wheel.name}: {check_contents(wheel)} files.")
        python = empty_environment(Path(work) / "venv")
        run(python, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            *(["-c", ROOT / "constraints.txt"] if download else ["--no-deps", "--no-index"]),
            wheel)  # fmt: skip
        if not download:
            print(f"{link_requirements(python)} packages linked that it asks for.")
        run(python, "-I", "-m", "pip", "check", "--disable-pip-version-check")
        print(screen(python, Path(far)))


def build(work: Path) -> Path:
    """Source archive, and the wheel from that archive, as ``python -m build`` makes them."""
    run(sys.executable, "-m", "build", "--outdir", work / "dist", ROOT, capture_output=True)
    (wheel,) = (work / "dist").glob("*.whl")
    return wheel


def check_contents(wheel: Path) -> int:
    """Data are in the wheel, tests and documents are not; number of files."""
    names = ZipFile(wheel).namelist()
    missing = [
        part for part in MUST_HOLD if not any(n.startswith(f"pet_flows/{part}") for n in names)
    ]
    strange = [n for n in names if not n.startswith(("pet_flows/", "pet_flows-"))]
    if missing or strange:
        sys.exit(f"The wheel lacks {missing} and holds {strange}: see pyproject.toml.")
    return len(names)


def empty_environment(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


def link_requirements(python: Path) -> int:
    """Link what the installed wheel asks for, and what that asks for, from this environment."""
    (site,) = (python.parents[1] / "lib").glob("python*/site-packages")
    here = {canonicalize_name(d.name): d for d in metadata.distributions()}
    (own,) = [d for d in metadata.distributions(path=[str(site)]) if d.name == "pet-flows"]
    seen: dict[str, set[str]] = {}
    waiting = [(own, "")]
    while waiting:
        distribution, extra = waiting.pop()
        for text in distribution.requires or []:
            wanted = Requirement(text)
            if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
                continue
            name = canonicalize_name(wanted.name)
            for more in {"", *wanted.extras} - seen.setdefault(name, set()):
                seen[name].add(more)
                waiting.append((here[name], more))
    for name in seen:
        for file in here[name].files or []:
            source, target = Path(str(here[name].locate_file(file))), site / file
            if ".." in file.parts or not source.is_file():  # scripts name the other environment
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                link(source, target)
    return len(seen)


def link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def screen(python: Path, folder: Path) -> str:
    """Compute statics of silicon with nothing around but the environment; what came out."""
    clean = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    command = python.parent / "pet-flows"
    run(command, "screen", "prototypes:Si", "--properties", "static", cwd=folder, env=clean)
    listed = subprocess.run(
        [command, "query", "screen", "--format", "json"],
        cwd=folder, env=clean, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    records = json.loads(listed.stdout)
    energies = {
        record["sources"][0]["material_id"]: record["result"]["energy_per_atom"]
        for record in records
        if record["property"] == "static" and record["state"] == "ok"
    }
    lowest = min(energies, key=energies.__getitem__, default=None)
    if (
        len(energies) != 5
        or lowest != "Si-diamond"
        or not all(map(math.isfinite, energies.values()))
    ):
        sys.exit(f"Silicon in five structures came out as {energies}: diamond must be lowest.")
    return f"The installed wheel finds {lowest} lowest, at {energies[lowest]:.4f} eV/atom."


def run(*command: object, **options: object) -> None:
    done = subprocess.run([str(part) for part in command], **options)  # type: ignore[call-overload]
    if done.returncode:
        sys.stderr.write((done.stderr or b"").decode())
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}.")


if __name__ == "__main__":
    main()
