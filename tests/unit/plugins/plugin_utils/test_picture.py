# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
import yaml

from ansible_collections.rosey.nats.plugins.module_utils._server import subjects
from ansible_collections.rosey.nats.plugins.plugin_utils import (
    contract,
    picture,
    picture_layout,
    picture_mermaid,
    picture_svg,
    plugins,
)

ROOT = Path(__file__).parents[4]
PREFIX = "rosey.prod"
SVG = "{http://www.w3.org/2000/svg}"
TAGS = {"svg", "title", "style", "defs", "marker", "path", "rect", "text", "tspan", "g"}
Declared = list[dict[str, Any]]

GUIDE: Declared = yaml.safe_load((ROOT / "inventories" / "common" / "plugins.yml").read_text())["bot_plugins_declared"]
BOT: dict[str, list[str]] = yaml.safe_load((ROOT / "roles" / "bot_plugins" / "defaults" / "main.yml").read_text())[
    "bot_plugins_bot"
]
SILENT: dict[str, list[str]] = {"subscriptions": [], "publishes": []}
FIVE: Declared = [
    *GUIDE,
    {"name": "Karma", "subscriptions": ["commands.karma"], "publishes": ["plugin.Karma.event", "cytube.chat.message"]},
    {
        "name": "poll",
        "subscriptions": ["plugin.poll.request", "plugin.Karma.event"],
        "publishes": ["plugin.poll.response", "plugin.Karma.response", "commands.*"],
    },
    {
        "name": "stats",
        "subscriptions": [">", "plugin.*.event", "plugin.poll.*", "rosey.dev.system.up", "commands..stats"],
        "publishes": ["rosey.dev.system.up", "system.stats", "comand.stats"],
    },
    {"name": "retired", "enabled": False, "subscriptions": ["commands.retired"]},
]


def many(count: int) -> Declared:
    """Declare plugins that talk in all the ways that plugins do, each in another mixture."""
    return [
        {
            "name": f"plugin-{number:02}",
            "subscriptions": [
                *(f"commands.c{number:02}.{verb}" for verb in ("add", "list", "remove")[: 1 + number % 3]),
                *(["cytube.chat.message"] if number % 4 == 0 else []),
                *(["cytube.user.join"] if number % 5 == 0 else []),
                *([f"plugin.plugin-{(number * 7) % count:02}.event"] if number % 3 == 0 else []),
                *(["plugin.*.event"] if number % 17 == 0 else []),
                *(["rosey.dev.commands.x"] if number % 19 == 0 else []),
            ],
            "publishes": [
                *(["cytube.chat.message"] if number % 5 else []),
                *([f"plugin.plugin-{number:02}.event"] if number % 2 else []),
                *(["command.oops"] if number % 23 == 0 else []),
            ],
        }
        for number in range(count)
    ]


LONG: Declared = [
    {"name": "n" * 64, "subscriptions": ["commands." + "very-" * 60 + "long"], "publishes": ["cytube." + "漢字" * 40]},
    {"name": "W" * 63, "subscriptions": ["commands." + "W" * 48], "publishes": ["plugin." + "W" * 63 + ".event"]},
]
BUSES: dict[str, tuple[Declared, dict[str, list[str]]]] = {
    "nothing": ([], SILENT),
    "only the bot": ([], BOT),
    "only a plugin": ([{"name": "a"}], SILENT),
    "guide": (GUIDE, BOT),
    "five": (FIVE, BOT),
    "fifty": (many(50), BOT),
    "fifty without a bot": (many(50), SILENT),
    "long": (LONG, BOT),
}
on_every_bus = pytest.mark.parametrize(("declared", "bot"), BUSES.values(), ids=BUSES)


def describe(declared: Declared, bot: dict[str, list[str]] | None = None) -> picture.Picture:
    return picture.describe(plugins.effective(declared, {}, PREFIX), PREFIX, BOT if bot is None else bot)


def draw(declared: Declared, bot: dict[str, list[str]] | None = None) -> Element:
    return ElementTree.fromstring(picture_svg.draw(describe(declared, bot)))


def of_kind(root: Element, kind: str) -> list[Element]:
    return [element for element in root.iter() if kind in element.get("class", "").split()]


def title(element: Element) -> str:
    return element.findtext(f"{SVG}title") or ""


def kinds(element: Element) -> set[str]:
    return set(element.get("class", "").split())


def uses(declared: Declared, bot: dict[str, list[str]]) -> Counter[tuple[str, str, str]]:
    """Give who publishes and who listens to what, from the declarations."""
    said = (("publishes", "publishes"), ("subscriptions", "listens to"))
    parties = [
        *((plugin["name"], plugin) for plugin in plugins.effective(declared, {}, PREFIX) if plugin["enabled"]),
        ("the bot", plugins.effective([{"name": "bot", **bot}], {}, PREFIX)[0]),
    ]
    return Counter((name, verb, subject) for name, party in parties for key, verb in said for subject in party[key])


# What is in the picture


@on_every_bus
def test_every_party_subject_and_use_is_drawn_once(declared: Declared, bot: dict[str, list[str]]) -> None:
    root, expected = draw(declared, bot), uses(declared, bot)
    enabled = [plugin["name"] for plugin in declared if plugin.get("enabled", True)]
    assert Counter(title(party).splitlines()[0] for party in of_kind(root, "party")) == Counter(["the bot", *enabled])
    drawn = Counter(title(subject).splitlines()[0] for subject in of_kind(root, "subject"))
    assert drawn == Counter({subject for _name, _verb, subject in expected})
    lines = Counter(title(line) for line in of_kind(root, "edge"))
    del lines[""]  # those of the legend
    assert lines == Counter(" ".join(use) for use in expected.elements())
    assert max(lines.values(), default=1) == 1


def test_a_line_tells_in_which_direction_it_goes() -> None:
    root = draw(GUIDE)
    for line in of_kind(root, "edge"):
        direction = {"publish"} if " publishes " in title(line) else {"listen"}
        assert not title(line) or kinds(line) & {"publish", "listen"} == direction
    placed = picture_layout.layout(describe(GUIDE))
    for edge, corners in placed.lines.items():
        assert (corners[0][0] < corners[-1][0]) == edge.published  # the arrow is at the end


@pytest.mark.parametrize(
    ("declared", "home"),
    [
        ([{"name": "a", "subscriptions": ["commands.x"]}], "a"),
        ([{"name": "a", "publishes": ["cytube.chat.message"]}], "the bot"),
        ([{"name": name, "subscriptions": ["commands.x"]} for name in "ab"], "the bot"),
        ([{"name": "a", "publishes": ["plugin.a.event"]}, {"name": "b", "subscriptions": ["plugin.a.event"]}], "a"),
        ([{"name": "a", "publishes": ["plugin.b.event"]}, {"name": "b"}], "b"),
        ([{"name": "a", "publishes": ["plugin.b.event"]}, {"name": "b", "enabled": False}], "a"),
        ([{"name": "a", "publishes": ["rosey.dev.plugin.b.event"]}, {"name": "b"}], "a"),
    ],
)
def test_a_subject_stands_beside_whom_it_belongs_to(declared: Declared, home: str) -> None:
    subject = declared[0].get("subscriptions", declared[0].get("publishes"))[0]
    homes = {subject.name: subject.home for subject in describe(declared).subjects}
    assert homes[subjects.resolve(subject, PREFIX)] == home


def test_parties_are_ordered_by_name_and_subjects_by_root() -> None:
    described = describe(FIVE)
    assert [party.name for party in described.parties] == ["the bot", "Karma", "poll", "quotes", "stats", "trivia"]
    assert [subject.label for subject in described.subjects if subject.home == "the bot"] == [
        *("cytube.>", "cytube.chat.message", "commands.>"),
        *("plugin.*.event", "plugin.*.request", "plugin.*.response", "system.>"),
    ]
    assert [subject.label for subject in described.subjects if subject.home == "stats"] == [
        *(">", "system.stats", '"commands..stats"', "rosey.dev.system.up", "comand.stats")
    ]


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        (["commands.a"], []),
        (["commands.>", "commands.a"], [("commands.>", "commands.a")]),
        (["commands.*", "commands.a", "commands.a.b"], [("commands.*", "commands.a")]),
        # by way of the narrower one, not twice
        (
            [">", "commands.>", "commands.a.*", "commands.a.b"],
            [(">", "commands.>"), ("commands.>", "commands.a.*"), ("commands.a.*", "commands.a.b")],
        ),
        (
            ["commands.*.b", "commands.a.*", "commands.a.b"],
            [("commands.*.b", "commands.a.*"), ("commands.*.b", "commands.a.b"), ("commands.a.*", "commands.a.b")],
        ),
        (["commands.>", "rosey.dev.commands.a"], []),
    ],
)
def test_a_wildcard_is_joined_to_what_it_covers(heard: list[str], expected: list[tuple[str, str]]) -> None:
    described = describe([{"name": "a", "subscriptions": heard}], SILENT)
    assert sorted((join.wide, join.narrow) for join in described.joins) == [
        tuple(f"{PREFIX}.{subject}" for subject in pair) for pair in expected
    ]


@on_every_bus
def test_the_joins_lead_to_all_whom_the_contract_knows(declared: Declared, bot: dict[str, list[str]]) -> None:
    """Who reaches whom by the contract's routes is who is at a subject, or at one that joins lead to, up or down."""
    described = describe(declared, bot)
    above, below = defaultdict(set), defaultdict(set)
    for join in described.joins:
        below[join.wide].add(join.narrow)
        above[join.narrow].add(join.wide)
        if not subjects.covers(join.wide, join.narrow):  # neither is above the other
            below[join.narrow].add(join.wide)
    for subject in described.subjects:
        reached = {subject.name}
        for ways in (above, below):
            waiting = [subject.name]
            while waiting:
                found = ways[waiting.pop()] - reached
                reached |= found
                waiting += found
        for published, parties in ((True, "publishers"), (False, "listeners")):
            users = {edge.party for edge in described.edges if edge.subject in reached and edge.published is published}
            assert set(getattr(subject.route, parties, ())) <= users


def test_pointing_at_a_subject_tells_whom_it_reaches() -> None:
    root = draw(GUIDE)
    titles = [title(subject) for subject in of_kind(root, "subject")]
    assert "rosey.prod.commands.quote\npublished by the bot\nlistened to by quotes" in titles
    assert "rosey.prod.plugin.*.event\npublished by nobody\nlistened to by the bot" in titles


def test_what_has_no_place_on_the_bus_reaches_nobody() -> None:
    (misplaced,) = (
        title(subject)
        for subject in of_kind(draw([{"name": "a", "publishes": ["rosey.dev.x"]}]), "subject")
        if title(subject).startswith("rosey.dev")
    )
    assert misplaced == "rosey.dev.x"


@pytest.mark.parametrize("declared", [GUIDE, FIVE, many(50)])
def test_what_does_not_fit_is_marked_and_told(declared: Declared) -> None:
    checked = contract.check(plugins.effective(declared, {}, PREFIX), PREFIX, BOT)
    root = draw(declared)
    assert checked.findings
    about = {(finding.plugin, finding.subject): finding.severity for finding in reversed(checked.findings)}
    for line in filter(title, of_kind(root, "edge")):
        party, subject = re.split(" publishes | listens to ", title(line))
        expected = about.get((party, subject))
        assert kinds(line) & {"error", "warning"} == ({expected} if expected else set())
    for kind, key in (("party", "plugin"), ("subject", "subject")):
        for element in of_kind(root, kind):
            name = title(element).splitlines()[0]
            severities = {finding.severity for finding in checked.findings if getattr(finding, key) == name}
            assert kinds(element) & {"error", "warning"} == set(sorted(severities)[:1])  # error is before warning
    told = [element.text for element in of_kind(root, "finding")]
    assert " ".join(filter(None, told)) == " ".join(f"{finding.severity}: {finding}" for finding in checked.findings)


def test_the_number_at_a_line_is_that_of_the_finding() -> None:
    described = describe(FIVE)
    placed = picture_layout.layout(described)
    assert placed.badges.keys() == {(finding.plugin, finding.subject) for finding in described.findings}
    for (party, subject), badge in placed.badges.items():
        number = int(badge.text.words.rstrip("…"))
        finding = described.findings[number - 1]
        assert (finding.plugin, finding.subject, finding.severity) == (party, subject, badge.severity)
        count = sum((other.plugin, other.subject) == (party, subject) for other in described.findings)
        assert badge.text.words.endswith("…") == (count > 1)
    assert [badge.text.words for badge, _lines in placed.findings] == [
        str(number) for number in range(1, len(described.findings) + 1)
    ]


def test_two_plugins_of_one_name_are_one_box_with_the_error() -> None:
    twin = plugins.effective([{"name": "a", "subscriptions": ["commands.a"]}], {}, PREFIX)
    described = picture.describe(twin * 2, PREFIX, BOT)
    placed = picture_layout.layout(described)
    assert [party.name for party in described.parties] == ["the bot", "a"]
    assert sum(edge.party == "a" for edge in described.edges) == 1
    badge = placed.badges["a", None]
    assert placed.boxes["a"].left < badge.box.left
    assert badge.box.right < placed.boxes["a"].right
    assert 'class="error line p1"' in picture_svg.draw(described)


def test_a_disabled_plugin_is_only_counted() -> None:
    assert "retired" not in picture_svg.draw(describe(FIVE))
    assert describe(FIVE).summary == "5 plugins (1 more disabled), 24 subjects, 6 errors, 2 warnings"
    assert describe(GUIDE).summary == "2 plugins, 12 subjects, 0 errors, 1 warning"


# How it is laid out


def boxes_overlap(one: picture_layout.Box, other: picture_layout.Box) -> bool:
    """Tell whether the two have a point within both; a line, which is a box without height or width, counts too."""
    return one.left < other.right and other.left < one.right and one.top < other.bottom and other.top < one.bottom


def segments(placed: picture_layout.Layout) -> Iterator[picture_layout.Box]:
    for corners in itertools.chain(placed.lines.values(), placed.joins.values()):
        for (left, top), (right, bottom) in itertools.pairwise(corners):
            yield picture_layout.Box(min(left, right), min(top, bottom), abs(left - right), abs(top - bottom))


@on_every_bus
def test_no_two_texts_overlap(declared: Declared, bot: dict[str, list[str]]) -> None:
    boxes = [(text.words, text.box) for text in picture_layout.layout(describe(declared, bot)).texts]
    for (words, box), (other_words, other) in itertools.combinations(boxes, 2):
        assert not boxes_overlap(box, other), (words, other_words)


@on_every_bus
def test_nothing_is_outside_the_picture(declared: Declared, bot: dict[str, list[str]]) -> None:
    described = describe(declared, bot)
    placed = picture_layout.layout(described)
    boxes = [
        *(text.box for text in placed.texts),
        *(badge.box for badge in placed.all_badges),
        *placed.cards,
        *placed.boxes.values(),
        *segments(placed),
    ]
    for box in boxes:
        assert box.left >= 0
        assert box.top >= 0
        assert box.right <= picture_layout.WIDTH
        assert box.bottom <= placed.height
    root = draw(declared, bot)
    assert root.get("viewBox") == f"0 0 960 {placed.height:g}"
    assert (root.get("role"), root.get("aria-label")) == ("img", f"{described.title}: {described.summary}")
    assert title(root) == root.get("aria-label")


@on_every_bus
def test_a_party_is_within_its_card_and_its_name_within_its_box(declared: Declared, bot: dict[str, list[str]]) -> None:
    described = describe(declared, bot)
    placed = picture_layout.layout(described)
    for upper, lower in itertools.pairwise(placed.cards):
        assert upper.bottom < lower.top
    for card, (party, box) in zip(placed.cards, placed.boxes.items(), strict=True):
        assert card.top < box.top < box.bottom < card.bottom
        assert box.left < placed.names[party].box.left
        assert placed.names[party].box.right < box.right
        beside = [placed.labels[subject.name] for subject in described.subjects if subject.home == party]
        ports = [corners[0 if edge.published else -1] for edge, corners in placed.lines.items() if edge.party == party]
        assert all(card.top < label.box.top and label.box.bottom < card.bottom for label in beside)
        assert all(left == box.right and box.top < top < box.bottom for left, top in ports)
        assert len(set(ports)) == len(ports)


@on_every_bus
def test_no_line_runs_through_a_text(declared: Declared, bot: dict[str, list[str]]) -> None:
    placed = picture_layout.layout(describe(declared, bot))
    boxes = [(text.words, text.box) for text in (*placed.labels.values(), *placed.names.values())]
    for segment in segments(placed):
        for words, box in boxes:
            assert not boxes_overlap(segment, box), words


@on_every_bus
def test_a_lane_is_of_one_subject_and_direction(declared: Declared, bot: dict[str, list[str]]) -> None:
    placed = picture_layout.layout(describe(declared, bot))
    lanes: dict[float, list[tuple[float, float, object]]] = defaultdict(list)
    owners = [
        *(((edge.subject, edge.published), corners) for edge, corners in placed.lines.items()),
        *((join.wide, corners) for join, corners in placed.joins.items()),
    ]
    for owner, corners in owners:
        for (left, top), (right, bottom) in itertools.pairwise(corners):
            if left == right:
                lanes[left].append((min(top, bottom), max(top, bottom), owner))
    for lane in lanes.values():
        for (top, bottom, owner), (other_top, other_bottom, other) in itertools.combinations(lane, 2):
            assert owner == other or bottom < other_top or other_bottom < top


def test_a_line_beside_its_subject_is_straight() -> None:
    described = describe(many(50))
    homes = {subject.name: subject.home for subject in described.subjects}
    for edge, corners in picture_layout.layout(described).lines.items():
        assert (len(corners) == 2) == (homes[edge.subject] == edge.party)
        assert all(one[0] == other[0] or one[1] == other[1] for one, other in itertools.pairwise(corners))


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    placed = picture_layout.layout(describe(LONG))
    label = next(text.words for name, text in placed.labels.items() if "very" in name)
    assert re.fullmatch(r"commands\.very-.*…-?.*very-long", label)
    assert placed.names["n" * 64].words.count("n") < 64


def test_a_wide_letter_has_the_room_of_two() -> None:
    wide, usual = (picture_layout.Text("label", words, 0, 0).box.width for words in ("漢字", "abcd"))
    assert wide == usual


def test_fifty_plugins_take_a_bounded_height() -> None:
    assert picture_layout.layout(describe(many(50))).height < 5000


# Colours


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(part * value for part, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("page", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back", "least"),
    [
        *((text, back, 4.5) for text in ("ink", "quiet") for back in ("paper", "card")),
        *(("ink", back, 4.5) for back in ("box", "bot")),
        *((severity, "card", 4.5) for severity in ("error", "warning")),
        *(("paper", severity, 4.5) for severity in ("error", "warning")),
        *((line, back, 3) for line in ("publish", "listen", "error", "warning", "joint") for back in ("card", "paper")),
    ],
)
def test_the_contrast_is_that_of_wcag_aa(page: int, front: str, back: str, least: float) -> None:
    assert contrast(picture_svg.COLOURS[front][page], picture_svg.COLOURS[back][page]) >= least


def test_there_are_colours_for_light_and_for_dark_pages() -> None:
    style = draw(GUIDE).findtext(f"{SVG}style") or ""
    light, dark = style.split("@media (prefers-color-scheme:dark)")
    for name, (on_light, on_dark) in picture_svg.COLOURS.items():
        assert on_light in light, name
        assert on_dark in dark, name
    assert re.findall(r"#[0-9a-f]{6}", light + dark)


# What is written into a file can't be more than text

MARKUP = [
    *("<script>alert(1)</script>", '"/><image href="x"/>', "]]>", "&amp;", "a--><b", "</text>", "{{ x }}"),
    *("\x00", "\x1b[31m", "\ud800", "\ufffe", "a\u202eb", "\x7f", "a\nb", "`a`", "#35;", "1. *a* _b_", "a]b|c"),
]


@pytest.mark.parametrize("text", MARKUP)
def test_markup_in_a_name_is_text(text: str) -> None:
    plugin = {"name": text, "enabled": True, "subscriptions": [text], "publishes": [f"{PREFIX}.{text}"]}
    described = picture.describe([plugin], f"rosey.{text}", BOT)
    written = picture_svg.draw(described)
    root = ElementTree.fromstring(written.encode())
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= TAGS
    assert len(of_kind(root, "party")) == 2
    (party,) = (party for party in of_kind(root, "party") if "bot" not in kinds(party))
    assert title(party).splitlines()[0] == picture.printable(text)
    assert picture.printable(written.replace("\n", "")) == written.replace("\n", "")
    mermaid = picture_mermaid.draw(described)
    assert picture.printable(mermaid.replace("\n", "")) == mermaid.replace("\n", "")
    assert read_mermaid(mermaid)[0]["party1"] == picture.printable(text)


@pytest.mark.parametrize("form", ["picture_svg", "picture_mermaid"])
def test_the_same_bus_gives_the_same_file(form: str) -> None:
    script = (
        f"import sys, yaml; from {plugins.__name__.rpartition('.')[0]} import {form}, picture, plugins\n"
        "declared, bot = yaml.safe_load(sys.stdin)\n"
        f"described = picture.describe(plugins.effective(declared, {{}}, {PREFIX!r}), {PREFIX!r}, bot)\n"
        f"sys.stdout.write({form}.draw(described))"
    )
    given = yaml.safe_dump([FIVE, BOT])
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
    files = {
        subprocess.run(
            [sys.executable, "-c", script],
            input=given,
            env={**environment, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    (only,) = files
    assert len(only) > 1000


def test_a_thousand_plugins_take_no_time() -> None:
    effective = plugins.effective(many(1000), {}, PREFIX)
    started = time.perf_counter()
    described = picture.describe(effective, PREFIX, BOT)
    picture_svg.draw(described)
    picture_mermaid.draw(described)
    assert time.perf_counter() - started < 10


# Mermaid

NODE = re.compile(r'  (\w+)(?:\(\[|\[|>)"(.*)"(?:\]\)|\])(?::::(error|warning))?')
LINE = re.compile(r"  (\w+) (-->|-\.->|---)(?:\|(error|warning)\|)? (\w+)")
STYLE = re.compile(r"  linkStyle ([\d,]+) stroke:(#\w+),stroke-width:3px")


def read_mermaid(text: str) -> tuple[dict[str, str], list[tuple[str, str, str, str]], dict[str, str]]:
    """Give the labels by their ids, the lines as they stand, and the severities of the nodes."""
    *_front, body = text.split("flowchart LR\n")
    labels, lines, severities = {}, [], {}
    for line in body.splitlines():
        if node := NODE.fullmatch(line):
            assert re.fullmatch(r"(?:[^\W_]|[.-]|#\d+;)*", node[2])
            assert node[1] not in labels
            labels[node[1]] = re.sub(r"#(\d+);", lambda number: chr(int(number[1])), node[2])
            severities[node[1]] = node[3] or ""
        elif found := LINE.fullmatch(line):
            lines.append((found[1], found[2], found[4], found[3] or ""))
        else:
            assert re.fullmatch(r"  (classDef (error|warning)|linkStyle [\d,]+) stroke:#\w+,stroke-width:3px", line)
    return labels, lines, severities


@on_every_bus
def test_mermaid_has_every_party_subject_and_line(declared: Declared, bot: dict[str, list[str]]) -> None:
    described = describe(declared, bot)
    labels, lines, severities = read_mermaid(picture_mermaid.draw(described))
    parties = [party.name for party in described.parties]
    assert list(labels.values()) == [*parties, *(subject.label for subject in described.subjects)]
    short = {subject.name: subject.label for subject in described.subjects}
    verbs = {"-->": True, "-.->": False}
    drawn = [
        (labels[start], labels[end], True) if verbs[arrow] else (labels[end], labels[start], False)
        for start, arrow, end, _said in lines
        if arrow in verbs
    ]
    assert drawn == [(edge.party, short[edge.subject], edge.published) for edge in described.edges]
    assert [said for *_line, said in lines[: len(drawn)]] == [edge.severity or "" for edge in described.edges]
    assert Counter(frozenset((labels[start], labels[end])) for start, arrow, end, _said in lines if arrow == "---") == (
        Counter(frozenset((short[join.wide], short[join.narrow])) for join in described.joins)
    )
    assert list(severities.values()) == [
        *(party.severity or "" for party in described.parties),
        *(subject.severity or "" for subject in described.subjects),
    ]


def test_mermaid_marks_the_lines_that_do_not_fit() -> None:
    described = describe(FIVE)
    styles = {colour: numbers for numbers, colour in STYLE.findall(picture_mermaid.draw(described))}
    for severity, colour in (("error", "#cf222e"), ("warning", "#bf8700")):
        expected = [str(number) for number, edge in enumerate(described.edges) if edge.severity == severity]
        assert styles[colour].split(",") == expected


def test_mermaid_joins_in_the_direction_of_what_is_sent() -> None:
    karma = {"name": "karma", "publishes": ["plugin.karma.event"]}
    labels, lines, _severities = read_mermaid(picture_mermaid.draw(describe([*GUIDE, karma])))
    joins = [(labels[start], labels[end]) for start, arrow, end, _said in lines if arrow == "---"]
    assert ("commands.>", "commands.quote") in joins
    assert ("plugin.karma.event", "plugin.*.event") in joins


def test_markdown_has_the_same_as_a_block() -> None:
    described = describe(GUIDE)
    assert picture_mermaid.markdown(described) == f"```mermaid\n{picture_mermaid.draw(described)}```\n"
