"""The pages of a report in a browser, opened from a disk without a network."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest

from pet_flows.report.page.folder import write_report
from pet_flows.store.results import ResultStore
from tests.report.conftest import FORMULA, NAME, ODD

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@contextmanager
def opened(browser, written, address, size=WIDE):
    """A page, which must say nothing on the console and ask nothing but the disk."""
    page = browser.new_page(viewport=size)
    said, asked = [], []
    # what a software driver of OpenGL says of its own speed is not the page's
    page.on("console", lambda m: "GL Driver Message" in m.text or said.append(m.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(f"failed: {request.url}"))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{written.as_uri()}/{address}")
    yield page
    assert page.evaluate("window.hacked") is None
    page.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def cells(page, field):
    """Texts of a column of the table, as far as it is drawn."""
    return page.eval_on_selector_all(
        f'#table .tabulator-row [tabulator-field="{field}"]', "all => all.map(c => c.innerText)"
    )


def column(page, text):
    """Field of the column of this head."""
    return page.evaluate(
        "t => PF.table.getColumns().find(c => c.getDefinition().title.startsWith(t)).getField()",
        text,
    )


def fits_a_telephone(page):
    """Nothing but tables and the row of links, in themselves, is wider than its screen."""
    page.set_viewport_size(NARROW)
    for _ in range(40):  # plots follow their frame a little later
        width = page.evaluate("document.documentElement.scrollWidth")
        if width <= NARROW["width"]:
            return
        page.wait_for_timeout(50)
    pytest.fail(f"the page is {width} wide on a screen of {NARROW['width']}")


def in_sight(page, selector):
    page.locator(selector).first.scroll_into_view_if_needed()
    page.wait_for_selector(f"{selector} .main-svg")


def hover(page):
    """Put the pointer over the first point of the parity plot."""
    box = page.locator("[aria-label='PET against DFT'] .scatterlayer .point").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector(".hoverlayer .hovertext")


def test_the_table_sorts_and_filters(browser, written):
    with opened(browser, written, "index.html") as page:
        assert page.title() == "metals"
        page.get_by_role("button", name="eos", exact=True).click()
        field = column(page, "b0\n")
        header = page.locator(f'#table .tabulator-col[tabulator-field="{field}"]')
        header.click()
        up = [float(x) for x in cells(page, field) if x != "–"]
        assert up == sorted(up)
        header.click()
        down = [float(x) for x in cells(page, field) if x != "–"]
        assert down == sorted(down, reverse=True)
        assert down[0] == 119.0
        assert "structure" in page.locator("[role=status]").inner_text()
        page.locator("select[name=state]").select_option("failed")
        assert cells(page, "material") == ["my xenon"]
        page.locator("select[name=state]").select_option("")
        page.locator("select[name=reason]").select_option("killed")
        assert cells(page, "material") == ["mp-30"]
        page.locator("select[name=reason]").select_option("")
        page.locator("select[name=matched]").select_option("unmatched")
        assert set(cells(page, "matched")) == {"unmatched"}
        page.locator("select[name=matched]").select_option("")
        page.locator("input[type=search]").fill("mp-1007")
        assert cells(page, "material") == ["mp-1007"]
        page.locator("input[type=search]").fill("Cu")
        assert cells(page, "material") == ["mp-30"]


def test_uncertainty_and_spread_each_have_a_plot(browser, written):
    with opened(browser, written, "index.html") as page:
        page.locator("select[name=quantity]").select_option("eos.b0")
        for of, unit in (("uncertainty", "meV/atom"), ("spread", "meV/atom")):
            in_sight(page, f"[aria-label='{of} against error']")
            panel = page.locator(".panel", has=page.locator(f"[aria-label='{of} against error']"))
            assert f"groups of similar {of}" in panel.inner_text()
            assert unit in panel.locator(".xtitle").text_content()
        page.locator("select[name=quantity]").select_option("phonon.max_frequency")
        assert page.locator("[aria-label='uncertainty against error']").is_hidden()


def test_a_point_is_hovered_and_leads_to_its_row(browser, written):
    with opened(browser, written, "index.html") as page:
        in_sight(page, "[aria-label='PET against DFT']")
        page.locator("select[name=quantity]").select_option("eos.b0")
        hover(page)
        said = page.locator(".hoverlayer").first.text_content()
        assert "PET" in said
        assert "DFT" in said
        assert "GPa" in said
        page.mouse.down()
        page.mouse.up()
        page.wait_for_selector("#table .tabulator-row.chosen")
        chosen = page.locator("#table .tabulator-row.chosen [tabulator-field=material]")
        assert chosen.inner_text() in said


def test_statistics_are_those_of_the_series(browser, written):
    with opened(browser, written, "index.html") as page:
        page.locator("select[name=quantity]").select_option("eos.b0")
        series = page.evaluate("SERIES.find(s => s.property === 'eos' && s.name === 'b0')")
        errors = [abs(d) for d in series["difference"]]
        shown = page.locator(".strip").inner_text()
        assert f"{float(f'{sum(errors) / len(errors):.3g}'):g} GPa" in shown
        assert "Rank correlation" in page.locator("main").inner_text()
        rows = page.locator("h3:has-text('ten largest') + div tbody tr")
        assert rows.count() == 10
        worst = page.evaluate(
            "ROWS.material[SERIES.find(s => s.property === 'eos' && s.name === 'b0').row["
            f"{errors.index(max(errors))}]]"
        )
        assert worst in rows.first.inner_text()
        fits_a_telephone(page)


def test_raw_energies_are_not_what_a_reader_sees_first(browser, written):
    with opened(browser, written, "index.html") as page:
        select = page.locator("select[name=quantity]")
        assert select.input_value() == "eos.v0_per_atom"
        assert "at 1e-2 Å" in page.locator(".card:has-text('Symmetry kept')").inner_text()
        heads = page.locator("#table .tabulator-col-title").all_inner_texts()
        assert any(head.startswith("Δ v0") for head in heads)
        assert not any(head.startswith("Δ energy") for head in heads)
        last = select.locator("optgroup").last
        assert last.get_attribute("label") == "raw, zeros differ"
        assert [text.split(" (")[0] for text in last.locator("option").all_inner_texts()] == [
            "relax energy per atom", "static energy per atom"
        ]  # fmt: skip
        select.select_option("static.energy_per_atom")
        assert "%" not in page.locator(".strip").inner_text().replace("95 %", "")
        assert "R²" not in page.locator(".strip").inner_text()
        assert "zeros" in page.locator("main").inner_text()


def test_values_of_two_properties_are_told_apart_and_no_row_is_both_extremes(browser, written):
    with opened(browser, written, "index.html") as page:
        value = page.locator("label:has(span:text-is('value')) select")
        texts = value.locator("option").all_inner_texts()
        assert len(set(texts)) == len(texts)
        assert "relax energy per atom (eV)" in texts
        value.select_option("relax.energy_per_atom")
        names = page.locator("#extremes td:first-child").all_inner_texts()
        assert len(names) > 1
        assert len(set(names)) == len(names)


def test_text_of_a_campaign_stays_text(browser, written):
    with opened(browser, written, "index.html") as page:
        page.locator("input[type=search]").fill("script")
        assert cells(page, "material") == [NAME]
        assert cells(page, "formula") == [FORMULA]
        page.locator("#table a").first.click()
        page.wait_for_selector("h2")
        assert FORMULA in page.locator("h2").first.inner_text()
        assert page.evaluate("window.hacked") is None
    with opened(browser, written, "index.html") as page:
        page.get_by_role("button", name="eos", exact=True).click()
        assert ODD in page.locator("#table .tabulator-header").inner_text()
        page.locator("select[name=quantity]").select_option(f"eos.{ODD}")
        in_sight(page, "[aria-label='PET against DFT']")
        hover(page)
        assert ODD in page.locator(".hoverlayer").first.text_content()


def page_of(written, name):
    """Address of a structure's page."""
    text = (written / "data" / "rows.js").read_text("utf-8")
    rows = json.loads(text.removeprefix("window.ROWS = ").rstrip(";\n"))
    return f"structure.html#{rows['page'][rows['material'].index(name)]}"


def test_the_page_of_a_structure(browser, written):
    with opened(browser, written, page_of(written, "mp-149")) as page:
        page.wait_for_selector("h2")
        in_sight(page, "#plot-eos")
        in_sight(page, "#plot-phonon")
        assert page.locator("#plot-phonon .legendtext").count() == 2
        for name in ("volume", "alpha", "bulk", "cp", "rdf", "msd", "kappa"):
            in_sight(page, f"#plot-{name}")
        row = page.locator("tr:has(span:text-is('b0'))")
        pet, dft, error = (row.locator("td").nth(n).inner_text() for n in (1, 2, 3))
        assert pet == "100"
        difference = float(error.split(" ")[0].replace("−", "-"))
        assert float(pet) - float(dft) == pytest.approx(difference, abs=0.01)
        href = page.locator("a[href^='documents/']").first.get_attribute("href")
        assert json.loads((written / href).read_text("utf-8"))["_id"] in href
        doi = page.locator("a:text-is('10.1000/182')").first
        assert doi.get_attribute("href") == "https://doi.org/10.1000/182"
        assert "noopener" in doi.get_attribute("rel")
        fits_a_telephone(page)


@pytest.mark.slow
def test_the_viewer_shows_structures(browser, folder, tmp_path):
    pytest.importorskip("chemiscope", reason="structures are shown by chemiscope")
    with ResultStore.open(read_only=True) as store:
        write_report(store, "few", tmp_path / "few")
    with opened(browser, tmp_path / "few", page_of(tmp_path / "few", "mp-149")) as page:
        frame = page.wait_for_selector("iframe").content_frame()
        frame.wait_for_selector("body[data-ready='0']")
        assert frame.locator("canvas").count() > 0
        chips = page.locator(".chips button")
        assert chips.first.inner_text() == "input"
        if chips.count() > 1:
            chips.nth(1).click()
            frame.wait_for_selector("body[data-ready='1']")


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("hulls.html", "above lowest"),
        ("problems.html", "unknown_element"),
        ("provenance.html", "campaign.yaml"),
    ],
)
def test_the_other_pages(browser, written, address, text):
    with opened(browser, written, address) as page:
        assert text in page.locator("main").inner_text()
        assert page.locator("nav a[aria-current]").count() == 1
        fits_a_telephone(page)
