"""The HTML page in headless chromium: at the width of a desktop and of a phone, light and dark.

Skipped without chromium, unless CONVDIFF_REQUIRE names it.  The page has no script of its own, so
it is put into a frame of a page whose script measures it.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from convdiff.report import html_report
from tests.report.suites import SUITE

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
REQUIRED = "chromium" in os.environ.get("CONVDIFF_REQUIRE", "").split(",")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None and not REQUIRED, reason="no chromium: make browser"),
    pytest.mark.xdist_group("chromium"),
]

MEASURE = """
const frame = document.querySelector('iframe'), page = frame.contentDocument;
const style = element => frame.contentWindow.getComputedStyle(element);
const tags = 'p, td, th, dd, dt, li, h1, h2, h3, figcaption, summary, pre';
const texts = [...page.querySelectorAll(tags)].filter(e => e.textContent.trim());
const behind = element => {
  for (let e = element; e; e = e.parentElement) {
    const color = style(e).backgroundColor;
    if (color !== 'rgba(0, 0, 0, 0)') return color;
  }
};
const right = page.documentElement.clientWidth + 1;
const tooWide = e => !e.closest('pre, svg') && e.getBoundingClientRect().right > right;
const size = image =>
  [image.naturalWidth, image.naturalHeight, image.clientWidth, image.clientHeight];
const measured = {
  title: page.title,
  scripts: page.scripts.length,
  width: page.documentElement.scrollWidth,
  height: page.documentElement.scrollHeight,
  images: [...page.images].map(size),
  colors: texts.map(e => [style(e).color, behind(e)]),
  wide: [...page.querySelectorAll('body *')].filter(tooWide).map(e => e.outerHTML.slice(0, 90)),
};
document.body.append(Object.assign(
  document.createElement('pre'), {id: 'measured', textContent: JSON.stringify(measured)}));
"""


def measure(tmp_path: Path, page: str, width: int, dark: bool) -> dict[str, Any]:
    """What the script finds on the page in a frame of this width."""
    assert CHROMIUM is not None, "CONVDIFF_REQUIRE names chromium, but it is not installed"
    harness = tmp_path / "harness.html"
    frame = (
        f'<iframe srcdoc="{html.escape(page)}" '
        f'style="border:0;width:{width}px;height:900px"></iframe>'
    )
    harness.write_text(
        f"<!doctype html><meta charset=utf-8><body>{frame}<script>onload = () => "
        f"{{{MEASURE}}}</script>",
        encoding="utf-8",
    )
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            f"--window-size={width + 40},1000",
            "--virtual-time-budget=5000",
            "--dump-dom",
            harness.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    match = re.search(r'<pre id="measured">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match, done.stdout[-500:] + done.stderr[-2000:]
    return dict(json.loads(html.unescape(match[1])))


def luminance(color: str) -> float:
    parts = [float(part) / 255 for part in re.findall(r"[\d.]+", color)[:3]]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(color: str, background: str) -> float:
    high, low = sorted((luminance(color), luminance(background)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390, 320])
def test_the_page_is_readable(width: int, dark: bool, tmp_path: Path) -> None:
    page = measure(tmp_path, html_report.render(SUITE), width, dark)
    assert page["title"].startswith("convdiff: 2 of 6 cases agree"), "a case's name was executed"
    assert page["scripts"] == 0
    assert page["width"] <= width
    assert page["wide"] == []
    assert len(page["images"]) >= 3
    assert all(
        natural and high and shown >= 16 and tall >= 4
        for natural, high, shown, tall in page["images"]
    )
    backgrounds = {background for _, background in page["colors"]}
    assert all((luminance(color) < 0.1) == dark for color in backgrounds), backgrounds
    assert min(contrast(color, background) for color, background in page["colors"]) >= 4.5


def test_a_page_with_invisible_text_and_a_wide_line_is_found(tmp_path: Path) -> None:
    """Otherwise the test above could not fail."""
    broken = html_report.render(SUITE).replace(
        "</style>", ".dim { color: #eee } h1 { width: 2000px }</style>"
    )
    page = measure(tmp_path, broken, 390, dark=False)
    assert page["width"] > 390
    assert min(contrast(color, background) for color, background in page["colors"]) < 4.5
