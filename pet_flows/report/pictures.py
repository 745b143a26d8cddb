"""Records as pictures: what a plot is drawn from, what the file is called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pet_flows.errors import PetFlowsError
from pet_flows.properties.figure import draw, plot_name, save, title
from pet_flows.properties.property import PlotData
from pet_flows.properties.registry import get_property, properties
from pet_flows.report.find import label
from pet_flows.store.results import ResultStore

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
#: what plots do not need of a record
WITHOUT = {"input_structure": 0, "structure": 0, "symmetry_reference": 0, "provenance": 0}


def plot_data(record: Mapping[str, Any], store: ResultStore, asked: str | None = None) -> PlotData:
    """What plots of a record are drawn from.

    Parameters
    ----------
    record
        With the fields of the head, result and settings.
    store
        It is in; a blob is read once, when a plot asks for it.
    asked
        Identifier or campaign by which it was asked for, which decides its name.
    """

    @lru_cache(maxsize=4)
    def arrays(name: str) -> Mapping[str, Any]:
        return store.blobs.read(record["blobs"][name])

    shown = title(record["formula_pretty"], label(record, asked), record["potential"]["name"])
    return PlotData(shown, record["result"], record["settings"], arrays)


def plots_of(record: Mapping[str, Any]) -> list[str]:
    """Plots that a record's property offers; none where the property is not installed."""
    prop = properties().get(record["property"])
    return list(prop.plots) if prop is not None else []


class Pictures:
    """Files of one command: no two of the same name.

    Parameters
    ----------
    store
        Where the records are.
    folder
        Of the files; made with the first one.
    ending
        png, svg or pdf.
    """

    def __init__(self, store: ResultStore, folder: Path, ending: str):
        self._store = store
        self._folder = folder
        self._ending = ending
        self._taken: set[str] = set()
        self._latest: tuple[str, PlotData] | None = None

    def write(
        self,
        record: Mapping[str, Any],
        plot: str | None,
        asked: str | None = None,
        path: Path | None = None,
    ) -> Path:
        """Draw one plot of a record into a file.

        Parameters
        ----------
        record
            As for `plot_data`.
        plot
            One of those that its property offers; the first one without it.
        asked
            Identifier or campaign by which it was asked for, which decides its name.
        path
            The file; without it one in the folder is named after identifier, property and plot.

        Raises
        ------
        PetFlowsError
            There is no such plot, the record lacks what it shows, or the file cannot be written.
        """
        name = plot_name(get_property(record["property"]), plot)
        figure = self._draw(record, name, asked)
        if path is None:
            path = self._folder / self._file(record, name, asked)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise PetFlowsError(
                    f"The folder {path.parent} cannot be made ({error.strerror}): name another "
                    "one with -o."
                ) from None
        save(figure, path)
        return path

    def _draw(self, record: Mapping[str, Any], name: str, asked: str | None) -> Figure:
        prop = get_property(record["property"])
        who = f"the {prop.name} of {label(record, asked)}"
        if record["state"] == "failed" and not record["blobs"]:
            raise PetFlowsError(
                f"There is nothing to draw: {who} failed ({record['reason']}): {record['message']}"
            )
        if self._latest is None or self._latest[0] != record["_id"]:
            self._latest = record["_id"], plot_data(record, self._store, asked)
        try:
            return draw(prop, self._latest[1], name)
        except (KeyError, TypeError, IndexError) as error:
            if record["state"] == "ok":
                raise
            raise PetFlowsError(
                f"There is no {name} to draw: {who} ended early ({record['reason']}) and lacks "
                f"{error}; run it again to its end."
            ) from None

    def _file(self, record: Mapping[str, Any], plot: str, asked: str | None) -> str:
        """``mp-149_phonon_bands.png``; with the key where that is taken by another record."""
        safe = re.sub(r"[^\w.+-]+", "-", Path(label(record, asked)).name)
        stem = f"{safe}_{record['property']}_{plot}"
        if stem in self._taken:
            stem = f"{stem}_{record['_id'][:8]}"
        self._taken.add(stem)
        return f"{stem}.{self._ending}"
