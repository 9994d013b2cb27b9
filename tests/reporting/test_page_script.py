"""The page in a real browser: sorting, the slider, keyboard, contrast, headings; and the same without its script."""

import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

import pytest

from radpath.reporting.content import ReportContent
from radpath.reporting.page import render_report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe")
PATIENCE_S = 90
# The browser reads its orders from file 3 and answers in file 4.
START = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(one), fcntl.F_DUPFD, 50) for one in sys.argv[1:3])
os.dup2(read, 3), os.dup2(write, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""

# Contrast as WCAG 2.2 defines it, of every element that holds words of its own, against what lies behind it.
CONTRAST = """
(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const words = Array.from(document.querySelectorAll("body *")).filter((e) =>
    !e.closest("svg") && e.checkVisibility() &&
    Array.from(e.childNodes).some((n) => n.nodeType === 3 && n.data.trim()));
  return words.map((e) => {
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))];
    const what = e.tagName + "." + e.className + ": " + e.textContent.slice(0, 30);
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), what];
  }).filter(([ratio]) => ratio < 4.5);
})()
"""


@final
class Browser:
    """A headless Chromium, spoken to through a pipe in the words of its DevTools."""

    def __init__(self, folder: Path) -> None:
        self._to, self._from, self._numbers = 0, 0, itertools.count(1)
        read, self._to = os.pipe()
        self._from, write = os.pipe()
        words = (str(CHROMIUM), *OPTIONS, f"--user-data-dir={folder}", "about:blank")
        self._process = subprocess.Popen(
            [sys.executable, "-c", START, str(read), str(write), *words],
            pass_fds=(read, write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(read)
        os.close(write)
        self._buffer, self._session = b"", ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._to)
        self._process.terminate()
        self._process.wait(20)
        os.close(self._from)

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        session = {"sessionId": self._session} if self._session else {}
        message = {"id": number, "method": method, "params": parameters, **session}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], max(0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            piece = os.read(self._from, 1 << 20)
            assert piece, "the browser is gone"
            self._buffer += piece
        one, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(one)
        return answer

    def evaluate(self, expression: str) -> Any:
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def press(self, key: str, code: int) -> None:
        for kind in ("rawKeyDown", "char", "keyUp"):
            text = {"text": "\r"} if kind == "char" and key == "Enter" else {}
            if kind != "char" or text:
                self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def open(self, page: Path, *, script: bool = True, theme: str = "light") -> None:
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        self.call("Page.navigate", url=page.as_uri())
        deadline = time.monotonic() + PATIENCE_S
        while self.evaluate("document.readyState + location.href") != f"complete{page.as_uri()}":
            assert time.monotonic() < deadline, "the page does not load"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    opened = Browser(tmp_path_factory.mktemp("browser"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, two_classes: ReportContent) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_report(two_classes), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def page_of_four(tmp_path_factory: pytest.TempPathFactory, four_classes: ReportContent) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_report(four_classes), encoding="utf-8")
    return path


def numbers_of(browser: Browser, table: str, place: int) -> list[float]:
    cells = f"document.querySelectorAll('#table-{table} tbody tr')"
    found: list[float] = browser.evaluate(f"Array.from({cells}).map(row => Number(row.cells[{place}].dataset.value))")
    return found


def test_a_head_sorts_its_column_by_click_and_by_key_and_a_third_time_restores(browser: Browser, page: Path) -> None:
    browser.open(page)
    before = numbers_of(browser, "results", 1)
    head = "document.querySelectorAll('#table-results thead th')[1]"
    browser.evaluate(f"{head}.querySelector('button').click()")
    assert numbers_of(browser, "results", 1) == sorted(before, reverse=True)
    assert browser.evaluate(f"{head}.getAttribute('aria-sort')") == "descending"
    browser.evaluate(f"{head}.querySelector('button').focus()")
    browser.press("Enter", 13)
    assert numbers_of(browser, "results", 1) == sorted(before)
    assert browser.evaluate(f"{head}.getAttribute('aria-sort')") == "ascending"
    browser.press("Enter", 13)
    assert numbers_of(browser, "results", 1) == before
    assert browser.evaluate(f"{head}.getAttribute('aria-sort')") is None


def test_the_total_stays_last_when_rows_are_sorted(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.evaluate("document.querySelector('#table-split thead button').click()")
    assert browser.evaluate("document.querySelector('#table-split tfoot th').textContent") == "All"


def test_the_slider_starts_at_the_frozen_threshold_with_the_reported_numbers(
    browser: Browser, page: Path, two_classes: ReportContent
) -> None:
    browser.open(page)
    side = two_classes.evaluation.sides["test"]
    shown = browser.evaluate("Array.from(document.querySelectorAll('.looks dd')).map(one => one.textContent)")
    reported = [side.find(name, "malignant") for name in ("sensitivity", "specificity", "precision")]
    assert shown[:3] == [f"{one.value:.3f}" for one in reported if one is not None]
    assert "the frozen one" in browser.evaluate("document.querySelector('.slide output').textContent")
    assert "the threshold that is reported is the frozen one" in browser.evaluate(
        "document.querySelector('.widget').textContent"
    )


def test_the_slider_moves_by_key_and_every_number_follows(
    browser: Browser, page: Path, two_classes: ReportContent
) -> None:
    browser.open(page)
    browser.evaluate("document.getElementById('threshold-slider').focus()")
    browser.press("Home", 36)
    cells = "Array.from(document.querySelectorAll('.explorer td')).map(one => Number(one.textContent))"
    (right_benign, alarms), (missed, right_malignant) = two_classes.evaluation.sides["test"].confusion
    assert browser.evaluate(cells) == [missed + right_malignant, 0, right_benign + alarms, 0]
    circles = "Array.from(document.querySelectorAll('.explorer circle'))"
    dots = f"{circles}.map(one => [one.cx.baseVal.value, one.style.display])"
    low = browser.evaluate(dots)
    browser.press("End", 35)
    assert browser.evaluate(cells) == [0, missed + right_malignant, 0, right_benign + alarms]
    high = browser.evaluate(dots)
    assert low[0] != high[0]
    assert high[1][1] == "none"  # where nothing is called positive, precision does not exist
    assert "undefined" in browser.evaluate("document.querySelector('.looks').textContent")


def test_with_four_classes_another_class_can_be_chosen(browser: Browser, page_of_four: Path) -> None:
    browser.open(page_of_four)
    heads = "document.querySelector('.explorer thead').textContent"
    assert "decided normal" in browser.evaluate(heads)
    browser.evaluate(
        "(c => { c.value = 2; c.dispatchEvent(new Event('change')); })(document.getElementById('threshold-class'))"
    )
    assert "decided in situ" in browser.evaluate(heads)


def test_without_its_script_the_page_says_the_same_and_shows_no_slider(browser: Browser, page: Path) -> None:
    browser.open(page)
    parts = "Array.from(document.querySelectorAll('main > section'))"
    words = f"{parts}.map(one => (one.querySelector('.widget')?.remove(), one.textContent))"
    with_script = browser.evaluate(words)
    browser.open(page, script=False)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.evaluate("document.querySelector('.widget').checkVisibility()") is False
    assert browser.evaluate("document.querySelectorAll('button').length") == 0
    assert browser.evaluate(words) == with_script


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_word_has_the_contrast_that_wcag_asks_for(browser: Browser, page: Path, theme: str) -> None:
    browser.open(page, theme=theme)
    browser.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert browser.evaluate(CONTRAST) == []
    colours = "getComputedStyle(document.body).backgroundColor"
    assert (browser.evaluate(colours) == "rgb(255, 255, 255)") is (theme == "light")


def test_headings_go_down_one_level_at_a_time_and_figures_have_words(browser: Browser, page: Path) -> None:
    browser.open(page)
    levels = browser.evaluate(
        "Array.from(document.querySelectorAll('h1,h2,h3,h4,h5')).map(one => Number(one.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    label = "document.getElementById(one.getAttribute('aria-labelledby').split(' ')[1]).textContent"
    named = f"one.getAttribute('aria-label') || {label}"
    unnamed = f"Array.from(document.querySelectorAll('svg[role=img]')).filter(one => !({named})).length"
    assert browser.evaluate(unnamed) == 0


def test_nothing_is_wider_than_a_phone(browser: Browser, page: Path) -> None:
    browser.call("Emulation.setDeviceMetricsOverride", width=380, height=800, deviceScaleFactor=1, mobile=True)
    browser.open(page)
    try:
        assert browser.evaluate("document.documentElement.scrollWidth") <= 380
    finally:
        browser.call("Emulation.clearDeviceMetricsOverride")


def test_a_script_that_somebody_put_into_the_page_does_not_run(browser: Browser, page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    tampered = tmp_path / "tampered.html"
    tampered.write_text(text.replace("</main>", "</main><script>document.title = 'owned'</script>"), encoding="utf-8")
    browser.open(tampered)
    assert browser.evaluate("document.title") == "Lesions · radpath report"
    assert browser.evaluate("document.querySelectorAll('th button').length") > 0
