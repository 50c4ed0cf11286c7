"""Cards and tables as JupyterLab shows them: readable in both themes, and text where the wire had markup."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import hostile_capture
from jupyter import JupyterLab, Notebook

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

CAPTURES = Path(__file__).resolve().parents[2] / "notebooks" / "captures"
SHOWN = ("cap", "cap.findings", "cap.conversation(0)", "k8scap.show(cap.requests)")


def heard(page: Page) -> list[str]:
    """Dialogs that open from now on, and what is asked for outside JupyterLab."""
    said: list[str] = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: said.append(request.url) if "evil" in request.url else None)
    return said


def loaded(path: Path) -> str:
    return f"import k8scap; cap = k8scap.load({str(path)!r})"


def test_cards_are_text_whatever_the_wire_had(lab: JupyterLab, page: Page, tmp_path: Path) -> None:
    said = heard(page)
    path = hostile_capture.hostile(tmp_path)
    searched = "k8scap.show(cap.conversations, search=True)"
    notebook = Notebook.open(page, lab, loaded(path), *SHOWN, searched)
    notebook.run_all()
    notebook.output(5).locator("td").first.wait_for()
    for number in range(1, 6):
        output = notebook.output(number)
        output.locator("summary").evaluate_all("all => all.forEach(one => one.parentElement.open = true)")
        assert output.locator("script, img, svg[onload], a").count() == 0
        assert hostile_capture.SCRIPT in output.inner_text()
    page.wait_for_timeout(300)  # an image that fails says so later
    assert said == []


def test_a_card_is_readable_in_both_themes(
    lab: JupyterLab, page: Page, keep: Callable[[Page, str], None]
) -> None:
    notebook = Notebook.open(page, lab, loaded(CAPTURES / "packet-loss.pcap"), *SHOWN[:2])
    notebook.run_all()
    card = notebook.output(2).locator(".k8scap-card").nth(1)
    title, badge = card.locator(".k8scap-title"), card.locator(".k8scap-badge")
    assert badge.inner_text() in {"Critical", "Warning", "Info"}
    for theme, light in (("Dark", "false"), ("Light", "true")):
        page.locator(".lm-MenuBar-item", has_text="Settings").click()
        page.locator(".lm-Menu-item", has_text="Theme").first.hover()
        page.locator(".lm-Menu-item", has_text=f"JupyterLab {theme}").first.click()
        page.locator(f"body[data-jp-theme-light={light}]").wait_for(state="attached")
        page.wait_for_timeout(300)  # the theme's sheet is fetched
        card.scroll_into_view_if_needed()
        keep(page, f"cards-{theme.lower()}")
        assert contrast(title) > 7
        assert contrast(badge) > 4.5


def contrast(words: Locator) -> float:
    """WCAG's contrast ratio of an element's text with what is behind it."""
    return float(
        words.evaluate("""element => {
      const parts = colour => colour.match(/[\\d.]+/g).map(Number);
      const light = rgb => rgb.slice(0, 3).map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      let behind = element, back = [0, 0, 0, 0];
      while (behind && (back.length === 4 && back[3] === 0)) {
        back = parts(getComputedStyle(behind).backgroundColor); behind = behind.parentElement;
      }
      const ink = parts(getComputedStyle(element).color), alpha = ink.length === 4 ? ink[3] : 1;
      const seen = ink.slice(0, 3).map((v, i) => v * alpha + back[i] * (1 - alpha));
      const [a, b] = [light(seen), light(back)].sort((x, y) => y - x);
      return (a + 0.05) / (b + 0.05);
    }""")
    )


def test_a_long_table_is_searched_and_stays_small_when_saved(
    lab: JupyterLab, page: Page, keep: Callable[[Page, str], None]
) -> None:
    code = "k8scap.show(cap.round_trips, search=True)"
    counted = 'import json; print(json.dumps(int((cap.round_trips["kind"] == "handshake").sum())))'
    notebook = Notebook.open(
        page, lab, loaded(CAPTURES / "packet-loss.pcap"), code, counted, name="long.ipynb"
    )
    notebook.run_all()
    output = notebook.output(1)
    output.locator("input[type=search]").fill("handshake")
    page.wait_for_function("() => document.body.innerText.includes('filtered from')")
    keep(page, "table-searched")
    assert f"of {notebook.answer(2)} entries (filtered from" in output.inner_text()
    page.keyboard.press("Control+s")
    file = lab.folder / "long.ipynb"
    for _ in range(100):
        saved = json.loads(file.read_text())
        if saved["cells"][1]["outputs"]:
            break
        page.wait_for_timeout(50)
    assert "widgets" not in saved["metadata"]
    assert file.stat().st_size < 60_000
    assert any("rtt_ms" in str(one["data"].get("text/html")) for one in saved["cells"][1]["outputs"])
