# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of the bus as SVG, for light and for dark pages. This runs on the controller alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Severity
from ansible_collections.rosey.nats.plugins.module_utils._server import subjects
from ansible_collections.rosey.nats.plugins.plugin_utils.picture import Party, Picture, Subject, printable
from ansible_collections.rosey.nats.plugins.plugin_utils.picture_layout import (
    BASELINE,
    CORNER,
    FONTS,
    WIDTH,
    Badge,
    Box,
    Layout,
    Line,
    Point,
    Text,
    layout,
)

_NAMESPACE = "http://www.w3.org/2000/svg"
_ARROW: dict[str, str] = {
    "viewBox": "0 0 8 8",
    "refX": "7",
    "refY": "4",
    "markerWidth": "8",
    "markerHeight": "8",
    "markerUnits": "userSpaceOnUse",
    "orient": "auto",
}


# Each colour on a light and on a dark page; texts have at least 4.5 times the contrast of what is behind them.
COLOURS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "paper": ("#ffffff", "#0d1117"),
        "card": ("#f6f8fa", "#151b23"),
        "box": ("#ffffff", "#212830"),
        "bot": ("#ddf4ff", "#12314f"),
        "rim": ("#d1d9e0", "#3d444d"),
        "ink": ("#1f2328", "#f0f6fc"),
        "quiet": ("#59636e", "#9198a1"),
        "joint": ("#818b98", "#656c76"),
        "publish": ("#0969da", "#4493f8"),
        "listen": ("#1a7f37", "#3fb950"),
        "error": ("#cf222e", "#ff7b72"),
        "warning": ("#9a6700", "#d29922"),
    }
)
# What has which colour; what stands further down wins.
_PAINT = (
    (".paper", "fill", "paper"),
    (".card", "fill", "card"),
    (".box", "fill", "box"),
    (".box", "stroke", "rim"),
    (".bot .box", "fill", "bot"),
    (".bot .box", "stroke", "publish"),
    ("text", "fill", "ink"),
    (".summary,.heading,.root", "fill", "quiet"),
    (".join", "stroke", "joint"),
    (".edge.publish", "stroke", "publish"),
    ("marker.publish", "fill", "publish"),
    (".edge.listen", "stroke", "listen"),
    ("marker.listen", "fill", "listen"),
    *(
        (selector.format(severity), attribute, str(severity))
        for severity in reversed(Severity)
        for selector, attribute in (
            (".edge.{0},.party.{0} .box", "stroke"),
            ("marker.{0},.{0}>.badge,.subject.{0} .label,.subject.{0} .root", "fill"),
        )
    ),
    (".number", "fill", "paper"),
)
_STYLE = """
svg{font-family:system-ui,-apple-system,"Segoe UI","Noto Sans","Liberation Sans",Helvetica,Arial,sans-serif}
.name,.label{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace}
.title,.name,.number{font-weight:600}
.edge,.join{fill:none;stroke-width:1.5;transition:opacity .1s}
.join{stroke-dasharray:1 3;stroke-linecap:round}
.box{stroke-width:1}
.party.error .box,.party.warning .box{stroke-width:1.5}
.edge.publish{marker-end:url(#bus-publish)}
.edge.listen{marker-end:url(#bus-listen)}
.edge.warning{marker-end:url(#bus-warning)}
.edge.error{marker-end:url(#bus-error)}
"""
# What is pointed at stands out with its lines, where a browser shows the file by itself.
_POINTED = "svg:has(.{0}:hover) .line:not(.{0}){{opacity:.12}}\n"


def draw(picture: Picture) -> str:
    """Give the file of the picture."""
    placed = layout(picture)
    # What is drawn of a party or a subject has its class, so that it can stand out.
    of_party = {party.name: f"p{number}" for number, party in enumerate(picture.parties)}
    of_subject = {subject.name: f"s{number}" for number, subject in enumerate(picture.subjects)}
    root = _page(picture, placed, [*of_party.values(), *of_subject.values()])
    for card in placed.cards:
        _add_box(root, "card", card, radius=8)
    for join, line in placed.joins.items():
        kind = f"line join {of_subject[join.wide]} {of_subject[join.narrow]}"
        _add_line(root, kind, line, f"{join.wide} overlaps {join.narrow}")
    for party in picture.parties:
        kind = _kinds("party", of_party[party.name], "bot" if party.is_bot else None, party.severity)
        group = _add(root, "g", kind)
        _add(group, "title", words=_about_party(party, picture))
        _add_box(group, "box", placed.boxes[party.name], radius=6)
        _add_text(group, placed.names[party.name])
    for edge, line in placed.lines.items():
        direction = "publish" if edge.published else "listen"
        kind = _kinds("line edge", direction, edge.severity, of_party[edge.party], of_subject[edge.subject])
        _add_line(root, kind, line, str(edge))
    for (name, about), badge in placed.badges.items():
        _add_badge(root, badge, _kinds("line", of_party[name], about and of_subject[about]))
    for subject in picture.subjects:
        group = _add(root, "g", _kinds("subject", of_subject[subject.name], subject.severity))
        _add(group, "title", words=_about_subject(subject))
        _add_label(group, placed.labels[subject.name])
    for badge, texts in placed.findings:
        _add_badge(root, badge)
        for text in texts:
            _add_text(root, text)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _page(picture: Picture, placed: Layout, kinds: Iterable[str]) -> Element:
    """Begin a file with all that does not depend on who says what. kinds: the classes that can stand out."""
    whole, height = f"{picture.title}: {picture.summary}", _number(placed.height)
    frame = {"width": f"{WIDTH}", "height": height, "viewBox": f"0 0 {WIDTH} {height}"}
    root = ElementTree.Element("svg", {"xmlns": _NAMESPACE, **frame, "role": "img", "aria-label": whole})
    _add(root, "title", words=whole)
    _add(root, "style", words=_style(kinds))
    markers = _add(root, "defs")
    for kind in ("publish", "listen", *Severity):
        _add(_add(markers, "marker", kind, id=f"bus-{kind}", **_ARROW), "path", d="M0 0L8 4L0 8z")
    _add_box(root, "paper", Box(0, 0, WIDTH, placed.height), radius=0)
    for text in placed.heading:
        _add_text(root, text)
    for sample in placed.legend:
        if isinstance(sample.mark, Badge):
            _add_badge(root, sample.mark)
        else:
            _add_line(root, sample.kind, sample.mark)
        _add_text(root, sample.text)
    return root


def _path(corners: Line) -> str:
    """Write a line with rounded corners."""
    words = [f"M{_pair(corners[0])}"]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        words.append(f"L{_pair(_towards(corner, before))}Q{_pair(corner)} {_pair(_towards(corner, after))}")
    return "".join([*words, f"L{_pair(corners[-1])}"])


def _towards(corner: Point, other: Point) -> Point:
    """Give the point where the rounding of a corner begins or ends."""
    length = math.dist(corner, other)
    part = min(CORNER, length / 2) / length if length else 0
    return corner[0] + part * (other[0] - corner[0]), corner[1] + part * (other[1] - corner[1])


def _pair(point: Point) -> str:
    return " ".join(map(_number, point))


def _number(value: float) -> str:
    return f"{round(value, 2):g}"


def _style(ids: Iterable[str]) -> str:
    """Write the rules: the light colours, the dark ones for who prefers them, and what stands out on pointing at it."""
    light, dark = (
        "".join(f"{selector}{{{attribute}:{COLOURS[colour][page]}}}\n" for selector, attribute, colour in _PAINT)
        for page in (0, 1)
    )
    sizes = "".join(f".{kind}{{font-size:{font.size}px}}\n" for kind, font in FONTS.items())
    pointed = "".join(map(_POINTED.format, ids))
    return f"{_STYLE}{sizes}{light}@media (prefers-color-scheme:dark){{\n{dark}}}\n{pointed}"


def _add(parent: Element, tag: str, kind: str = "", words: str = "", **attributes: str) -> Element:
    """Add an element. kind: its classes."""
    element = ElementTree.SubElement(parent, tag, {"class": kind} if kind else {}, **attributes)
    element.text = words or None
    return element


def _add_box(parent: Element, kind: str, box: Box, radius: float) -> None:
    names = ("x", "y", "width", "height", "rx")
    measures = (box.left, box.top, box.width, box.height, radius)
    _add(parent, "rect", kind, **dict(zip(names, map(_number, measures), strict=True)))


def _add_text(parent: Element, text: Text) -> Element:
    size = FONTS[text.kind].size
    return _add(parent, "text", text.kind, text.words, x=_number(text.left), y=_number(text.middle + BASELINE * size))


def _add_line(parent: Element, kind: str, corners: Line, words: str = "") -> None:
    line = _add(parent, "path", kind, d=_path(corners))
    if words:
        _add(line, "title", words=printable(words))


def _add_badge(parent: Element, badge: Badge, kind: str | None = None) -> None:
    group = _add(parent, "g", _kinds(badge.severity, kind))
    _add_box(group, "badge", badge.box, radius=badge.box.height / 2)
    _add_text(group, badge.text)


def _add_label(parent: Element, label: Text) -> None:
    """Add the label of a subject; its root, which many have, is quiet."""
    element = _add_text(parent, label)
    root, dot, rest = label.words.partition(subjects.SEPARATOR)
    if rest:
        element.text = None
        _add(element, "tspan", "root", f"{root}{dot}").tail = rest


def _about_party(party: Party, picture: Picture) -> str:
    found = (str(finding) for finding in picture.findings if finding.plugin == party.name)
    return "\n".join(map(printable, [party.name, *found]))


def _about_subject(subject: Subject) -> str:
    lines = [subject.name]
    if subject.route:
        ends = (("published by", subject.route.publishers), ("listened to by", subject.route.listeners))
        lines += (f"{said} {', '.join(names) or 'nobody'}" for said, names in ends)
    return "\n".join(map(printable, lines))


def _kinds(*kinds: str | None) -> str:
    return " ".join(kind for kind in kinds if kind)
