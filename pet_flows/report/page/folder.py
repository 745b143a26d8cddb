"""The folder of a report: pages that open from a disk, and fetch nothing from anywhere."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pet_flows.errors import PetFlowsError
from pet_flows.report.damage import SYMPTOMS
from pet_flows.report.formats import as_csv
from pet_flows.report.page.agreement import agreement
from pet_flows.report.page.alone import with_references
from pet_flows.report.page.assets import copy_assets
from pet_flows.report.page.facts import facts
from pet_flows.report.page.figures import write_figures
from pet_flows.report.page.hulls import hulls, stabilities
from pet_flows.report.page.rows import columns
from pet_flows.report.page.scripts import write_script
from pet_flows.report.page.series import Beside, beside_dft, series_csv
from pet_flows.report.page.structure import StructurePages
from pet_flows.report.page.summary import summary
from pet_flows.report.page.viewer import ABSENT
from pet_flows.report.table import Report, report
from pet_flows.store.results import ResultStore

logger = logging.getLogger(__name__)

#: structures that have a page of their own, where nothing else is asked for
PAGES = 2000
#: structures up to which the documents of their records and references are in the folder
DOCUMENTS = 500
#: file by which a folder is known to be a report that may be written again
_MARK = Path("data", "campaign.js")


@dataclass(frozen=True)
class Written:
    """What is in the folder."""

    n_structures: int
    n_pages: int
    n_comparisons: int
    n_figures: int
    viewer: bool


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds anything but an earlier report.

    Raises
    ------
    PetFlowsError
        It does.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _MARK).is_file():
        raise PetFlowsError(
            f"The folder {folder} holds other files: name a new one, or one with an earlier report."
        )


def write_report(
    store: ResultStore,
    campaign: str,
    folder: Path,
    n_pages: int = PAGES,
    figures: str | None = None,
) -> Written:
    """Write the report of a campaign into a folder; an earlier one in it is replaced.

    Parameters
    ----------
    store
        Where records and comparisons are.
    campaign
        Its name.
    folder
        Made where it is not there.
    n_pages
        Structures that have pages of their own: those with the largest errors beside DFT first,
        then in the order of the table.
    figures
        png, svg or pdf: parity and errors of each quantity are drawn into ``figures`` too.

    Raises
    ------
    PetFlowsError
        There is no such campaign, it has no records, or the folder cannot be written.
    """
    check_folder(folder)
    table = report(store, campaign)
    beside = beside_dft(store, campaign, table.rows)
    try:
        for part in ("data", "figures", "documents"):
            shutil.rmtree(folder / part, ignore_errors=True)
        viewer = copy_assets(folder)
        _write_tables(store, table, beside, folder, viewer)
        chosen = _chosen(table, beside, n_pages)
        n_pages = _write_pages(store, table, chosen, folder)
        _write_alone(store, table, beside, folder)
        drawn = write_figures(beside.series, folder / "figures", figures) if figures else []
    except OSError as error:
        raise PetFlowsError(
            f"The report cannot be written into {folder} ({error.strerror}): name another folder."
        ) from None
    return Written(len(table.rows), n_pages, beside.n_comparisons, len(drawn), viewer)


def _write_tables(
    store: ResultStore, table: Report, beside: Beside, folder: Path, viewer: bool
) -> None:
    """Write what is on the pages of the whole campaign."""
    data = folder / "data"
    rows = columns(table)
    rows["matched"] = [beside.matched.get(n, "") for n in range(len(table.rows))]
    found = _hulls(store, table)
    for name in ("above", "above_dft"):
        column: list[float | None] = [None] * len(table.rows)
        for hull in found:
            for number, value in zip(hull["row"], hull.get(name, ()), strict=False):
                column[number] = value
        rows[name] = column
    stable = stabilities(store, table.campaign) if found else []
    about = facts(store, table, beside)
    about["agreement"] = agreement(store, table.campaign, stable)
    about["viewer"] = None if viewer else ABSENT
    write_script(data / "campaign.js", "CAMPAIGN", about)
    write_script(data / "rows.js", "ROWS", rows)
    materials = rows["material"]
    series = []
    for one in beside.series:
        shown = {name: value for name, value in vars(one).items() if name != "matched_by"}
        series.append({**shown, "summary": summary(one, materials, rows["formula"])})
    write_script(data / "series.js", "SERIES", series)
    write_script(data / "hulls.js", "HULLS", {"hulls": found, "stability": stable})
    (folder / "table.csv").write_text(as_csv(table), encoding="utf-8")
    (folder / "comparisons.csv").write_text(series_csv(beside, table.rows), encoding="utf-8")


def _hulls(store: ResultStore, table: Report) -> list[dict[str, Any]]:
    try:
        return list(hulls(store, table.campaign, table.rows))
    except SYMPTOMS as error:
        logger.warning(
            "The report is without hulls, because a record is damaged (%s: %s): find it with "
            "pet-flows query, and run the campaign again without it.", type(error).__name__, error,
        )  # fmt: skip
        return []


def _chosen(table: Report, beside: Beside, most: int) -> list[int]:
    """Rows that have pages: the largest relative errors of every series, then the rest."""
    if most >= len(table.rows):
        return list(range(len(table.rows)))
    found: dict[int, None] = {}
    ordered = []
    for series in beside.series:
        size = [abs(r if r is not None else d) for r, d in _errors(series)]
        ordered.append([series.row[n] for n in sorted(range(len(size)), key=lambda n: -size[n])])
    for step in range(max(map(len, ordered), default=0)):
        for numbers in ordered:
            if step < len(numbers) and len(found) < most:
                found.setdefault(numbers[step])
    for number in range(len(table.rows)):
        if len(found) >= most:
            break
        found.setdefault(number)
    return list(found)


def _errors(series: Any) -> Iterator[tuple[float | None, float]]:
    return zip(series.relative, series.difference, strict=True)


def _write_pages(store: ResultStore, table: Report, chosen: list[int], folder: Path) -> int:
    """Write the pages of single structures; says how many there are."""
    pages = StructurePages(store, table.campaign)
    with_documents = len(table.rows) <= DOCUMENTS
    if with_documents:
        (folder / "documents").mkdir()
    written = []
    for number in chosen:
        row = table.rows[number]
        try:
            page, documents = pages.page(row)
        except SYMPTOMS as error:
            logger.warning(
                "The structure %s has no page, because one of its documents is damaged (%s: %s).",
                row.material, type(error).__name__, error,
            )  # fmt: skip
            continue
        page["row"] = number
        page["documents"] = with_documents
        write_script(place(folder, page["page"]), "STRUCTURE", page)
        written.append(number)
        if with_documents:
            for key, document in documents.items():
                _write_document(folder / "documents" / f"{key}.json", document)
    write_script(folder / "data" / "pages.js", "PAGES", sorted(written))
    return len(written)


def _write_alone(store: ResultStore, table: Report, beside: Beside, folder: Path) -> None:
    """Write what has no partner, and documents of references that have none."""
    most = DOCUMENTS if len(table.rows) <= DOCUMENTS else 0
    told, documents = with_references(store, beside.alone, most)
    write_script(folder / "data" / "alone.js", "ALONE", told)
    for key, document in documents.items():
        _write_document(folder / "documents" / f"{key}.json", document)


def place(folder: Path, page: str) -> Path:
    """File with the data of a structure's page."""
    return folder / "data" / page[:2] / f"{page}.js"


def _write_document(path: Path, document: Mapping[str, Any]) -> None:
    text = json.dumps(document, indent=1, ensure_ascii=False, default=str)
    path.write_text(text + "\n", encoding="utf-8")
