# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action, least
from ansible_collections.rosey.nats.plugins.module_utils._server import conf, plan
from ansible_collections.rosey.nats.plugins.module_utils._server.options import formats, model, reading
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import ANY_NAME, Form, Kind, Option
from ansible_collections.rosey.nats.plugins.module_utils._server.options.table import OPTIONS
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import VARZ

Config = dict[str, Any]


@pytest.mark.parametrize(
    ("before", "after", "action", "expected"),
    [
        ({}, {}, Action.NOTHING, []),
        ({"ping_interval": "2m"}, {"ping_interval": "120s"}, Action.NOTHING, []),
        ({"max_conn": 5}, {"max_connections": 5}, Action.NOTHING, []),
        ({"max_payload": "1MiB"}, {"max_payload": 1048576}, Action.NOTHING, []),
        ({"debug": False}, {"debug": True}, Action.RELOAD, ["debug: False -> True (reload)"]),
        ({}, {"max_connections": 5}, Action.RELOAD, ["max_connections: unset -> 5 (reload)"]),
        ({"port": 4222}, {"port": 4223}, Action.RESTART, ["port: 4222 -> 4223 (restart)"]),
        (
            {"debug": False, "port": 4222},
            {"debug": True, "port": 4223},
            Action.RESTART,
            ["debug: False -> True (reload)", "port: 4222 -> 4223 (restart)"],
        ),
        (
            {"jetstream": {"max_mem": "1G"}},
            {"jetstream": {"max_mem": "2G"}},
            Action.RESTART,
            ["jetstream.max_mem: 1G -> 2G (restart)"],
        ),
        ({}, {"cluster": {"name": "c"}}, Action.RESTART, ["cluster.name: unset -> c (restart)"]),
        ({"cluster": {"name": "c"}}, {"cluster": {"name": "d"}}, Action.RELOAD, None),
        # a block that comes or goes is judged by its own row
        ({}, {"jetstream": {"store_dir": "/s", "max_file": "1G"}}, Action.RELOAD, None),
        ({"jetstream": {"store_dir": "/s", "max_file": "1G"}}, {}, Action.RELOAD, None),
        ({}, {"jetstream": {"store_dir": "/s", "domain": "d"}}, Action.RESTART, None),
        ({"jetstream": {"store_dir": "/s"}}, {"jetstream": {}}, Action.RESTART, None),
        # the server compares a path, and these names, as they are written
        (
            {"jetstream": {"store_dir": "/s"}},
            {"jetstream": {"store_dir": "/s/"}},
            Action.RESTART,
            ["jetstream.store_dir: /s -> /s/ (restart)"],
        ),
        (
            {"authorization": {"auth_callout": {"auth_users": ["u", "v"]}}},
            {"authorization": {"auth_callout": {"auth_users": ["v", "u"]}}},
            Action.RESTART,
            None,
        ),
        # nobody knows what another file holds
        ({}, {"$include": "a.conf"}, Action.RESTART, ["$include: unset -> ['a.conf'] (restart)"]),
        (
            {"accounts": {"A": {"$include": "a.conf"}}},
            {"accounts": {"A": {"$include": ["a.conf", "b.conf"]}}},
            Action.RESTART,
            ["accounts.A.$include: ['a.conf'] -> ['a.conf', 'b.conf'] (restart)"],
        ),
        ({"$include": ["a.conf"]}, {"$include": "a.conf"}, Action.NOTHING, []),
        ({}, {"leafnodes": {"compression": "on"}}, Action.RESTART, None),
        ({"gateway": {}}, {"gateway": {"tls": {"cert_file": "/c"}}}, Action.RESTART, None),
        (
            {"gateway": {"tls": {"cert_file": "/c"}}},
            {"gateway": {"tls": {"cert_file": "/d"}}},
            Action.RELOAD,
            None,
        ),
        ({"mqtt": {}}, {"mqtt": {"tls": {"cert_file": "/c"}}}, Action.RELOAD, None),
        ({}, {"resolver": "MEMORY"}, Action.RESTART, None),
        ({"resolver": "MEMORY"}, {"resolver": "URL(http://h)"}, Action.RELOAD, None),
        # several ways to say the same
        ({"listen": "h:1"}, {"host": "h", "port": 1}, Action.NOTHING, []),
        ({"listen": 1}, {"port": 1}, Action.NOTHING, []),
        ({"listen": "h:1"}, {"host": "h", "port": 2}, Action.RESTART, ["port: 1 -> 2 (restart)"]),
        ({"cluster": {"listen": "h:1"}}, {"cluster": {"host": "h", "port": 1}}, Action.NOTHING, []),
        ({"authorization": {"users": [{"user": "a"}, {"user": "b"}]}}, None, Action.NOTHING, []),
        (
            {"accounts": {"A": {"users": [{"user": "a", "permissions": {"publish": "a"}}]}}},
            {"accounts": {"A": {"users": [{"user": "a", "permissions": {"pub": ["a"]}}]}}},
            Action.NOTHING,
            [],
        ),
    ],
)
def test_the_least_action_is_planned_with_its_reasons(
    before: Config, after: Config | None, action: Action, expected: list[str] | None
) -> None:
    reasons = plan.reasons(before, _turned_round(before) if after is None else after)
    assert least(reasons) == action
    assert expected is None or [str(reason) for reason in reasons] == expected


def _turned_round(config: Any) -> Any:
    """Turn lists and blocks round."""
    if isinstance(config, dict):
        return {name: _turned_round(config[name]) for name in reversed(config)}
    if isinstance(config, list):
        return [_turned_round(each) for each in reversed(config)]
    return config


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            {"authorization": {"user": "rosey", "password": "old-secret"}},
            {"authorization": {"user": "rosey", "password": "new-secret"}},
            "authorization.password: ******** -> ******** (reload)",
        ),
        (
            {"resolver": "URL(http://rosey:old-secret@h/)"},
            {"resolver": "URL(http://h/)"},
            "resolver: ******** -> URL(http://h/) (reload)",
        ),
        (
            {},
            {"remote_syslog": "udp://rosey:new-secret@h:514"},
            "remote_syslog: unset -> ******** (reload)",
        ),
    ],
)
def test_a_secret_is_never_shown(before: Config, after: Config, expected: str) -> None:
    (reason,) = plan.reasons(before, after)
    assert str(reason) == expected


SCALARS: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.BOOLEAN: st.booleans(),
    Kind.INTEGER: st.integers(1, 20),
    Kind.NUMBER: st.integers(1, 20),
    Kind.SIZE: st.sampled_from([1 << 20, 2 << 20]),
    Kind.STORAGE_SIZE: st.sampled_from([1 << 20, 2 << 20]),
    Kind.DURATION: st.sampled_from(["60s", "90s"]),
}


def of_form(form: Form, depth: int) -> st.SearchStrategy[Any]:
    if form.kind is Kind.BLOCK:
        return blocks(form.block, depth - 1)
    if form.kind is Kind.LIST:
        return st.lists(st.one_of([of_form(item, depth) for item in form.items]), max_size=3)
    if form.format:
        return st.just(formats.FORMATS[form.format].example)
    texts = [choice for choice in form.choices if choice] or ["one", "two"]
    return SCALARS.get(form.kind, st.sampled_from(texts))


def blocks(block: str, depth: int) -> st.SearchStrategy[Config]:
    rows = [option for option in OPTIONS if option.block == block and option.forms]
    names = {"a" if row.name == ANY_NAME else row.name: row for row in rows}

    def entry(name: str) -> st.SearchStrategy[tuple[str, Any]]:
        forms = [form for form in names[name].forms if depth or not _has_block(form)]
        return st.tuples(st.just(name), st.one_of([of_form(form, depth) for form in forms]))

    possible = [name for name, row in names.items() if depth or not all(map(_has_block, row.forms))]
    return st.lists(st.sampled_from(possible).flatmap(entry), max_size=4).map(dict) if possible else st.just({})


def _has_block(form: Form) -> bool:
    return bool(form.block) or any(item.block for item in form.items)


SPELLINGS = {"60s": "1m", "90s": "1m30s", 1 << 20: "1MB", 2 << 20: "2MiB"}


@st.composite
def respelled(draw: st.DrawFn, value: Any, path: model.Path = ()) -> Any:
    """Write a configuration in another way that means the same."""
    option = reading.find(path) if path else None
    if isinstance(value, dict):
        entries = [
            (draw(keys(reading.find((*path, name)), name)), draw(respelled(each, (*path, name))))
            for name, each in value.items()
        ]
        return dict(draw(st.permutations(entries)))
    if isinstance(value, list):
        items = [draw(respelled(each, (*path, place))) for place, each in enumerate(value)]
        return draw(st.permutations(items)) if option and option.any_order else items
    sized = option and option.kind in (Kind.DURATION, Kind.SIZE) and not isinstance(value, bool)
    return draw(st.sampled_from([value, SPELLINGS.get(value, value)])) if sized else value


def keys(option: Option | None, name: str) -> st.SearchStrategy[str]:
    if option is None or option.name == ANY_NAME:
        return st.just(name)
    names = [option.name, *option.aliases]
    return st.sampled_from(names if option.case_sensitive else [*names, *(name.upper() for name in names)])


@given(st.data())
def test_what_means_the_same_is_no_reason(data: st.DataObject) -> None:
    config = data.draw(blocks("top", 3))
    again = data.draw(respelled(config))
    text = "# a comment\n" + conf.render(again).replace("\n", " # another\n")
    assert plan.reasons(config, again) == ()
    assert plan.reasons(conf.parse(conf.render(config)), conf.parse(text)) == ()


@given(blocks("top", 3), blocks("top", 3))
def test_there_is_a_reason_wherever_the_server_has_something_to_do(one: Config, other: Config) -> None:
    there, back = plan.reasons(one, other), plan.reasons(other, one)
    assert [reason.option for reason in there] == [reason.option for reason in back]
    assert [(reason.before, reason.after) for reason in there] == [(reason.after, reason.before) for reason in back]


RELOADED = {"config_load_time": "2026-11-23T20:00:00Z"}


@pytest.mark.parametrize(
    ("before", "after", "varz", "expected"),
    [
        ({"max_connections": 50}, {"max_connections": 50}, {}, []),
        ({"max_connections": 77}, {"max_connections": 77}, {}, ["max_connections: 50 at /varz -> 77 (reload)"]),
        ({"max_connections": 77}, {"max_connections": 88}, {}, ["max_connections: 50 at /varz -> 88 (reload)"]),
        ({"port": 4333}, {"port": 4333}, {}, ["port: 4222 at /varz -> 4333 (restart)"]),
        (
            {"listen": "127.0.0.1:4333"},
            {"port": 4333, "host": "127.0.0.1"},
            {},
            ["port: 4222 at /varz -> 4333 (restart)"],
        ),
        ({"ping_interval": "2m"}, {"ping_interval": "2m"}, {}, ["ping_interval: 1m0s at /varz -> 2m0s (reload)"]),
        # what it shows of these after a reload may be what was before
        ({"server_tags": ["a"]}, {"server_tags": ["a"]}, {**RELOADED, "tags": ["b"]}, []),
        (
            {"server_tags": ["a"]},
            {"server_tags": ["a"]},
            {"tags": ["b"]},
            ["server_tags: [b] at /varz -> [a] (reload)"],
        ),
        (
            {"jetstream": {"max_mem": 5, "enabled": False}},
            {"jetstream": {"max_mem": 5, "enabled": False}},
            {"jetstream": {}},
            [],
        ),
        ({"jetstream": {"max_mem": 512_000_000}}, {"jetstream": {"max_mem": 512_000_000}}, {}, []),
        ({"cluster": {"routes": ["nats://u:hunter2@h:1"]}},) * 2
        + ({}, ["cluster.routes: [] at /varz -> [h:1] (reload)"]),
    ],
)
def test_what_the_server_shows_counts_more_than_its_file(
    before: Config, after: Config, varz: Config, expected: list[str]
) -> None:
    assert [str(reason) for reason in plan.reasons(before, after, {**VARZ, **varz})] == expected


@pytest.mark.parametrize("directory", ["/var/lib/nats", "//var/lib/nats/", "/var//lib/./nats", "/var/log/../lib/nats"])
def test_a_store_is_where_the_server_has_it(directory: str) -> None:
    assert plan.store_directory({"jetstream": {"store_dir": directory}}) == "/var/lib/nats/jetstream"
