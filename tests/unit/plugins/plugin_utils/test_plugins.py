# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.template import trust_as_template
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._host.tree import spec
from ansible_collections.rosey.nats.plugins.module_utils._server import subjects
from ansible_collections.rosey.nats.plugins.plugin_utils import plugins

ROOT = Path(__file__).parents[4]
COMMON = (
    (ROOT / "inventories" / "common" / "plugins.yml").read_text().replace("{{ bot_config_home }}", "/opt/rosey-bot")
)
DECLARED: list[plugins.Plugin] = yaml.safe_load(COMMON)["bot_plugins_declared"]
QUOTES = """\
name: quotes
enabled: true
type: isolated

subscriptions:
  - "rosey.prod.commands.quote"
  - "rosey.prod.commands.addquote"
  - "rosey.prod.commands.delquote"

publishes:
  - "rosey.prod.cytube.chat.message"

config:
  database: "/opt/rosey-bot/data/quotes.db"
  max_quote_length: 500
  cooldown: 5
"""
TRIVIA = """\
name: trivia
enabled: true
type: isolated

subscriptions:
  - "rosey.prod.commands.trivia"
  - "rosey.prod.commands.triviastop"
  - "rosey.prod.cytube.chat.message"

publishes:
  - "rosey.prod.cytube.chat.message"

config:
  questions_file: "/opt/rosey-bot/data/trivia.json"
  time_limit: 30
  points_correct: 10
  points_wrong: 0
"""
BARE = """\
name: roll
enabled: false
type: 'yes'

subscriptions: []

publishes: []

config: {}

permissions:
  - "chat"
  - level: 2
    'yes': "no"
    nested:
      - - "1e3"
        - 1000.0
        - null
"""
QUOTE: plugins.Plugin = {
    "name": "quotes",
    "subscriptions": ["commands.quote"],
    "config": {"a": 1, "b": {"c": 2, "d": 3}},
    "uses": {"buckets": {"quotes": "read"}},
}


class Number(int):
    """A class of its own, as Ansible's are."""


texts = st.one_of(
    st.text(), st.sampled_from(["yes", "1e3", "~", "", " x", "a\nb\n", "- a", "a: b", "#", "\x00", "\x85"])
)
scalars = st.one_of(
    texts,
    texts.map(trust_as_template),
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers().map(Number),
    st.floats(allow_nan=False),
    st.dates(),
    st.datetimes(),
)
data = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,8}", fullmatch=True)
described = st.builds(
    lambda core, further: {**core, **{key: value for key, value in further.items() if key not in plugins.KEYS}},
    st.fixed_dictionaries(
        {
            "name": names | names.map(trust_as_template),
            "enabled": st.booleans(),
            "type": texts,
            "subscriptions": st.lists(texts, max_size=3),
            "publishes": st.lists(texts, max_size=3),
            "config": st.dictionaries(texts, data, max_size=4),
            "uses": st.just({}) | st.just({"buckets": {"quotes": "read"}}),
        }
    ),
    st.dictionaries(texts, data, max_size=2),
)


def exact(value: Any) -> Any:
    """Give data so that 1, 1.0 and True differ, and a class of its own does not."""
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [exact(item) for item in value]
    kinds = (bool, int, float, str, datetime.datetime, datetime.date, type(None))
    return next(kind for kind in kinds if isinstance(value, kind)), value


def problems(declared: Any, overlays: Any = None) -> list[str]:
    return [str(problem) for problem in plugins.problems(declared, {} if overlays is None else overlays)]


@pytest.mark.parametrize(("position", "text"), [(0, QUOTES), (1, TRIVIA)])
def test_the_guides_plugins_read_as_in_the_guide(position: int, text: str) -> None:
    assert plugins.render(plugins.effective(DECLARED, {}, "rosey.prod")[position]) == text


def test_a_plugin_with_nothing_but_other_keys() -> None:
    further = {"level": 2, "yes": "no", "nested": [["1e3", 1000.0, None]]}
    declared = [{"permissions": ["chat", further], "type": "yes", "enabled": False, "name": "roll"}]
    assert plugins.render(*plugins.effective(declared, {}, "rosey.prod")) == BARE


@given(described)
def test_the_file_has_exactly_the_data(plugin: plugins.Plugin) -> None:
    """But for what is for the deployment alone."""
    loaded = yaml.safe_load(plugins.render(plugin))
    written = {key: value for key, value in plugin.items() if key != "uses"}
    assert loaded == written
    assert exact(loaded) == exact(written)
    assert list(loaded)[:6] == ["name", "enabled", "type", "subscriptions", "publishes", "config"]


def test_a_setting_that_stands_twice_is_written_twice() -> None:
    shared = {"a": ["b"]}
    (plugin,) = plugins.effective([{"name": "a", "config": {"one": shared, "other": shared}}], {}, "rosey.prod")
    assert plugins.render(plugin).count('- "b"') == 2


def test_what_is_not_declared_has_its_default() -> None:
    assert plugins.effective([{"name": "roll"}], {}, "rosey.dev") == [
        {"name": "roll", "enabled": True, "type": "isolated", "subscriptions": [], "publishes": [], "config": {}}
        | {"uses": {}}
    ]


@pytest.mark.parametrize(
    ("overlay", "changed"),
    [
        ({}, {}),
        ({"enabled": False}, {"enabled": False}),
        ({"type": "embedded"}, {"type": "embedded"}),
        ({"subscriptions": ["commands.q"]}, {"subscriptions": ["rosey.dev.commands.q"]}),
        ({"config": {}}, {}),
        ({"config": {"a": 9}}, {"config": {"a": 9, "b": {"c": 2, "d": 3}}}),
        ({"config": {"b": {"c": 9, "e": [1]}}}, {"config": {"a": 1, "b": {"c": 9, "d": 3, "e": [1]}}}),
        ({"config": {"b": [1]}}, {"config": {"a": 1, "b": [1]}}),
        ({"config": {"b": None}}, {"config": {"a": 1, "b": None}}),
        ({"owner": {"a": 1}}, {"owner": {"a": 1}}),
        ({"uses": {"streams": {"a": "read"}}}, {"uses": {"streams": {"a": "read"}}}),
        ({"uses": {}}, {"uses": {}}),
    ],
)
def test_an_overlay_changes_what_it_names(overlay: dict[str, Any], changed: dict[str, Any]) -> None:
    other = {"name": "trivia"}
    before = yaml.safe_dump([QUOTE, overlay])
    (plain, untouched) = plugins.effective([QUOTE, other], {}, "rosey.dev")
    assert plugins.effective([QUOTE, other], {"quotes": overlay}, "rosey.dev") == [{**plain, **changed}, untouched]
    assert yaml.safe_dump([QUOTE, overlay]) == before


def test_an_overlay_replaces_other_mappings_whole() -> None:
    declared = [{**QUOTE, "limits": {"cpu": 1, "memory": 2}}]
    (plugin,) = plugins.effective(declared, {"quotes": {"limits": {"cpu": 3}}}, "rosey.dev")
    assert plugin["limits"] == {"cpu": 3}


def test_a_setting_can_come_from_the_overlay_alone() -> None:
    (plugin,) = plugins.effective([{"name": "roll"}], {"roll": {"config": {"sides": 6}}}, "rosey.dev")
    assert plugin["config"] == {"sides": 6}


@pytest.mark.parametrize(
    ("subject", "full"),
    [
        ("commands.quote", "rosey.dev.commands.quote"),
        ("rosey.dev.commands.quote", "rosey.dev.commands.quote"),
        ("rosey.prod.commands.quote", "rosey.prod.commands.quote"),
        ("commands..quote", "commands..quote"),
        ("", ""),
    ],
)
def test_subjects_are_made_full_where_they_can_be(subject: str, full: str) -> None:
    declared = [{"name": "a", "subscriptions": [subject], "publishes": [subject]}]
    (plugin,) = plugins.effective(declared, {}, "rosey.dev")
    assert plugin["subscriptions"] == plugin["publishes"] == [full]


@given(st.sampled_from(sorted(subjects.PREFIXES.values())))
def test_what_is_effective_stays_as_it_is(prefix: str) -> None:
    once = plugins.effective(DECLARED, {}, prefix)
    assert plugins.effective(once, {}, prefix) == once


@pytest.mark.parametrize(
    "name",
    [
        *("../x", "/etc/x", "a/b", "", ".", "..", ".a", "-a", "a.b", "a b", "a\n", "a\0", "x" * 65, "x" * 300),
        *("ä", "*", ">", None, 5, True, ["a"], {"a": 1}),
    ],
)
def test_a_name_that_can_be_no_file_or_token_is_refused(name: Any) -> None:
    (problem,) = problems([{"name": "good"}, {"name": name}])
    assert problem.startswith("plugin number 2: name: ")
    assert "expected at most 64 letters" in problem
    assert problem.isprintable()
    assert len(problem) < 350


@pytest.mark.parametrize("name", ["a", "_", "quotes-2", "Quote_DB", "0", "x" * 64])
def test_a_plain_name_is_accepted(name: str) -> None:
    assert problems([{"name": name}]) == []


@pytest.mark.parametrize(("other", "first"), [("quotes", "quotes"), ("Quotes", "quotes"), ("QUOTES", "quotes")])
def test_a_name_that_is_there_already_is_refused(other: str, first: str) -> None:
    assert problems([{"name": first}, {"name": "trivia"}, {"name": other, "enabled": False}]) == [
        f'plugin {other}: name: "{other}" is there already, as {first}; '
        "expected names that differ in more than the case of letters; rename or remove one of the two"
    ]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("enabled", "yes", '"yes" is no boolean; expected true or false; write one of them, without quotes'),
        ("enabled", 1, "1 is no boolean"),
        ("enabled", None, "null is no boolean"),
        ("type", "", '"" is no type of a plugin; expected one word'),
        ("type", "two words", '"two words" is no type'),
        ("type", " isolated", '" isolated" is no type'),
        ("type", 1, "1 is no type"),
        (
            "subscriptions",
            "commands.quote",
            '"commands.quote" is no list of subjects; expected a list of texts; write one',
        ),
        ("subscriptions", None, "null is no list of subjects"),
        ("subscriptions", {"a": 1}, "a mapping is no list of subjects"),
        ("publishes", [["a"]], "a list with a list in it is no list of subjects"),
        ("publishes", ["a", 1], "a list with 1 in it is no list of subjects"),
        ("config", [1], "a list is no mapping; expected the plugin's own settings by their names; write one setting"),
        ("config", None, "a single value is no mapping"),
        ("config", "hunter2", "a text is no mapping"),
        (
            "uses",
            None,
            "null is no mapping; expected rights to buckets, streams, consumers and objects, by their names",
        ),
        ("uses", ["a"], "a list is no mapping; expected rights"),
    ],
)
def test_a_value_of_another_kind_is_refused(key: str, value: Any, said: str) -> None:
    laid_over = {"a": {key: value}}
    for declared, overlays in (
        ([{"name": "a", key: value}], {}),
        ([{"name": "a"}], laid_over),
        ([{"name": "a", "config": {"b": 1}}], laid_over),
    ):
        (problem,) = problems(declared, overlays)
        assert problem.startswith(f"plugin a: {key}: {said}")
        assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("uses", "said"),
    [
        (
            {"bucket": {}},
            'uses: "bucket" is no kind of asset; '
            "expected buckets, streams, consumers or objects; the nearest is buckets",
        ),
        (
            {"buckets": {"quotes": "wirte"}},
            'uses.buckets.quotes: "wirte" is no right to a bucket; expected read, write or watch; the nearest is write',
        ),
    ],
)
def test_a_right_that_there_is_none_of_is_refused(uses: dict[str, Any], said: str) -> None:
    for declared, overlays in (([{"name": "a", "uses": uses}], {}), ([{"name": "a"}], {"a": {"uses": uses}})):
        assert problems(declared, overlays) == [f"plugin a: {said}"]
    assert problems([{"name": "a", "uses": uses}], {"a": {"uses": {}}}) == []


@pytest.mark.parametrize(
    ("declared", "overlays", "said"),
    [
        (
            None,
            {},
            "plugins: null is no list; expected a list of plugins; describe each plugin with the keys name, enabled",
        ),
        ({"quotes": {}}, {}, "plugins: a mapping is no list"),
        ([5], {}, "plugin number 1: 5 is no mapping; expected a plugin; describe"),
        ([], None, "bot_plugins_overrides: null is no mapping; expected what differs in this environment"),
        ([], [], "bot_plugins_overrides: a list is no mapping"),
        (
            [{"name": "a"}],
            {"a": None},
            'bot_plugins_overrides: "a": null is no mapping; expected the keys of the plugin that differ',
        ),
        (
            [{"name": "quotes"}],
            {"quote": {}},
            'bot_plugins_overrides: "quote" is no declared plugin; expected the name of one; the nearest is quotes',
        ),
        (
            [{"name": "quotes"}],
            {"zzz": {}},
            'bot_plugins_overrides: "zzz" is no declared plugin; expected the name of one; declare it or remove',
        ),
        ([{"name": "a"}], {5: {}}, "bot_plugins_overrides: 5 is no declared plugin"),
    ],
)
def test_a_description_of_another_shape_is_refused(declared: Any, overlays: Any, said: str) -> None:
    (problem,) = [str(problem) for problem in plugins.problems(declared, overlays)]
    assert problem.startswith(said)


@pytest.mark.parametrize(
    ("declared", "overlays", "remedy"),
    [
        ([{"name": 2048}], {}, 'the first one no -; write it in quotes: "2048"'),
        ([{"name": False}], {}, "put the word in quotes: without, YAML reads yes, no, on and off as true or false"),
        ([{"name": 1.5}], {}, "choose such a name, for example quotes"),
        ([{"name": "2048"}], {2048: {}}, 'expected the name of one; write it in quotes: "2048"'),
        (
            [{"name": "no"}],
            {False: {}},
            "expected the name of one; put the word in quotes: without, YAML reads yes, no",
        ),
    ],
)
def test_a_name_that_yaml_reads_as_something_else_wants_quotes(
    declared: list[dict[str, Any]], overlays: dict[Any, Any], remedy: str
) -> None:
    (problem,) = problems(declared, overlays)
    assert remedy in problem


def test_all_problems_are_told_together() -> None:
    declared = [5, {"name": "../x", "enabled": "no"}, {"name": "a"}, {"name": "A", "type": ""}, {"enabled": 3}]
    with pytest.raises(plugins.PluginsError) as caught:
        plugins.effective(declared, {"a": 1, "b": {}}, "rosey.dev")
    told = [(problem.where, problem.key) for problem in caught.value.problems]
    assert told == [
        ("plugin number 1", ""),
        ('bot_plugins_overrides: "a"', ""),
        ("bot_plugins_overrides", ""),
        ("plugin number 2", "name"),
        ("plugin number 2", "enabled"),
        ("plugin A", "type"),
        ("plugin A", "name"),
        ("plugin number 5", "name"),
        ("plugin number 5", "enabled"),
    ]
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]


def test_an_overlay_can_put_a_declaration_right() -> None:
    assert problems([{"name": "a", "enabled": "no"}], {"a": {"enabled": False}}) == []


def test_each_plugin_has_its_entry() -> None:
    effective = plugins.effective(DECLARED, {"trivia": {"enabled": False}}, "rosey.prod")
    assert plugins.entries(effective, "/opt/bot/plugins/", "rosey", "bot") == [
        {"path": f"/opt/bot/plugins/{name}.yaml", "state": "file", "content": text, "mode": "0640", "reader": "bot"}
        | {"shown_keys": ["name", "enabled", "type", "subscriptions", "publishes"], "owner": "rosey", "group": "bot"}
        for name, text in (("quotes", QUOTES), ("trivia", TRIVIA.replace("enabled: true", "enabled: false")))
    ]


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_entry_without_owner_leaves_it(nothing: str | None) -> None:
    effective = plugins.effective([QUOTE], {}, "rosey.prod")
    (entry,) = plugins.entries(effective, "/opt", nothing, nothing)
    assert sorted(entry) == ["content", "mode", "path", "reader", "shown_keys", "state"]
    assert set(entry) <= set(spec.ENTRY_SPEC)


def test_a_thousand_plugins_take_seconds() -> None:
    started = time.perf_counter()
    effective = plugins.effective([{**DECLARED[0], "name": f"p{number}"} for number in range(1000)], {}, "rosey.prod")
    assert len(plugins.entries(effective, "/opt")) == 1000
    assert time.perf_counter() - started < 10


def test_a_date_of_ansible_is_a_date() -> None:
    (plugin,) = plugins.effective([{"name": "a", "config": {"since": datetime.date(2025, 11, 18)}}], {}, "rosey.prod")
    assert plugins.render(plugin).endswith("config:\n  since: 2025-11-18\n")
