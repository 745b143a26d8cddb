"""Which wheels a bare machine with torch needs for `gpu.sh`, and how to fetch them.

    python benchmarks/gpu_wheels.py [--there numpy scipy ...] [--to benchmarks/wheels]

Runs `gpu.py --device cpu --quick` here without Warp, which torch-sim does without, and lists the
installed packages whose modules it imported and that the other machine does not have (`--there`,
beside torch and what that brings), with the sizes of their files. With `--to` pip fetches their
wheels, of exactly the versions here and without what they depend on, or builds those that are
published as sources alone.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata as metadata
import io
import re
import runpy
import subprocess
import sys
from pathlib import Path

#: what images with torch and its company have
THERE = (
    "torch", "triton", "numpy", "scipy", "sympy", "mpmath", "networkx", "jinja2", "markupsafe",
    "filelock", "fsspec", "typing-extensions", "setuptools", "packaging", "pyyaml", "tqdm",
    "attrs", "h5py", "huggingface-hub", "hf-xet", "idna", "charset-normalizer", "certifi",
    "colorama", "pygments", "rich", "typer", "click", "py-cpuinfo", "msgpack", "traitlets",
    "ipython", "cuda-bindings",
)  # fmt: skip
#: imported from here, or only because they are installed here
NOT_NEEDED = ("pet-flows", "warp-lang", "gpaw", "gpaw-data", "pytest")
HERE = Path(__file__).resolve().parent


def imported() -> set[str]:
    """Modules, by their first names, that the run imports from installed packages."""
    sys.modules["warp"] = None  # type: ignore[assignment]
    sys.path.insert(0, str(HERE))
    sys.argv = ["gpu.py", "--device", "cpu", "--quick"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        runpy.run_path(str(HERE / "gpu.py"), run_name="__main__")
    site = str(Path(str(metadata.distribution("numpy").locate_file(""))).resolve())
    files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    return {n.partition(".")[0] for n, f in files.items() if f and str(f).startswith(site)}


def name_of(distribution: str) -> str:
    """A distribution's name as indexes write it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def needed(there: set[str]) -> dict[str, tuple[str, float]]:
    """Name → version and size in MB of what the other machine lacks."""
    providers = metadata.packages_distributions()
    names = {name_of(d) for module in imported() for d in providers.get(module, ())}
    found = {}
    for name in sorted(names - there - {name_of(n) for n in NOT_NEEDED}):
        about = metadata.distribution(name)
        paths = [Path(str(file.locate())) for file in about.files or ()]
        size = sum(path.stat().st_size for path in paths if path.is_file())
        found[name] = (about.version, size / 1e6)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--there", nargs="*", default=[])
    parser.add_argument("--to", type=Path)
    args = parser.parse_args()
    found = needed({name_of(n) for n in (*THERE, *args.there)})
    for name, (version, size) in found.items():
        print(f"{name}=={version}\t{size:.1f} MB unpacked")
    if args.to is None:
        return
    chosen = [f"{name}=={version}" for name, (version, _) in found.items()]
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(args.to), *chosen]
    subprocess.run(command, check=True)
    total = sum(file.stat().st_size for file in args.to.glob("*.whl"))
    print(f"{len(chosen)} wheels, {total / 1e6:.1f} MB in {args.to}")


if __name__ == "__main__":
    main()
