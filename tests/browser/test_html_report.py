"""The HTML report in a browser: nothing hostile runs, controls work, and its numbers are those of the JSON report."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser.conftest import HOSTILE, Reports

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

SECOND = 1
"""The hostile one of the two entries."""


@pytest.fixture(scope="module", params=["with its security policy", "without it"])
def page(request: pytest.FixtureRequest, chromium: Chrome, reports: Reports) -> Chrome:
    """The report, opened and used. Without the policy of the page, the escaping alone has to hold."""
    chromium.execute_cdp_cmd("Page.setBypassCSP", {"enabled": request.param == "without it"})
    return used(chromium, reports)


@pytest.fixture(scope="module")
def plain_page(chromium: Chrome, reports: Reports) -> Chrome:
    """The report, opened and used. The tests that share it leave it as they found it."""
    chromium.execute_cdp_cmd("Page.setBypassCSP", {"enabled": False})
    return used(chromium, reports)


def used(chromium: Chrome, reports: Reports) -> Chrome:
    console(chromium)
    chromium.get(reports.html.as_uri())
    click_through(chromium)
    # Whatever waits for an event of its own, such as an image that cannot be loaded.
    chromium.execute_async_script("setTimeout(arguments[0], 300)")
    return chromium


def console(page: Chrome) -> list[str]:
    """What the page said there since it was asked last."""
    return [entry["message"] for entry in page.get_log("browser")]  # type: ignore[no-untyped-call]


def entries(reports: Reports) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(reports.json.read_text(encoding="utf-8"))["entries"]
    return found


def sections(page: Chrome) -> list[WebElement]:
    return page.find_elements(By.CSS_SELECTOR, "section.entry")


def texts(parent: WebElement, selector: str) -> list[str]:
    return [element.text for element in parent.find_elements(By.CSS_SELECTOR, selector)]


def click(page: Chrome, element: WebElement) -> None:
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def click_through(page: Chrome) -> None:
    """Uses every control of the page once."""
    for link in page.find_elements(By.CSS_SELECTOR, "nav a"):
        click(page, link)
    for button in page.find_elements(By.CSS_SELECTOR, ".filters button, .copy, .grid button, .only-set, summary"):
        click(page, button)
    for control in page.find_elements(By.CSS_SELECTOR, ".filters button:first-child, .only-set"):
        click(page, control)


def test_no_script_of_a_name_an_error_or_a_result_runs(page: Chrome) -> None:
    assert page.execute_script("return window.hacked === undefined")
    assert "in 1 of 2 entry scripts" in page.title


def test_nothing_hostile_became_an_element_or_an_attribute(page: Chrome) -> None:
    running = page.find_elements(By.CSS_SELECTOR, "script:not([type='application/json'])")
    assert len(running) == 1
    assert page.find_elements(By.CSS_SELECTOR, "img, iframe, object, embed, [href^='javascript']") == []
    handlers = (
        "return [...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => /^on/i.test(a.name)))"
    )
    assert page.execute_script(f"{handlers}.length") == 0


def test_the_names_and_errors_are_there_as_they_are(plain_page: Chrome) -> None:
    section = sections(plain_page)[SECOND]
    grid = section.find_elements(By.CSS_SELECTOR, ".grid button")
    assert len(grid) == len(HOSTILE)
    seen = ""
    for button in grid:
        click(plain_page, button)
        seen += section.find_element(By.CSS_SELECTOR, ".chosen").text
    for name in HOSTILE[:4]:
        assert name in seen
    assert "</script><script>window.hacked=5</script>" in seen
    assert "<a href=javascript:window.hacked=7>click</a>" in seen


def test_the_page_asks_for_nothing_and_reports_no_error(plain_page: Chrome, reports: Reports) -> None:
    entries = "return performance.getEntriesByType('resource').map(e => e.name)"
    loaded = [name for name in plain_page.execute_script(entries) if not name.startswith(("data:", "blob:"))]
    assert loaded == []
    assert console(plain_page) == []


def test_the_numbers_of_the_page_are_those_of_the_json_report(plain_page: Chrome, reports: Reports) -> None:
    told = entries(reports)
    assert len(sections(plain_page)) == len(told) == 2
    for section, entry in zip(sections(plain_page), told, strict=True):
        facts = {
            element.get_attribute("data-fact"): element.text
            for element in section.find_elements(By.CSS_SELECTOR, "[data-fact]")
        }
        job = entry["job"]
        outcomes = [check["outcome"] for check in entry["checks"]]
        expected = {name: str(job[name]) for name in job if name in facts}
        assert {"status", "total_items", "failed_items", "total_mini_batches", "attempts"} <= expected.keys()
        expected |= {outcome: str(outcomes.count(outcome)) for outcome in set(outcomes)}
        expected |= {"verdict": entry["verdict"], "checks": str(len(outcomes)), "init_calls": str(entry["init_calls"])}
        assert facts == expected
        assert section.get_attribute("data-entry") == entry["entry"]
        grid = section.find_elements(By.CSS_SELECTOR, ".grid button")
        assert [button.get_attribute("class") for button in grid] == [
            f"cell {cell['state']}" for cell in entry["trace"]["cells"]
        ]
        rows = section.find_elements(By.CSS_SELECTOR, "table.settings tbody tr")
        assert len(rows) == len(entry["settings"])
        names = {check["name"] for check in entry["checks"] if check["outcome"] == "failed"}
        shown = section.find_elements(By.CSS_SELECTOR, "article.finding.failed h4")
        assert all(any(name in title.text for title in shown) for name in names)


def test_the_drawn_bars_and_points_are_those_of_the_json_report(plain_page: Chrome, reports: Reports) -> None:
    for number, entry in enumerate(entries(reports)):
        bars = plain_page.find_elements(By.CSS_SELECTOR, f"#entry-{number}-timeline .bar")
        assert len(bars) == len(entry["trace"]["bars"]) + len(entry["trace"]["lanes"])
        times = plain_page.find_elements(By.CSS_SELECTOR, f"#entry-{number}-times .mark")
        assert len(times) == len([cell for cell in entry["trace"]["cells"] if cell["seconds"] is not None])


def test_checks_are_filtered_by_their_outcome(plain_page: Chrome, reports: Reports) -> None:
    section = sections(plain_page)[SECOND]
    failed = [check["name"] for check in entries(reports)[SECOND]["checks"] if check["outcome"] == "failed"]
    click(plain_page, section.find_element(By.CSS_SELECTOR, ".filters button[data-outcome='failed']"))
    assert texts(section, "table.checks tbody tr:not([hidden]) th") == failed
    click(plain_page, section.find_element(By.CSS_SELECTOR, ".filters button[data-outcome='']"))
    assert len(texts(section, "table.checks tbody tr:not([hidden])")) == len(entries(reports)[SECOND]["checks"])


def test_failed_mini_batches_are_filtered_by_kind_and_by_text(plain_page: Chrome, reports: Reports) -> None:
    section = sections(plain_page)[SECOND]
    losses = entries(reports)[SECOND]["trace"]["losses"]
    assert len(texts(section, ".losses tbody tr:not([hidden])")) == len(losses)
    click(plain_page, section.find_element(By.CSS_SELECTOR, ".losses button[data-kind='ValueError']"))
    shown = texts(section, ".losses tbody tr:not([hidden]) td:first-child")
    assert shown == [str(loss["mini_batch"]) for loss in losses if loss["kind"] == "ValueError"] != []
    click(plain_page, section.find_element(By.CSS_SELECTOR, ".losses button[data-kind='']"))
    search = section.find_element(By.CSS_SELECTOR, ".losses input")
    search.send_keys("CLICK")
    assert len(texts(section, ".losses tbody tr:not([hidden])")) == 1
    assert texts(section, ".losses .shown") == ["1 shown"]
    for _ in "CLICK":
        search.send_keys(Keys.BACKSPACE)
    assert len(texts(section, ".losses tbody tr:not([hidden])")) == len(losses)


def test_the_name_of_a_check_opens_its_page(plain_page: Chrome) -> None:
    link = sections(plain_page)[SECOND].find_element(By.CSS_SELECTOR, "article.finding h4 a")
    name = link.text
    page = plain_page.find_element(By.ID, f"page-{name}")
    plain_page.execute_script("arguments[0].open = false", page)
    click(plain_page, link)
    assert page.find_element(By.TAG_NAME, "pre").text.startswith(f"# `{name}`")
    plain_page.execute_script("history.replaceState(null, '', ' ')")


def test_settings_that_nobody_set_can_be_hidden(plain_page: Chrome) -> None:
    section = sections(plain_page)[0]
    click(plain_page, section.find_element(By.CSS_SELECTOR, ".only-set"))
    names = texts(section, "table.settings tbody tr:not([hidden]) th")
    assert names == ["error_threshold", "environment_variables"]
    click(plain_page, section.find_element(By.CSS_SELECTOR, ".only-set"))


def test_the_grid_is_walked_with_the_arrow_keys(plain_page: Chrome) -> None:
    section = sections(plain_page)[SECOND]
    first, second, *_ = section.find_elements(By.CSS_SELECTOR, ".grid button")
    click(plain_page, first)
    first.send_keys(Keys.ARROW_RIGHT)
    assert plain_page.switch_to.active_element == second
    second.send_keys(Keys.ENTER)
    assert section.find_element(By.CSS_SELECTOR, ".chosen p").text.startswith("mini-batch 1: ")
    second.send_keys(Keys.END)
    plain_page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert str(plain_page.switch_to.active_element.get_attribute("aria-label")).startswith("mini-batch 5: ")


def test_every_plot_and_control_has_a_name_for_those_who_do_not_see_it(plain_page: Chrome) -> None:
    named = "return [...document.querySelectorAll('.plot, .grid button')].every(e => e.getAttribute('aria-label'))"
    assert plain_page.execute_script(named)
    tables = "return [...document.querySelectorAll('figure:has(.plot)')].every(f => f.querySelector('table tbody tr'))"
    assert plain_page.execute_script(tables)
    levels = plain_page.execute_script(
        "return [...document.querySelectorAll('h1,h2,h3,h4,h5')].map(e => +e.tagName[1])"
    )
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_the_ground_in_both_colour_schemes(plain_page: Chrome, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    plain_page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    script = """
    const light = (c) => { const v = c.match(/\\d+/g).slice(0, 3).map(x => x / 255)
        .map(x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
        return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
    const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
        return (x + 0.05) / (y + 0.05); };
    const sheet = getComputedStyle(document.querySelector('section.entry')).backgroundColor;
    const worst = {};
    for (const [selector, property] of [['h2', 'color'], ['figcaption', 'color'], ['.badge', 'color'],
            ['.plot text:not(.in-bar)', 'fill'], ['.losses h5', 'color'], ['.also, .what', 'color'],
            ['thead th', 'color']])
        for (const e of document.querySelectorAll('section.entry ' + selector))
            worst[selector] = Math.min(worst[selector] ?? 99, contrast(getComputedStyle(e)[property], sheet));
    return worst;
    """
    worst = plain_page.execute_script(script)
    plain_page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    # What the guidelines for accessible content of the web ask of texts.
    assert {selector: value for selector, value in worst.items() if value < 4.5} == {}


def test_a_script_that_got_into_the_page_all_the_same_would_not_run(plain_page: Chrome) -> None:
    plain_page.execute_script(
        "const s = document.createElement('div'); s.innerHTML = '<img src=x onerror=window.hacked=99>';"
        "document.body.append(s); const t = document.createElement('script'); t.textContent = 'window.hacked=98';"
        "document.body.append(t);"
    )
    plain_page.execute_async_script("setTimeout(arguments[0], 300)")
    assert plain_page.execute_script("return window.hacked === undefined")
