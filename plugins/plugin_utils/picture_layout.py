# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where everything stands in the picture of the bus. The width is fixed; the height grows with what there is.

Parties stand left, each beside its subjects. What a party has with a subject beside it is a straight line. Anything
else runs along a lane between the two columns, one for all that publish a subject and one for all that listen to it.
Wildcards are joined to what they cover along lanes on the right. This runs on the controller alone.
"""

from __future__ import annotations

import itertools
import math
import textwrap
import typing as t
import unicodedata
from collections import defaultdict
from collections.abc import Container, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Severity
from ansible_collections.rosey.nats.plugins.plugin_utils.picture import Edge, Join, Picture, printable

Point = tuple[float, float]
Line = tuple[Point, ...]
"""The corners of a line, from where it comes to where it goes."""
_Key = t.TypeVar("_Key", bound=Hashable)

WIDTH = 960
_MARGIN = 16
_RIGHT = WIDTH - _MARGIN
_SPACE = 6  # between a text and a line
_CARD_TOP, _CARD_GAP, _CARD_PADDING = 104, 5, 6
_ROW = 17  # the height of a subject
_PORT = 12  # the height of a line to a subject elsewhere that has no room between two subjects
_SPREAD = 3.5  # how far the two directions of a subject are from its middle
_BOX_LEFT, _BOX_WIDTH, _BOX_INSET, _BOX_PADDING = 22, 194, 3, 12
_BOX_END = _BOX_LEFT + _BOX_WIDTH
_NAME_END = _BOX_END - 30
# Labels begin as far to the right as the longest of them lets them.
_LABEL_LEFT, _LABEL_RIGHT, _LABEL_END = 416, 540, 850
# From the lane of the uppermost line to that of the last one.
_FIRST_LANE, _LAST_LANE_SPACE = _BOX_END + 48, 16
_JOINS = (_RIGHT - 12, _LABEL_END + 12)
_WIDEST_LANE = 12
CORNER = 5
_BADGE_LEFT, _BADGE_HEIGHT = _BOX_END + 10, 12
_FAR_BADGE_LEFT = _BADGE_LEFT + 17  # since the line is as near as half a row to another one
_FINDING_LINE = 16
_ELLIPSIS = "…"
BASELINE = 0.35  # how far it is below the middle of a text, in parts of its size
_SAMPLE = 26
_LEGEND_TOP = 32
_LEGEND_LINES = (("edge publish", 416, "publishes"), ("edge listen", 529, "listens to"), ("join", 649, "wildcard"))
_LEGEND_BADGES = ((Severity.ERROR, 770), (Severity.WARNING, 849))


@dataclass(frozen=True)
class _Font:
    """How texts are written. advance: the width of the widest usual letter, in parts of the size."""

    size: float
    advance: float


_MONOSPACE_ADVANCE, _SANS_ADVANCE = 0.61, 0.6
FONTS: Mapping[str, _Font] = MappingProxyType(
    {
        "title": _Font(18, 0.66),
        "summary": _Font(12, _SANS_ADVANCE),
        "heading": _Font(11, _SANS_ADVANCE),
        "legend": _Font(12, _SANS_ADVANCE),
        "name": _Font(13, _MONOSPACE_ADVANCE),
        "label": _Font(12, _MONOSPACE_ADVANCE),
        "number": _Font(9, _SANS_ADVANCE),
        "finding": _Font(12, 0.57),
    }
)


@dataclass(frozen=True)
class Box:
    """A rectangle of the picture."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Where it ends."""
        return self.top + self.height

    @property
    def middle(self) -> float:
        """The height of its middle."""
        return self.top + self.height / 2


@dataclass(frozen=True)
class Text:
    """A line of text, its left end and its middle. kind: how it is written, a key of FONTS."""

    kind: str
    words: str
    left: float
    middle: float

    @property
    def box(self) -> Box:
        """The room that it takes at most."""
        size = FONTS[self.kind].size
        return Box(self.left, self.middle - 0.6 * size, _width(self.words, self.kind), 1.2 * size)


@dataclass(frozen=True)
class Badge:
    """The number of something that was found."""

    severity: Severity
    box: Box
    text: Text


@dataclass(frozen=True)
class Sample:
    """A row of the legend. kind: of the line that it shows."""

    kind: str
    mark: Line | Badge
    text: Text


@dataclass(frozen=True)
class Layout:
    """Where everything is.

    badges: of what was found about a party and a subject, or about a party alone. findings: in words.
    """

    height: float
    heading: tuple[Text, ...]
    legend: tuple[Sample, ...]
    cards: tuple[Box, ...]
    boxes: Mapping[str, Box]
    names: Mapping[str, Text]
    labels: Mapping[str, Text]
    lines: Mapping[Edge, Line]
    joins: Mapping[Join, Line]
    badges: Mapping[tuple[str, str | None], Badge]
    findings: tuple[tuple[Badge, tuple[Text, ...]], ...]

    @property
    def texts(self) -> Iterator[Text]:
        """All texts."""
        yield from self.heading
        yield from self.names.values()
        yield from self.labels.values()
        yield from itertools.chain.from_iterable(lines for _badge, lines in self.findings)
        yield from (sample.text for sample in self.legend)
        yield from (badge.text for badge in self.all_badges)

    @property
    def all_badges(self) -> Iterator[Badge]:
        """All badges."""
        yield from (sample.mark for sample in self.legend if isinstance(sample.mark, Badge))
        yield from self.badges.values()
        yield from (badge for badge, _lines in self.findings)


@dataclass(frozen=True)
class _Card:
    """A party with the subjects that stand beside it, and its edges to subjects that stand elsewhere."""

    party: str
    top: float
    near: tuple[str, ...]
    far: tuple[Edge, ...]

    @property
    def height(self) -> float:
        return max(_ROW, _ROW * len(self.near) + _PORT * (len(self.far) - self._between)) + 2 * _CARD_PADDING

    @property
    def rows(self) -> Iterator[tuple[str, float]]:
        """The middle of each subject."""
        for place, subject in enumerate(self.near):
            yield subject, self.top + _CARD_PADDING + _ROW * (place + 0.5)

    @property
    def ports(self) -> Iterator[tuple[Edge, float]]:
        """Where each edge to a subject elsewhere begins."""
        first = self.top + _CARD_PADDING
        for place, edge in enumerate(self.far[: self._between], start=1):
            yield edge, first + _ROW * place
        for place, edge in enumerate(self.far[self._between :]):
            yield edge, first + _ROW * len(self.near) + _PORT * (place + 0.5)

    @property
    def _between(self) -> int:
        """How many of these have room between two subjects."""
        return min(len(self.far), max(0, len(self.near) - 1))


def layout(picture: Picture) -> Layout:
    """Place everything."""
    cards = _cards(picture)
    rows = dict(itertools.chain.from_iterable(card.rows for card in cards))
    far = dict(itertools.chain.from_iterable(card.ports for card in cards))
    channels = {(edge.subject, edge.published) for edge in picture.edges}

    def end(edge: Edge) -> float:
        """Give the height at which a line meets its subject: apart where there are lines of both directions."""
        apart = (edge.subject, not edge.published) in channels
        return rows[edge.subject] + (0 if not apart else -_SPREAD if edge.published else _SPREAD)

    heights = {edge: (far.get(edge, end(edge)), end(edge)) for edge in picture.edges}
    boxes = {
        card.party: Box(_BOX_LEFT, card.top + _BOX_INSET, _BOX_WIDTH, card.height - 2 * _BOX_INSET) for card in cards
    }
    longest = max((_width(subject.label, "label") for subject in picture.subjects), default=0)
    left = min(max(_LABEL_LEFT, _LABEL_END - longest), _LABEL_RIGHT)
    labels = {
        subject.name: _fitted("label", subject.label, left, rows[subject.name], _LABEL_END)
        for subject in picture.subjects
    }
    bottom = cards[-1].top + cards[-1].height
    findings = tuple(_findings(picture, bottom + 2 * _MARGIN))
    if findings:
        bottom = findings[-1][1][-1].box.bottom
    return Layout(
        height=math.ceil(bottom + _MARGIN),
        heading=tuple(_heading(picture, left)),
        legend=tuple(_legend()),
        cards=tuple(Box(_MARGIN, card.top, _RIGHT - _MARGIN, card.height) for card in cards),
        boxes=boxes,
        names={
            name: _fitted("name", printable(name), _BOX_LEFT + _BOX_PADDING, box.middle, _NAME_END)
            for name, box in boxes.items()
        },
        labels=labels,
        lines=_lines(heights, far, left - _SPACE),
        joins=_join_lines(picture, labels),
        badges={**_line_badges(heights, far), **_box_badges(picture, boxes)},
        findings=findings,
    )


def _cards(picture: Picture) -> list[_Card]:
    """Stack the cards of the parties. The upper of two edges goes to the upper subject, so that few lines cross."""
    places = {subject.name: place for place, subject in enumerate(picture.subjects)}
    homes = {subject.name: subject.home for subject in picture.subjects}
    near, far = defaultdict(list), defaultdict(list)
    for subject in picture.subjects:
        near[subject.home].append(subject.name)
    for edge in sorted(picture.edges, key=lambda edge: (places[edge.subject], not edge.published)):
        if edge.party != homes[edge.subject]:
            far[edge.party].append(edge)
    cards: list[_Card] = []
    top: float = _CARD_TOP
    for party in picture.parties:
        cards.append(_Card(party.name, top, tuple(near[party.name]), tuple(far[party.name])))
        top += cards[-1].height + _CARD_GAP
    return cards


def _lines(heights: Mapping[Edge, tuple[float, float]], far: Container[Edge], right: float) -> dict[Edge, Line]:
    """Lay the line of each edge; those of one subject and direction share a lane.

    What does not fit comes first, and so below the others: where a lane is shared, it has the colour of what fits.
    """
    spans: dict[tuple[str, bool], list[float]] = defaultdict(list)
    for edge, ends in heights.items():
        if edge in far:
            spans[edge.subject, edge.published] += ends
    lanes = _lanes(spans, (_FIRST_LANE, right - _LAST_LANE_SPACE))
    lines: dict[Edge, Line] = {}
    for edge, (port, end) in sorted(heights.items(), key=lambda item: item[0].severity is None):
        bends = [(lanes[edge.subject, edge.published], height) for height in (port, end)] if edge in far else []
        line = ((_BOX_END, port), *bends, (right, end))
        lines[edge] = line if edge.published else line[::-1]
    return lines


def _join_lines(picture: Picture, labels: Mapping[str, Text]) -> dict[Join, Line]:
    """Lay the line of each join; those of one wildcard share a lane."""
    spans: dict[str, list[float]] = defaultdict(list)
    for join in picture.joins:
        spans[join.wide] += (labels[join.wide].middle, labels[join.narrow].middle)
    lanes = _lanes(spans, _JOINS)
    lines: dict[Join, Line] = {}
    for join in picture.joins:
        (start, top), (end, bottom) = (
            (label.box.right + _SPACE, label.middle) for label in (labels[join.wide], labels[join.narrow])
        )
        lines[join] = ((start, top), (lanes[join.wide], top), (lanes[join.wide], bottom), (end, bottom))
    return lines


def _lanes(spans: Mapping[_Key, Sequence[float]], room: tuple[float, float]) -> dict[_Key, float]:
    """Give each span a lane in which no other one is in its way, the upper ones nearer to the first end of the room."""
    chosen: dict[_Key, int] = {}
    ends: list[float] = []  # of the lowest span of each lane
    for key, span in sorted(spans.items(), key=lambda item: min(item[1])):
        free = (lane for lane, end in enumerate(ends) if end + 2 * CORNER < min(span))
        chosen[key] = next(free, len(ends))
        ends[chosen[key] :] = [max(span), *ends[chosen[key] + 1 :]]
    first, last = room
    pitch = min(_WIDEST_LANE, abs(last - first) / max(1, len(ends) - 1))
    return {key: first + math.copysign(pitch, last - first) * lane for key, lane in chosen.items()}


def _line_badges(
    heights: Mapping[Edge, tuple[float, float]], far: Container[Edge]
) -> dict[tuple[str, str | None], Badge]:
    """Number what was found, where the first of a party's lines to a subject begins."""
    badges: dict[tuple[str, str | None], Badge] = {}
    for edge, (port, _end) in sorted(heights.items(), key=lambda item: item[1]):
        if edge.severity and (edge.party, edge.subject) not in badges:
            left = _FAR_BADGE_LEFT if edge in far else _BADGE_LEFT
            badges[edge.party, edge.subject] = _badge(edge.severity, edge.findings, left, port)
    return badges


def _box_badges(picture: Picture, boxes: Mapping[str, Box]) -> dict[tuple[str, str | None], Badge]:
    """Number what was found about a party and no subject."""
    return {
        (finding.plugin, None): _badge(finding.severity, [number], _NAME_END + _SPACE, boxes[finding.plugin].middle)
        for number, finding in enumerate(picture.findings, start=1)
        if finding.subject is None
    }


def _badge(severity: Severity, numbers: Sequence[int], left: float, middle: float) -> Badge:
    words = f"{numbers[0]}{_ELLIPSIS if len(numbers) > 1 else ''}"
    width = _width(words, "number")
    room = max(_BADGE_HEIGHT, width + _SPACE)
    box = Box(left, middle - _BADGE_HEIGHT / 2, room, _BADGE_HEIGHT)
    return Badge(severity, box, Text("number", words, left + (room - width) / 2, middle))


def _heading(picture: Picture, left: float) -> Iterator[Text]:
    yield _fitted("title", picture.title, _MARGIN, _LEGEND_TOP, _LABEL_LEFT)
    yield Text("summary", picture.summary, _MARGIN, 58)
    yield Text("heading", "bot and plugins", _BOX_LEFT, 90)
    yield _fitted("heading", f"subject, after {printable(picture.prefix)}.", left, 90, _LABEL_END)


def _legend() -> Iterator[Sample]:
    for kind, left, words in _LEGEND_LINES:
        end = left + _SAMPLE
        line = ((left, _LEGEND_TOP), (end, _LEGEND_TOP))
        yield Sample(kind, line, Text("legend", words, end + _SPACE, _LEGEND_TOP))
    for severity, left in _LEGEND_BADGES:
        badge = _badge(severity, [1], left, _LEGEND_TOP)
        yield Sample("", badge, Text("legend", severity, badge.box.right + _SPACE, _LEGEND_TOP))


def _findings(picture: Picture, top: float) -> Iterator[tuple[Badge, tuple[Text, ...]]]:
    left = _MARGIN + 30
    middle = top
    for number, finding in enumerate(picture.findings, start=1):
        words = f"{finding.severity}: {printable(str(finding))}"
        widest = max(map(_cells, words))
        lines = textwrap.wrap(words, int((_RIGHT - left) / (widest * FONTS["finding"].size * FONTS["finding"].advance)))
        texts = tuple(Text("finding", line, left, middle + _FINDING_LINE * place) for place, line in enumerate(lines))
        yield _badge(finding.severity, [number], _MARGIN, middle), texts
        middle = texts[-1].middle + _FINDING_LINE + 4


def _fitted(kind: str, words: str, left: float, middle: float, end: float) -> Text:
    """Write no more of a text than there is room for, and leave out what stands in the middle."""
    kept = int((end - left) / (FONTS[kind].size * FONTS[kind].advance))
    shown = words
    while _width(shown, kind) > end - left:
        kept -= 1
        shown = f"{words[: kept - kept // 2]}{_ELLIPSIS}{words[len(words) - kept // 2 :]}"
    return Text(kind, shown, left, middle)


def _width(words: str, kind: str) -> float:
    return sum(map(_cells, words)) * FONTS[kind].size * FONTS[kind].advance


def _cells(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
