"""What must be seen without scrolling sideways where the screen is that of a telephone."""

from __future__ import annotations

from tests.report.test_page_browser import NARROW, opened, page_of


def right_end(locator):
    """Where an element ends, in pixels from the left."""
    box = locator.bounding_box()
    return box["x"] + box["width"]


def test_the_error_of_a_value_is_seen(browser, written):
    with opened(browser, written, page_of(written, "mp-149"), NARROW) as page:
        page.wait_for_selector("h2")
        row = page.locator("tr:has(span:text-is('b0'))").first
        error = row.locator("td").nth(3)
        assert error.inner_text()
        assert right_end(error) <= NARROW["width"]


def test_the_largest_errors_and_one_error_of_each_structure_are_seen(browser, written):
    with opened(browser, written, "index.html", NARROW) as page:
        worst = page.locator("h3:has-text('ten largest') + div tbody tr").first.locator("td")
        assert worst.count() == 5
        assert right_end(worst.nth(4)) <= NARROW["width"]
        head = page.locator("#table .tabulator-col", has_text="Δ v0").first
        assert right_end(head) <= NARROW["width"]
        assert "scrolls sideways" in page.locator("main").inner_text()


def test_reasons_are_seen_and_rows_are_not_empty(browser, written):
    with opened(browser, written, "problems.html", NARROW) as page:
        row = page.locator(".tabulator-row", has_text="no reference of this formula").first
        reason = row.locator("[tabulator-field=reason]")
        assert right_end(reason) <= NARROW["width"]
        assert row.bounding_box()["height"] < 60
        page.locator("[tabulator-field=reason] input").first.press_sequentially("unknown")
        what = page.locator(".tabulator-row", has_text="unknown_element").first
        assert right_end(what.locator("[tabulator-field=reason]")) <= NARROW["width"]


def test_a_reference_without_a_record_leads_to_its_document(browser, written):
    for size in ({"width": 1280, "height": 900}, NARROW):
        with opened(browser, written, "problems.html", size) as page:
            row = page.locator(".tabulator-row", has_text="no record stands beside it")
            link = row.locator("a[href^='documents/']")
            assert link.inner_text() == "agm-7, mp-7"
            assert (written / link.get_attribute("href")).is_file()
            assert row.locator("a[href='https://doi.org/10.1000/182']").count() == 1
            assert "row 7 of a table" in row.inner_text()
