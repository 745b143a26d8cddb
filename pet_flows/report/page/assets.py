"""The files of a report that are the same for all campaigns."""

from __future__ import annotations

import shutil
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from pet_flows.errors import PetFlowsError
from pet_flows.report.page.shell import PAGES, SHELL, page
from pet_flows.report.page.viewer import chemiscope_script

#: pages, scripts and styles of this package
STATIC = Path(__file__).parent / "static"


def plotly_script() -> Path:
    """Script of the installed plotly, which is not imported.

    Raises
    ------
    PetFlowsError
        It is not installed.
    """
    found = find_spec("plotly")
    places = list(found.submodule_search_locations or ()) if found is not None else []
    path = Path(places[0], "package_data", "plotly.min.js") if places else None
    if path is None or not path.is_file():
        raise PetFlowsError(
            "The plots of a report are drawn by plotly, which is not installed: install plotly, or "
            "name a file, such as -o table.csv."
        )
    return path


def copy_assets(folder: Path) -> bool:
    """Copy pages, scripts, styles and libraries with their licences into a report.

    Returns
    -------
    bool
        Whether the viewer of structures is there.
    """
    assets = folder / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    for file in sorted(STATIC.iterdir()):
        if file != SHELL:
            shutil.copyfile(file, (folder if file.suffix == ".html" else assets) / file.name)
    for name in PAGES:
        (folder / f"{name}.html").write_text(page(name), encoding="utf-8")
    shutil.copyfile(plotly_script(), assets / "plotly.min.js")
    viewer = chemiscope_script()
    if viewer is not None:
        shutil.copyfile(viewer, assets / "chemiscope.min.js")
    (assets / "LICENSES.txt").write_text(licences(), encoding="utf-8")
    return viewer is not None


def licences() -> str:
    """Licences of the libraries in a report, as their authors ask for."""
    parts = [f"Tabulator\n\n{(STATIC / 'tabulator.LICENSE.txt').read_text('utf-8')}"]
    for name in ("plotly", "chemiscope"):
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        for file in found.files or ():
            if file.name.upper().startswith("LICENSE"):
                parts.append(f"{name} {found.version}\n\n{file.read_text('utf-8')}")
    return f"\n{'-' * 80}\n\n".join(parts)
