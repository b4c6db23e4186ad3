# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of every kind at every place of a configuration, many at a time: they are judged, and nothing falls over.

FUZZ_CASES says how many configurations are made (5,000).
"""

from __future__ import annotations

import contextlib
import copy
import os
import random
import typing as t
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._data import before_change, dangers
from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action
from ansible_collections.rosey.nats.plugins.module_utils._server import plan, requirements
from ansible_collections.rosey.nats.plugins.module_utils._server.options import check, model, proof, reading, table
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import (
    ANY_NAME,
    INCLUDE,
    VARIABLE,
    Form,
    Kind,
)

CASES = int(os.environ.get("FUZZ_CASES", "5000"))
AT_ONCE = 20  # configurations for each draw of hypothesis, which takes longer than they do
ROWS: dict[str, list[model.Option]] = {}
for _row in table.OPTIONS:
    ROWS.setdefault(_row.block, []).append(_row)

# A few names and subjects, so that what refers to something finds it, and finds a value of a wrong kind there.
TEXTS = (
    *("", " ", "A", "B", "$SYS", "$G", "a", "a.*", "a.>", "a.b", ">", "a..b", "t.$1", "full", "cache", "mem", "MEMORY"),
    *("on", "auto", "enabled", "true", "single", "1s", "-1s", "2m", "1G", "1MB", "50%", "headers", "eyJ.e30.x", "eyJ"),
    *(
        "127.0.0.1:4222",
        "[::1]:1",
        ":0",
        "a:b:c",
        "localhost",
        "::1",
        "nats://a:1",
        "ws://a",
        "%zz",
        "URL(x)",
        "é\x00\n",
    ),
)
NUMBERS = (0, 1, -1, 2, 255, 4222, 8222, 65535, 65536, 1 << 31, 1 << 63, -(1 << 64), 0.5, -1.5, 1e300, float("inf"))
FREE_KEYS = ("A", "B", "$SYS", "a.*", "a.>", "a")
KEYS = (None, True, 0, 1.5, "", "A", "B", "$SYS", "a.*", "x", INCLUDE, VARIABLE)

# Values of which each is looked at beside others.
RELATED: dict[t.Any, t.Any] = {
    "listen": "127.0.0.1:4222",
    "http_port": 8222,
    "store_dir": "/srv/nats",
    "jetstream": {"max_mem": "1G", "max_file": "2G", "domain": "d", "max_outstanding_catchup": "1M"},
    "server_name": "n",
    "system_account": "B",
    "no_auth_user": "u",
    "default_js_domain": {"A": "d"},
    "resolver": {"type": "full", "dir": "d", "ttl": "1h", "allow_delete": True, "hard_delete": True},
    "resolver_preload": {"A": "a.b.c"},
    "resolver_pinned_accounts": ["A"],
    "trusted_keys": ["O"],
    "operator": "eyJ.e30.c",
    "lame_duck_duration": "31s",
    "lame_duck_grace_period": "30s",
    "max_payload": "1MB",
    "max_pending": "2MB",
    "authorization": {"users": [{"user": "u", "password": "p"}, {"nkey": "U"}], "auth_callout": {"auth_users": ["u"]}},
    "mappings": {"a.*": [{"destination": "b.$1", "weight": 50}, {"destination": "c.$1", "weight": "50%"}], "d": "e"},
    "tls": {"cert_file": "c", "key_file": "k", "ocsp_peer": {"verify": True}},
    "cluster": {
        "name": "c",
        "port": 6222,
        "pool_size": 3,
        "accounts": ["A"],
        "routes": ["nats://a:1"],
        "compression": {"mode": "auto", "rtt_thresholds": ["1ms", "2ms"]},
    },
    "gateway": {"name": "c", "port": 7222, "gateways": [{"name": "g", "urls": ["nats://b:1"]}]},
    "leafnodes": {
        "port": 7422,
        "authorization": {"account": "A", "users": [{"user": "l", "account": "A"}]},
        "remotes": [{"urls": ["ws://a", "ws://b"], "account": "A", "deny_imports": ["x"]}],
    },
    "websocket": {"port": 80, "no_tls": True, "allowed_origins": ["http://a"], "authorization": {"user": "u"}},
    "mqtt": {"port": 1883, "no_auth_user": "u", "ack_wait": "1s"},
    "accounts": {
        "A": {
            "jetstream": {"max_mem": "1M"},
            "users": [{"user": "v", "password": "p"}],
            "exports": [
                {"stream": "a.>", "accounts": ["B"]},
                {"service": "s.*", "account_token_position": 2, "response_type": "single"},
                {"service": "t", "latency": {"subject": "l", "sampling": 10}},
            ],
        },
        "B": {
            "imports": [
                {"stream": {"account": "A", "subject": "a.b"}, "prefix": "p"},
                {"service": {"account": "A", "subject": "s.B"}, "to": "x"},
            ],
            "mappings": {"a.*": "b.$1"},
        },
    },
}


class Maker:
    """Makes configurations from a source of chance."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def config(self) -> dict[t.Any, t.Any]:
        """Make a configuration: from the table, or one whose values belong together, with a few wrong ones."""
        if self.chance.random() < 0.4:
            return self.block("top")
        names = {"accounts", *self.chance.sample([*RELATED], 6)}
        made = copy.deepcopy({name: each for name, each in RELATED.items() if name in names})
        for _wrong in range(self.chance.randint(1, 5)):
            self.spoil(made)
        return made

    def spoil(self, inside: t.Any) -> None:
        """Put another value, or none, in some place, the deeper the likelier."""
        while True:
            places = [*inside] if isinstance(inside, dict) else [*range(len(inside))]
            if not places:
                return
            place = self.chance.choice(places)
            if isinstance(inside[place], (dict, list)) and self.chance.random() < 0.85:
                inside = inside[place]
                continue
            if self.chance.random() < 0.15:
                del inside[place]
            else:
                inside[place] = self.junk()
            return

    def block(self, name: str, depth: int = 0) -> dict[t.Any, t.Any]:
        """Make a block of some options, a few of its keys being none."""
        rows = ROWS[name]
        if depth == 0:  # a few, so that what they hold meets; accounts have the most to meet
            rows = self.chance.choices(rows, k=4) + [row for row in rows if row.name == "accounts"] * 2
        made: dict[t.Any, t.Any] = {}
        for row in self.chance.choices(rows, k=self.chance.randint(1, 7)):
            key = self.chance.choice(FREE_KEYS) if row.name == ANY_NAME else row.name
            key = self.chance.choice((key, key, *row.aliases)) if row.aliases else key
            made[key] = self.value(row, depth + 1)
        if self.chance.random() < 0.1:
            made[self.chance.choice(KEYS)] = self.junk()
        return made

    def value(self, row: model.Option, depth: int) -> t.Any:
        if not row.forms or self.chance.random() < 0.1:
            return self.junk()
        if row.name in ("account", "stream", "service", "subject") and self.chance.random() < 0.5:
            block = next((form.block for form in row.forms if form.block), "")
            return self.block(block, depth) if block else self.chance.choice(FREE_KEYS)
        return self.of_form(self.chance.choice(row.forms), depth)

    def of_form(self, form: Form, depth: int) -> t.Any:
        if self.chance.random() < 0.05:
            return self.junk()
        if form.kind is Kind.BLOCK:
            return self.block(form.block, depth)
        if form.kind is Kind.LIST:
            return [self.of_form(self.chance.choice(form.items), depth) for _item in range(self.chance.randint(0, 3))]
        if form.kind is Kind.BOOLEAN:
            return self.chance.random() < 0.5
        if form.choices:
            return self.chance.choice(form.choices)
        return self.chance.choice(NUMBERS if form.kind in (Kind.INTEGER, Kind.NUMBER) else (*TEXTS, *NUMBERS[:8]))

    def junk(self, depth: int = 0) -> t.Any:
        """Make a value of any kind."""
        kind = self.chance.randint(0, 8 if depth < 2 else 5)
        if kind < 2:
            return self.chance.choice(TEXTS)
        if kind < 4:
            return self.chance.choice(NUMBERS)
        if kind < 6:
            return self.chance.choice(
                (None, True, False, {VARIABLE: "X"}, {VARIABLE: None}, {VARIABLE: []}, {}, [], ())
            )
        if kind == 6:
            return {self.chance.choice(KEYS): self.junk(depth + 1) for _key in range(self.chance.randint(1, 3))}
        made = [self.junk(depth + 1) for _item in range(self.chance.randint(1, 3))]
        return tuple(made) if kind == 7 else made


def known(ask: Callable[[], t.Any]) -> None:
    with contextlib.suppress(requirements.UnknownError):
        ask()


def judge(config: dict[t.Any, t.Any], other: dict[t.Any, t.Any]) -> None:
    """Ask everything that judges configurations for these two."""
    for problem in check.problems(config):
        assert problem.path
        assert str(problem)
    before, after = reading.canonical(other), reading.canonical(reading.merge(other, config))
    for _path, option, value in reading.leaves(config):
        reading.effective(option, value)
        proof.reload_line(option, value)
        for reloaded in (False, True):
            if proof.evidence(option, value, reloaded=reloaded) is model.Evidence.VARZ:
                proof.expected(option, value)
    known(lambda: requirements.endpoints(config))
    known(lambda: requirements.monitoring_url(config))
    known(lambda: requirements.client_url(config))
    list(requirements.paths(config))
    list(requirements.problems(config))
    requirements.one_spelling(config)
    requirements.writable_directories(config)
    requirements.is_local(config)
    requirements.stop(config)
    plan.reasons(before, after)
    dangers.find(before_change.Situation(after=after, before=before, action=Action.RESTART))


@given(st.integers(0, (1 << 64) - 1))
@settings(
    max_examples=max(1, CASES // AT_ONCE),
    derandomize=CASES <= 5000,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@example(0)
def test_every_value_is_judged(seed: int) -> None:
    maker = Maker(random.Random(seed))
    for _case in range(AT_ONCE):
        config, other = maker.config(), maker.config()
        try:
            judge(config, other)
        except Exception as error:
            raise AssertionError(f"{config!r}\nafter\n{other!r}") from error
