# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host.atomic_file import ReleaseError
from ansible_collections.rosey.nats.plugins.plugin_utils import report
from ansible_collections.rosey.nats.plugins.plugin_utils.run_record import BUS_FACT, Ending, Outcome, Run, Tone
from ansible_collections.rosey.nats.tests.unit.example_runs import (
    BOT_PLANNED,
    BOT_PROVEN,
    BUS,
    CHECKED,
    DIAGNOSED,
    FAILED,
    LISTED,
    MARKUP,
    OK,
    PROVEN,
    SECRET,
    TOLD,
    UNREACHABLE,
    Note,
    deployed,
    make_run,
    returned,
)

VOID = {"meta", "link", "img", "br"}
ENDINGS = {
    "proven": make_run(deployed()),
    "returned": make_run(returned(), failed=["here"]),
    "refused": make_run([("here", "ansible.builtin.assert", FAILED, {"msg": "no"})], failed=["here"]),
    "unreachable": make_run([("here", "rosey.nats.nats_plan", UNREACHABLE, {"msg": "no route"})], hosts=["here", "b"]),
    "cut off": make_run(deployed()[:5], ending=Ending.CUT_OFF),
    "begun": make_run([], hosts=["here", "b"], ending=Ending.OPEN),
    "nobody": make_run([]),
    "dry run": make_run(deployed()[:4], check_mode=True),
    "two hosts": make_run([*deployed(), *returned("b")], failed=["b"]),
    "listed": make_run([("here", "rosey.nats.nats_release_info", OK, LISTED)]),
    "checked": make_run([("here", "rosey.nats.bus_health_info", OK, CHECKED)]),
    "diagnosed": make_run([("here", "rosey.nats.diagnosis_info", OK, DIAGNOSED)], failed=["here"]),
    # what a module of another version may leave out
    "bare": make_run([(host, action, status, {}) for host, action, status, _result in returned()], failed=["here"]),
}


class Page(HTMLParser):
    """A page as a browser takes it: elements, attributes, and the text without styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.headings: list[int] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag in {"h1", "h2", "h3", "h4", "h5"}:
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style" and data.strip():
            self.texts.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(self.texts)


@pytest.mark.parametrize("run", ENDINGS.values(), ids=ENDINGS)
def test_every_ending_is_a_whole_page(run: Run) -> None:
    text = report.render(run)
    page = Page(text)
    assert page.elements["h1"] == page.elements["main"] == page.elements["header"] == page.elements["footer"] == 1
    assert page.headings[0] == 1
    assert all(after - before <= 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    ids = [value for _tag, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    named = {
        value for _tag, name, value in page.attributes if name in {"aria-labelledby", "href"} and value[:5] != "data:"
    }
    assert {name.removeprefix("#") for name in named} <= set(ids)
    assert SECRET not in text
    assert "None" not in page.text
    assert "Undefined" not in text


@pytest.mark.parametrize("run", ENDINGS.values(), ids=ENDINGS)
def test_a_page_needs_and_runs_nothing_else(run: Run) -> None:
    page = Page(report.render(run))
    assert not set(page.elements) & {"script", "iframe", "object", "embed", "form", "base", "img"}
    assert not [name for _tag, name, _value in page.attributes if name.startswith("on")]
    sources = [value for tag, name, value in page.attributes if name in {"src", "href"} and tag != "use"]
    assert all(source.startswith(("#", "data:")) for source in sources)
    (policy,) = [value for _tag, name, value in page.attributes if name == "content" and "default-src" in value]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")


def with_markup(value: Any) -> Any:
    """Put markup into each text, but for the words that mean something."""
    if isinstance(value, dict):
        kept = ("status", "severity", "confidence", "action", "prefix", "subscriptions", "publishes")
        return {key: each if key in kept else with_markup(each) for key, each in value.items()}
    if isinstance(value, list):
        return [with_markup(each) for each in value]
    return f"{value}{MARKUP}" if isinstance(value, str) else value


def test_what_users_and_hosts_say_is_text() -> None:
    notes: list[Note] = [
        *returned(),
        ("here", "rosey.nats.nats_release_info", OK, LISTED),
        ("here", "rosey.nats.bus_health_info", OK, CHECKED),
        ("here", "rosey.nats.diagnosis_info", OK, DIAGNOSED),
        ("here", "rosey.nats.bot_plan", OK, {**BOT_PLANNED, "unmanaged": ["/opt/x.yaml"], "dangers": ["3 clients"]}),
        ("here", "ansible.builtin.command", FAILED, {"msg": "failed"}),
    ]
    marked = [(f"{host}{MARKUP}", action, status, with_markup(result)) for host, action, status, result in notes]
    plain, page = (
        Page(report.render(make_run(each, failed=[each[0][0]], playbook=playbook)))
        for each, playbook in ((notes, "site.yml"), (marked, f"site{MARKUP}.yml"))
    )
    assert page.elements == plain.elements
    # a long figure has a class
    names, expected = (
        [(tag, name) for tag, name, _value in each.attributes if (tag, name) != ("div", "class")]
        for each in (page, plain)
    )
    assert names == expected
    assert page.text.count("<script>alert(1)</script>") > 50


def test_a_page_tells_the_whole_story() -> None:
    page = Page(report.render(ENDINGS["returned"]))
    for told in (
        "Failed, and went back",
        "here is back at release 20260131T120000Z-3f2a9c, as its gate has proven.",
        "2026-02-01 12:00:00",
        "to 12:00:12 UTC",
        "max_payload: 1MiB -> 2MiB (reload)",
        "/etc/nats/nats-server.conf",
        "14 of 15 proven, 1 taken on trust: log_max_num",
        "rosey_nats_prod, nats-server 2.10.7",
        "expected a subscription that covers rosey.prod.commands.quote, found none on the server",
        "The way back to 20260131T120000Z-3f2a9c",
        "p50 0.8 ms, p99 2.1 ms, limit 100 ms, 200 trips",
        "The bus of rosey.prod",
    ):
        assert told in page.text, told
    for title, run in (("Could not be reached", "unreachable"), ("The run was cut off", "cut off")):
        assert title in Page(report.render(ENDINGS[run])).text
    assert "1 unreachable, 1 not begun of 2 hosts." in Page(report.render(ENDINGS["unreachable"])).text
    assert "a dry run that changed nothing" in Page(report.render(ENDINGS["dry run"])).text


def figures(run: Run) -> dict[str, tuple[str, str]]:
    return {tile.label: (tile.figure, tile.note) for tile in report.tiles(run, report.round_trips(run))}


def test_the_figures_are_of_what_every_host_has_last() -> None:
    assert figures(ENDINGS["two hosts"]) == {
        "Hosts": ("2", "1 well"),
        "nats-server": ("2.10.7", "rosey_nats_prod"),
        "Options proven": ("28 of 30", "2 taken on trust"),
        "Subscriptions held": ("12 of 12", ""),
        "Round trip, p99": ("2.1 ms", "of 100 ms at most"),
        "Took": ("12.5 s", ""),
    }
    assert figures(ENDINGS["proven"])["Release"] == ("20260201T120000Z-a1b2c3", "")
    assert figures(ENDINGS["returned"])["Release"] == ("20260131T120000Z-3f2a9c", "gone back to")
    assert figures(ENDINGS["dry run"])["Release"] == ("20260131T120000Z-3f2a9c", "as it was")
    assert figures(ENDINGS["checked"])["Checks passed"] == ("1 of 2", "")
    assert figures(ENDINGS["nobody"]) == {"Took": ("12.5 s", "")}


def concerns(notes: Iterable[Note]) -> list[tuple[Tone, str, str]]:
    run = make_run(notes)
    return [(concern.tone, concern.what, concern.said) for concern in report.concerns(run, report.buses(run))]


HEARS_ITSELF = (
    Tone.WARNING,
    "trivia",
    "rosey.prod.cytube.chat.message is published and listened to by this plugin, so that it hears itself",
)
MISSING = (
    Tone.BAD,
    "plugin quotes",
    "expected a subscription that covers rosey.prod.commands.quote, found none on the server",
)


@pytest.mark.parametrize(
    ("notes", "found"),
    [
        (deployed(), [HEARS_ITSELF]),
        # errors come first, and the last step repeats what was said
        (returned(), [MISSING, HEARS_ITSELF]),
        ([("here", "rosey.nats.nats_plan", FAILED, {"msg": "taken"})], [(Tone.BAD, "nats_plan", "taken")]),
        ([("here", "ansible.builtin.assert", FAILED, {"msg": "no"})], [(Tone.BAD, "assert", "no")]),
        ([("here", "x.y.z", UNREACHABLE, {"msg": "gone"})], [(Tone.BAD, "z", "gone")]),
        (
            [
                ("here", "rosey.nats.bus_health_info", OK, CHECKED),
                ("here", "ansible.builtin.assert", FAILED, {"msg": "critical: plugins"}),
            ],
            [(Tone.BAD, "plugins", "5 of 6 held")],
        ),
        (
            [("here", "rosey.nats.diagnosis_info", OK, DIAGNOSED)],
            [
                (
                    Tone.BAD,
                    "the plugin trivia is not enabled",
                    "plugins/trivia.yaml has enabled: false\nno connection rosey-bot-prod-trivia",
                ),
                (Tone.WARNING, "the host is busy", "load 7.9 on 2 cores"),
            ],
        ),
        (
            [("here", "rosey.nats.nats_plan", OK, {"action": "restart", "dangers": ["3 clients are cut off"]})],
            [(Tone.WARNING, "accepted", "3 clients are cut off")],
        ),
        ([("here", "rosey.nats.nats_gate", OK, {**PROVEN, "findings": []})] * 2, []),
    ],
)
def test_what_asks_for_attention(notes: list[Note], found: list[tuple[Tone, str, str]]) -> None:
    assert concerns(notes) == found


def test_the_way_of_a_host() -> None:
    run = ENDINGS["returned"]
    steps = report.steps(run.phases("here"))
    assert [(step.label, str(step.tone), step.turns) for step in steps] == [
        ("server: reload", "quiet", False),
        ("bot: restart", "quiet", False),
        ("1 file", "quiet", False),
        ("server proven", "good", False),
        ("bot not proven", "bad", True),
        ("server: reload", "quiet", False),
        ("1 file", "quiet", False),
        ("server proven", "good", False),
        ("bot proven", "good", False),
    ]
    checked, diagnosed = (report.steps(ENDINGS[name].phases("here")) for name in ("checked", "diagnosed"))
    assert [(step.label, step.tone) for step in (*checked, *diagnosed)] == [
        ("1 of 2 checks passed", Tone.BAD),
        ("2 causes found", Tone.BAD),
    ]
    (lost,) = report.steps(ENDINGS["unreachable"].phases("here"))
    assert lost.label == "not reached"


def trips(p50: float, p99: float, limit: float = 100.0) -> Run:
    measured = {"p50_milliseconds": p50, "p99_milliseconds": p99, "trips": 200, "skipped": False}
    asked = {"module_args": {"round_trip": {"limit_milliseconds": limit}}}
    return make_run([("here", "rosey.nats.bot_gate", OK, {"round_trip": measured, "invocation": asked})])


@pytest.mark.parametrize(
    ("p50", "p99", "limit", "marks"),
    [
        (0.8, 2.1, 100.0, ["0.1", "1", "10", "100"]),
        (0.02, 0.03, 5.0, ["0.01", "0.1", "1", "10"]),
        (0.0, 0.0, 5.0, ["0.001", "0.01", "0.1", "1", "10"]),
        (80.0, 4000.0, 100.0, ["0.1", "1", "10", "100", "1000", "10000"]),
    ],
)
def test_round_trips_lie_on_their_axis(p50: float, p99: float, limit: float, marks: list[str]) -> None:
    (found,) = report.round_trips(trips(p50, p99, limit))
    assert 0 < found.at_p50 <= found.at_p99 < 100
    assert 0 < found.at_limit < 100
    assert (found.at_p99 > found.at_limit) == (p99 > limit)
    assert found.tone is (Tone.BAD if p99 > limit else Tone.GOOD)
    axis = report.ticks([found])
    assert [label for label, _at in axis] == marks
    assert [at for _label, at in axis] == sorted(at for _label, at in axis)


@pytest.mark.parametrize(
    "skipped", [{"skipped": True, "p50_milliseconds": None, "p99_milliseconds": None, "trips": 0}, None]
)
def test_trips_that_were_not_made_are_not_drawn(skipped: dict[str, Any] | None) -> None:
    run = make_run([("here", "rosey.nats.bot_gate", OK, {**BOT_PROVEN, "round_trip": skipped})])
    assert report.round_trips(run) == []
    assert "Round trips" not in Page(report.render(run)).texts


def test_a_bus_is_drawn_once_for_all_who_have_it() -> None:
    other = {**BUS, "plugins": []}
    facts = [("a", BUS), ("b", other), ("c", BUS), ("a", BUS)]
    run = make_run([(host, "ansible.builtin.set_fact", OK, {"ansible_facts": {BUS_FACT: bus}}) for host, bus in facts])
    assert [bus.hosts for bus in report.buses(run)] == [("a", "c"), ("b",)]


def test_where_each_has_a_credential_of_its_own_it_is_shown_who_may_do_what() -> None:
    hears_all = {"name": MARKUP, "enabled": True, "subscriptions": ["rosey.prod.>"], "publishes": [], "uses": {}}
    of_each = {**BUS, "plugins": [*BUS["plugins"], hears_all], "has_clients": True}
    shared, each = (
        make_run([("here", "ansible.builtin.set_fact", OK, {"ansible_facts": {BUS_FACT: bus}})])
        for bus in (BUS, of_each)
    )
    assert "Who may say and hear what" not in Page(report.render(shared)).text
    page = Page(report.render(each))
    for told in (
        "Who may say and hear what",
        "quotes rosey.prod.cytube.chat.message rosey.prod._inbox.> $SYS.REQ.USER.INFO rosey.prod.commands.quote",
        f"{MARKUP}: hears everything below rosey.prod",
        "but not rosey.prod._inbox.quotes.>",
    ):
        assert told in page.text, told
    assert page.elements["script"] == 0


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (TOLD["msg"], [("server", "rosey_nats_prod, nats-server 2.10.7"), ("log", "/var/log/nats/nats-server.log")]),
        (["one: line"], []),
        (["a: 1", "and no name"], []),
        (["a: 1", "a name that is longer than any that is one: 2"], []),
        ("a: 1\nb: 2: 3", [("a", "1"), ("b", "2: 3")]),
        ({"a": 1}, []),
    ],
)
def test_lines_with_names(message: Any, found: list[tuple[str, str]]) -> None:
    assert report.rows(message) == found


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (605.4, "10 min 5 s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert report.duration(seconds) == text


def test_every_outcome_can_be_told() -> None:
    for outcome in Outcome:
        words = outcome.value
        assert words.title[0].isupper()
        assert len(words.label) <= 12
        assert words.sentence.format(release="r").islower()


def test_the_file_is_private_and_replaced_in_one_step(tmp_path: Path) -> None:
    place = tmp_path / "report.html"
    place.write_text("old")
    place.chmod(0o644)
    report.write(ENDINGS["proven"], place)
    assert place.read_text() == report.render(ENDINGS["proven"])
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(ReleaseError, match="nowhere"):
        report.write(ENDINGS["proven"], tmp_path / "nowhere" / "report.html")
