"""The pages of a report: one shell, and what each of them loads."""

from __future__ import annotations

from pathlib import Path

SHELL = Path(__file__).parent / "static" / "shell.html"

#: page → its title, and its scripts in the order in which they need each other
PAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "index": (
        "Campaign",
        (
            "data/campaign.js",
            "data/rows.js",
            "data/series.js",
            "data/pages.js",
            "assets/plotly.min.js",
            "assets/tabulator.min.js",
            "assets/dom.js",
            "assets/charts.js",
            "assets/periodic.js",
            "assets/table.js",
            "assets/against.js",
            "assets/values.js",
            "assets/index.js",
        ),
    ),
    "structure": (
        "Structure",
        (
            "data/campaign.js",
            "assets/plotly.min.js",
            "assets/dom.js",
            "assets/charts.js",
            "assets/curves.js",
            "assets/structure.js",
        ),
    ),
    "hulls": (
        "Hulls",
        (
            "data/campaign.js",
            "data/rows.js",
            "data/hulls.js",
            "data/pages.js",
            "assets/plotly.min.js",
            "assets/dom.js",
            "assets/charts.js",
            "assets/hulls.js",
        ),
    ),
    "problems": (
        "Problems",
        (
            "data/campaign.js",
            "data/rows.js",
            "data/alone.js",
            "data/pages.js",
            "assets/tabulator.min.js",
            "assets/dom.js",
            "assets/problems.js",
        ),
    ),
    "provenance": (
        "Provenance",
        (
            "data/campaign.js",
            "assets/dom.js",
            "assets/provenance.js",
        ),
    ),
}


def page(name: str) -> str:
    """HTML of one of `PAGES`; a table brings its own style sheet."""
    title, scripts = PAGES[name]
    tabulator = ["assets/tabulator.min.css"] * ("assets/tabulator.min.js" in scripts)
    styles = [*tabulator, "assets/report.css"]
    filled = {
        "{title}": title,
        "{styles}": "\n".join(f'<link rel="stylesheet" href="{each}">' for each in styles),
        "{scripts}": "\n".join(f'<script src="{each}"></script>' for each in scripts),
    }
    text = SHELL.read_text("utf-8")
    for place, content in filled.items():
        text = text.replace(place, content)
    return text
