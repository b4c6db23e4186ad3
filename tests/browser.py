# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A headless Chromium that opens a page and tells what a person would see of it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium import webdriver

from ansible_collections.rosey.nats.tests import engine

PROGRAMS = {"chromium": "chromium", "chromedriver": "chromium-driver"}
"""What has to be there, and Debian's packages with it."""

# Of each text that is shown: how much it stands out from what is painted below it, and what it says. What is folded is
# unfolded, and what can't be pointed at is made so, since the browser is asked what lies at a point.
CONTRASTS = """
const channels = text => { const n = text.match(/[\\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1]; };
const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3]));
const luminance = colour => {
  const [r, g, b] = colour.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const isDrawn = element => element instanceof SVGElement;
const faded = (colour, ...parts) => [...colour.slice(0, 3), parts.reduce((a, b) => a * Number(b), colour[3])];
const paint = element => {
  const style = getComputedStyle(element);
  if (!isDrawn(element)) return channels(style.backgroundColor);
  if (!(element instanceof SVGGeometryElement) || !style.fill.startsWith('rgb')) return [0, 0, 0, 0];
  return faded(channels(style.fill), style.fillOpacity, style.opacity);
};
const below = (root, x, y) => root instanceof ShadowRoot
  ? [...root.elementsFromPoint(x, y).filter(each => each.getRootNode() === root),
     ...below(root.host.getRootNode(), x, y)]
  : root.elementsFromPoint(x, y);
const found = [];
const look = root => {
  root.querySelectorAll('details').forEach(each => { each.open = true; });
  const style = document.createElement('style');
  style.textContent = '* { pointer-events: all !important; scroll-behavior: auto !important; }';
  (root.head ?? root).append(style);
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.shadowRoot) look(node.shadowRoot);
    if (node.nodeType !== Node.TEXT_NODE || !node.data.trim()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    if (!range.getClientRects().length) continue;
    const element = node.parentElement;
    element.scrollIntoView({block: 'center', inline: 'center'});
    const box = range.getClientRects()[0];
    const layers = below(root, box.x + Math.min(box.width, innerWidth) / 2, box.y + box.height / 2);
    let ground = [255, 255, 255];
    if (matchMedia('(prefers-color-scheme: dark)').matches) ground = [18, 18, 18];
    for (const layer of layers.reverse()) ground = over(paint(layer), ground);
    const own = getComputedStyle(element);
    const text = over(channels(isDrawn(element) ? own.fill : own.color), ground);
    const [dark, light] = [luminance(text), luminance(ground)].sort((a, b) => a - b);
    found.push([(light + 0.05) / (dark + 0.05), node.data.trim().slice(0, 60)]);
  }
};
look(document);
return found;
"""


@dataclass(frozen=True)
class Look:
    """What was seen of a page.

    messages: of the console. requests: the addresses that were asked for. scroll_width: of the whole page. contrasts:
    of each text. elements: how many of each name. text: all that is shown.
    """

    title: str
    messages: list[str]
    requests: list[str]
    scroll_width: int
    contrasts: list[list[Any]]
    elements: dict[str, int]
    text: str


class Browser:
    """A browser that has just been started."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver

    def look(self, page: Path, *, scheme: str = "light", width: int = 1200) -> Look:
        """Open a page as someone with this colour scheme and a window so wide does."""
        driver = self._driver
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        driver.get_log("performance")
        driver.get(page.as_uri())
        scroll_width = driver.execute_script("return document.documentElement.scrollWidth")
        names = driver.execute_script("return [...document.querySelectorAll('*')].map(each => each.localName)")
        return Look(
            title=driver.title,
            messages=[entry["message"] for entry in driver.get_log("browser")],
            requests=[*self._requests()],
            scroll_width=scroll_width,
            contrasts=list(driver.execute_script(CONTRASTS)),
            elements={name: names.count(name) for name in names},
            text=driver.execute_script("return document.body.innerText"),
        )

    def _requests(self) -> Iterator[str]:
        for entry in self._driver.get_log("performance"):
            message: dict[str, Any] = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                yield message["params"]["request"]["url"]


@contextmanager
def started() -> Iterator[Browser]:
    """Start a browser, installed where it is missing, and end it."""
    engine.install([package for program, package in PROGRAMS.items() if shutil.which(program) is None])
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    # root has no sandbox
    for argument in ("--headless=new", "--hide-scrollbars", *(["--no-sandbox"] if os.geteuid() == 0 else [])):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
