"""The report as somebody opens it: in a browser, on a phone, in the dark, on paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import hostile_capture
import pytest

import k8scap

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page

CAPTURE = Path(__file__).resolve().parents[2] / "notebooks" / "captures" / "packet-loss.pcap"
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return k8scap.report(k8scap.load(CAPTURE), tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    return k8scap.report(k8scap.load(hostile_capture.hostile(folder)), folder / "report.html")


def opened(page: Page, file: Path) -> list[str]:
    """Open the file, to its end; all that it asked for besides itself, and every dialog."""
    heard: list[str] = []
    page.on("request", lambda request: heard.append(request.url))
    page.on("dialog", lambda dialog: (heard.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.goto(file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.evaluate("[...document.images].forEach(image => image.loading = 'eager')")
    while not page.evaluate("[...document.images].every(image => image.complete)"):
        page.wait_for_timeout(20)
    return [one for one in heard if not one.startswith("data:image/") and one != file.as_uri()]


def load_ms(page: Page) -> float:
    """From asking for the page again to the end of its load event."""
    page.reload()
    return float(page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))


def width(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth"))


def test_it_opens_within_a_second_asks_for_nothing_and_shows_every_plot(page: Page, report: Path) -> None:
    asked = opened(page, report)
    assert asked == []
    assert page.evaluate("[...document.images].filter(i => i.naturalWidth > 300).length") >= 9
    assert min(load_ms(page) for _ in range(3)) < 1000
    assert report.stat().st_size < 3_000_000


def test_the_worst_finding_is_on_the_first_screen_with_its_plot_below(
    page: Page, report: Path, keep: Callable[[Page, str], None]
) -> None:
    opened(page, report)
    page.evaluate("window.scrollTo(0, 0)")
    finding = page.locator("article").first
    place = finding.bounding_box()
    assert place is not None
    assert place["y"] < 400
    assert finding.locator("figure img").count() == 2
    keep(page, "report")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(
    chromium: Browser, report: Path, keep: Callable[[Page, str], None], scheme: str
) -> None:
    context = chromium.new_context(viewport=PHONE, color_scheme=scheme, device_scale_factor=2)
    page = context.new_page()
    opened(page, report)
    assert width(page) == PHONE["width"]
    page.evaluate("window.scrollTo(0, 0)")
    keep(page, f"report-phone-{scheme}")
    context.close()


def test_dark_is_dark_plots_too(chromium: Browser, report: Path, keep: Callable[[Page, str], None]) -> None:
    context = chromium.new_context(color_scheme="dark")
    page = context.new_page()
    opened(page, report)
    plot = page.locator("article figure img").first
    plot.scroll_into_view_if_needed()
    for place in (page.locator("body"), plot):
        assert brightness(place.screenshot()) < 70
    keep(page, "report-dark")
    context.close()


def brightness(png: bytes) -> float:
    """Mean of an image's grey values, 0 to 255."""
    from io import BytesIO

    from PIL import Image, ImageStat

    return float(ImageStat.Stat(Image.open(BytesIO(png)).convert("L")).mean[0])


def test_on_paper_nothing_is_folded_and_no_plot_is_cut(page: Page, report: Path) -> None:
    opened(page, report)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.reload()  # folded again
    rows = page.locator("article details .scroll tr").first
    assert rows.is_visible()
    assert set(
        page.locator("figure").evaluate_all("all => all.map(f => getComputedStyle(f).breakInside)")
    ) == {"avoid"}
    heights = page.locator("figure").evaluate_all("all => all.map(f => f.getBoundingClientRect().height)")
    assert max(heights) < 900, "less than a page's 262 mm: else it cannot but be cut"


def test_nothing_from_the_wire_runs_and_no_payload_is_there(page: Page, hostile: Path) -> None:
    assert hostile_capture.SECRET not in hostile.read_text(encoding="utf-8")
    assert opened(page, hostile) == []
    said = page.locator("body").inner_text()
    for words in (hostile_capture.SCRIPT, hostile_capture.IMAGE, hostile_capture.LINK):
        assert words in said
    assert page.locator("a:not([href^='#']), script, img:not([src^='data:image/'])").count() == 0


def test_nothing_from_the_wire_runs_in_rendered_markdown(page: Page, tmp_path: Path) -> None:
    import mistune

    text = k8scap.report(k8scap.load(hostile_capture.hostile(tmp_path)), tmp_path / "report.md").read_text()
    rendered = mistune.create_markdown(escape=False, plugins=["table", "url"])(text)
    file = tmp_path / "rendered.html"
    file.write_text(f"<!DOCTYPE html><meta charset=utf-8><body>{rendered}", encoding="utf-8")
    assert opened(page, file) == []
    assert hostile_capture.SCRIPT in page.locator("body").inner_text()
