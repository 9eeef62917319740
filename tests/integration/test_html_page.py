"""The page in a real browser: clicked, zoomed, searched, toggled, and read with a keyboard."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files as files_of
from pathlib import Path
from typing import Any

import pytest

from slim.model.audit import Audit
from slim.model.rule import Safety
from slim.reports.html import page as html
from tests.support.audits import audit_of
from tests.support.browser import chromium, visit
from tests.support.published_stacks import SITE, publish
from tests.unit.test_audit_findings import layers

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("page")]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    folder = tmp_path_factory.mktemp("pages") / "stack"
    publish(
        folder,
        layers(**{"alpha/big.py": "a = 1\n" * 3000, "alpha/tests/test_big.py": "b = 1\n" * 2000}),
    )
    return audit_of(folder, prove=True)


@pytest.fixture(scope="module")
def browser(audited: Audit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    file = tmp_path_factory.mktemp("html") / "page.html"
    file.write_text(html.render_audit([audited]), encoding="utf-8")
    with chromium() as driver:
        driver.page_file = file
        yield driver


@pytest.fixture
def page(browser: Any) -> Any:
    visit(browser, browser.page_file)
    return browser


def button(page: Any, text: str) -> Any:
    return page.find_element("xpath", f"//button[normalize-space()='{text}']")


def node(page: Any, name: str) -> int:
    return int(page.execute_script("return slimPage.find(arguments[0])", name))


def click_block(page: Any, name: str, *, corner: bool = False, double: bool = False) -> None:
    """Click on the map where a block is drawn: in its middle, or on its heading."""
    from selenium.webdriver import ActionChains

    canvas = page.find_element("id", "map")
    block = page.execute_script(
        "const n = slimPage.find(arguments[0]); return slimPage.blocks.find((one) => one.n === n)",
        name,
    )
    assert block is not None, f"{name} isn't drawn"
    x, y = (
        (block["x"] + 8, block["y"] + 5)
        if corner
        else (block["x"] + block["w"] / 2, block["y"] + block["h"] / 2)
    )
    actions = ActionChains(page).move_to_element_with_offset(
        canvas, int(x - canvas.size["width"] / 2), int(y - canvas.size["height"] / 2)
    )
    (actions.double_click() if double else actions.click()).perform()


def crumbs(page: Any) -> list[str]:
    return [one.text for one in page.find_elements("css selector", "#crumbs button")]


def details(page: Any) -> str:
    return str(page.find_element("id", "details").text)


def rows(page: Any) -> list[str]:
    return [row.text for row in page.find_elements("css selector", "#panel tbody tr")]


def press(page: Any, key: str) -> None:
    from selenium.webdriver import ActionChains

    ActionChains(page).send_keys(key).perform()


def test_nothing_is_loaded_and_nothing_complained_about(page: Any) -> None:
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    urls = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert {url.partition(":")[0] for url in urls} <= {"file", "data"}
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_the_sums_are_those_of_the_audit(page: Any, audited: Audit) -> None:
    assert page.execute_script("return slimPage.tree.before[0]") == audited.total.unpacked
    assert page.execute_script("return slimPage.tree.files[0]") == audited.total.files
    standard = next(one for one in audited.savings if one.profile is Safety.STANDARD)
    assert (
        page.execute_script("return slimPage.now.after[0]")
        == audited.total.unpacked - standard.saved
    )
    drawn = page.execute_script("""
        const leaves = slimPage.blocks.filter((one) => one.leaf);
        return leaves.reduce((sum, one) => sum + slimPage.tree.before[one.n], 0)""")
    assert drawn <= audited.total.unpacked


def test_blocks_are_drawn_in_proportion_and_apart(page: Any) -> None:
    blocks = page.execute_script(
        "return slimPage.blocks.filter((one) => 'l' === slimPage.tree.kinds[one.n])"
    )
    sizes = [
        page.execute_script("return slimPage.tree.before[arguments[0]]", one["n"]) for one in blocks
    ]
    per_byte = [one["w"] * one["h"] / size for one, size in zip(blocks, sizes, strict=True)]
    assert max(per_byte) / min(per_byte) == pytest.approx(1, abs=0.01)
    for index, one in enumerate(blocks):
        for other in blocks[index + 1 :]:
            assert any(
                first[start] + first[length] <= second[start] + 0.01
                for start, length in (("x", "w"), ("y", "h"))
                for first, second in ((one, other), (other, one))
            )


def test_click_a_file_and_read_why_it_goes(page: Any) -> None:
    click_block(page, "test_big.py")
    told = details(page)
    assert "test_big.py" in told
    assert "Goes" in told
    assert "tests-folders" in told
    assert "alpha 1.0 in framework-f" in told
    assert "test_big.py" in page.find_element("id", "spoken").get_attribute("textContent")


def test_zoom_in_by_heading_and_out_by_crumb(page: Any) -> None:
    click_block(page, "framework-f", corner=True)
    assert crumbs(page) == ["Everything", "framework-f"]
    drawn = page.execute_script("return slimPage.blocks.map((one) => slimPage.tree.names[one.n])")
    assert "alpha 1.0" in drawn
    assert "app-a" not in drawn
    button(page, "Everything").click()
    assert crumbs(page) == ["Everything"]


def test_double_click_goes_one_level_in(page: Any) -> None:
    click_block(page, "big.py", double=True)
    assert crumbs(page) == ["Everything", "framework-f"]
    assert "big.py" in details(page)


def test_after_a_run_what_goes_is_gone(page: Any) -> None:
    assert "test_big.py" in page.execute_script(
        "return slimPage.blocks.map((one) => slimPage.tree.names[one.n])"
    )
    button(page, "After").click()
    assert button(page, "After").get_attribute("aria-pressed") == "true"
    assert "test_big.py" not in page.execute_script(
        "return slimPage.blocks.map((one) => slimPage.tree.names[one.n])"
    )
    press(page, "b")
    assert button(page, "Before").get_attribute("aria-pressed") == "true"


def test_another_profile_is_another_plan(page: Any) -> None:
    before = page.execute_script("return slimPage.now.after[0]")
    button(page, "safe").click()
    assert page.execute_script("return slimPage.now.after[0]") > before
    assert "--profile safe" in details(page)


def test_colours_tell_what_becomes_of_a_file(page: Any) -> None:
    button(page, "Goes, shrinks, stays").click()
    legend = page.find_element("id", "legend").text
    assert "goes" in legend
    assert "stays" in legend
    sums = page.execute_script("return slimPage.marks(0).reduce((sum, one) => sum + one[1], 0)")
    assert sums == page.execute_script("return slimPage.tree.before[0]")


def test_search_finds_dims_and_fills_the_table(page: Any) -> None:
    press(page, "/")
    page.switch_to.active_element.send_keys("test_big")
    assert page.find_element("id", "found").text == "1 file, 12.0 kB"
    assert len(rows(page)) == 1
    assert f"framework-f/{SITE}/alpha/tests/test_big.py" in rows(page)[0]
    big, test = node(page, "big.py"), node(page, "test_big.py")
    assert page.execute_script(
        "return [slimPage.dimmed(arguments[0]), slimPage.dimmed(arguments[1])]", big, test
    ) == [
        True,
        False,
    ]
    page.switch_to.active_element.send_keys("xyzzy")
    assert page.find_element("id", "found").text == "Nothing found"
    press(page, "\ue00c")  # Escape
    assert page.find_element("id", "search").get_attribute("value") == ""
    assert len(rows(page)) > 5


def test_tables_sort_and_lead_to_the_map(page: Any) -> None:
    assert "big.py" in rows(page)[0]  # the largest first
    page.find_element("xpath", "//th/button[normalize-space()='Size']").click()
    header = page.find_element("xpath", "//th[button[normalize-space()='Size']]")
    assert header.get_attribute("aria-sort") == "ascending"
    assert "big.py" not in rows(page)[0]
    button(page, "Owners").click()
    page.find_element("xpath", "//td//button[normalize-space()='beta 1.0']").click()
    assert crumbs(page)[-1] == "beta 1.0"


@pytest.mark.parametrize(
    ("tab", "text"),
    [
        ("Kinds", "python source"),
        ("Rules", "tests-folders"),
        ("What stands out", "Duplicate content"),
        ("Files", "big.py"),
    ],
)
def test_every_table_tells_something(page: Any, tab: str, text: str) -> None:
    button(page, tab).click()
    assert text in page.find_element("id", "panel").text


def test_layers_are_in_the_markup_itself(page: Any) -> None:
    button(page, "Layers").click()
    assert "cpython3.13" in page.find_element("id", "layers-panel").text


def test_keyboard_alone(page: Any) -> None:
    page.execute_script("document.getElementById('map').focus()")
    press(page, "\ue014")  # right: selects the first block
    first = page.execute_script("return slimPage.selected")
    assert first != 0
    seen = {first}
    for key in ("\ue014", "\ue015", "\ue012", "\ue013"):
        press(page, key)
        seen.add(page.execute_script("return slimPage.selected"))
    assert len(seen) > 1
    press(page, "\ue007")  # Enter
    assert len(crumbs(page)) == 2
    press(page, "\ue00c")
    assert crumbs(page) == ["Everything"]
    press(page, "?")
    assert page.find_element("id", "help").get_attribute("open") is not None


def test_dark_and_light_are_two_looks(page: Any) -> None:
    looks = []
    for _ in range(2):
        looks.append(
            page.execute_script("return getComputedStyle(document.documentElement).backgroundColor")
        )
        press(page, "d")
    assert looks[0] != looks[1]


def test_every_control_has_a_name(page: Any) -> None:
    nameless = page.execute_script("""
        return [...document.querySelectorAll("button, input, canvas, [role]")].filter((one) =>
          !one.closest("[hidden]") && one.getAttribute("role") !== "presentation"
          && !one.getAttribute("aria-label") && !one.getAttribute("aria-labelledby")
          && !one.textContent.trim() && !one.labels?.length && !one.title)
          .map((one) => one.outerHTML.slice(0, 80))""")
    assert nameless == []


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2) of ``#rrggbb`` or ``rgb(r g b)``."""
    found = (
        [int(part, 16) for part in re.findall("[0-9a-f]{2}", colour)]
        if colour.startswith("#")
        else None
    )
    channels = [value / 255 for value in found or map(int, re.findall(r"\d+", colour))]
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("dark", "ink"), [(False, "#1c1b19"), (True, "#ffffff")])
def test_everything_can_be_read(page: Any, dark: bool, ink: str) -> None:
    """WCAG 2.2, success criterion 1.4.3: 4.5 to 1 for text, on every colour it is written on."""
    page.execute_script("slimPage.theme(arguments[0])", dark)
    colours = page.execute_script(
        """
        return [...Object.keys(HUES).map((name) => categoryColour(name, arguments[0])),
                ...STATES.map((name) => stateColour(name, arguments[0]))]""",
        dark,
    )
    assert len(colours) > 18
    assert {colour for colour in colours if contrast(colour, ink) < 4.5} == set()
    style = {
        name: page.execute_script(
            "return getComputedStyle(document.documentElement)"
            ".getPropertyValue(arguments[0]).trim()",
            f"--{name}",
        )
        for name in ("bg", "panel", "ink", "soft", "accent", "goes", "shrinks", "held")
    }
    for name in ("ink", "soft", "accent", "goes", "shrinks", "held"):
        assert contrast(style[name], style["panel"]) >= 4.5, name
        assert contrast(style[name], style["bg"]) >= 4.2, name


def test_the_layout_is_that_of_a_known_library(page: Any) -> None:
    squarify = pytest.importorskip("squarify")
    for sizes, width, height in (
        ([6, 6, 4, 3, 2, 2, 1], 600, 400),
        ([500, 433, 78, 25, 25, 7, 1], 300, 700),
        ([1], 9, 9),
    ):
        expected = squarify.squarify(
            squarify.normalize_sizes(sizes, width, height), 0, 0, width, height
        )
        found = page.execute_script(
            "const found = []; squarify(arguments[0], 0, 0, arguments[1], arguments[2], "
            "(index, x, y, dx, dy) => found.push({ x, y, dx, dy })); return found",
            sizes, width, height,
        )  # fmt: skip
        assert found == [pytest.approx(one) for one in expected]


def test_what_stands_out_leads_to_the_map(page: Any) -> None:
    button(page, "What stands out").click()
    link = page.find_element("css selector", "#panel .finding td button.link")
    name = link.text.rpartition("/")[2]
    link.click()
    assert name in details(page)


def test_a_folder_without_files(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    file = tmp_path / "page.html"
    file.write_text(html.render_audit([audit_of(tmp_path / "nothing")]), encoding="utf-8")
    visit(browser, file)
    assert "0 files" in browser.find_element("css selector", ".facts").text
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert rows(browser) == []
    assert "Nothing here." in browser.find_element("id", "panel").text


def test_small_windows_need_no_sideways_scrolling(page: Any) -> None:
    page.set_window_size(500, 900)
    try:
        assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    finally:
        page.set_window_size(1440, 1040)


def test_thirty_thousand_files_stay_below_a_megabyte(tmp_path: Path) -> None:
    from slim.reports.html.content import Page
    from slim.reports.html.data import pack, page_data
    from slim.reports.html.page import SCRIPTS
    from tests.support.virtual_stacks import make_stack

    words = (
        "core",
        "models",
        "utils",
        "config",
        "backend",
        "kernel",
        "layers",
        "ops",
        "data",
        "io",
    )
    files: dict[str, str] = {}
    for number in range(30_000):
        a, b, c = words[number % 10], words[number // 10 % 10], words[number // 100 % 10]
        files[
            f"$site/pack{number % 37}/{a}/{b}_{c}/{a}_{b}_{number * 2654435761 % 2**32:08x}.py"
        ] = "x" * (number % 97)
    stack = make_stack({"app-large": files})
    data = page_data(
        [
            Page(
                stack=stack.stack,
                records={
                    name: tuple(found.values()) for name, found in stack.inventory.records.items()
                },
                layers=(),
                views=(),
                rules={},
            )
        ],
        default_view=0,
    )
    assert len(data["sizes"]) == 30_000
    parts = (files_of("slim.reports.html") / "parts").iterdir()
    frame = {part.name: len(part.read_bytes()) for part in parts}
    assert set(frame) == {*SCRIPTS, "page.css", "page.html.j2"}
    assert len(pack(data)) + sum(frame.values()) < 1_000_000
