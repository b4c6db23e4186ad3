# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import inspect
from typing import Any

import pytest
from nats.aio.client import Client

from ansible_collections.rosey.nats.plugins.module_utils._bot import client_options

# The guide's section of production.
SECTION = {
    "servers": ["nats://localhost:4222"],
    "name": "rosey-bot-prod",
    "reconnect_time_wait": 5,
    "max_reconnect_attempts": -1,
    "ping_interval": 60,
    "max_outstanding_pings": 3,
    "prefix": "rosey.prod",
}
# What a YAML file can't hold.
OBJECTS = {"tls", "ws_connection_headers"}


def problems(**changes: Any) -> client_options.Problems:
    return client_options.problems({**SECTION, **changes}, "production")


def test_the_table_is_what_the_client_takes() -> None:
    taken = set(inspect.signature(Client.connect).parameters) - {"self"}
    callbacks = {name for name in taken if name.endswith(("_cb", "_handler"))}
    assert set(client_options.OPTIONS) | client_options.SECRET_OPTIONS == taken - callbacks - OBJECTS


def test_the_guides_section_has_no_problem() -> None:
    assert problems() == client_options.Problems((), ())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ping_interval": "60"}, 'ping_interval: "60" is not a number of seconds above 0, without a unit; correct it'),
        ({"ping_interval": "1m"}, 'ping_interval: "1m" is not a number of seconds'),
        ({"ping_interval": -60}, "ping_interval: -60 is not a number of seconds"),
        ({"ping_interval": 0}, "ping_interval: 0 is not a number of seconds above 0"),
        ({"ping_interval": True}, "ping_interval: true is not a number of seconds"),
        ({"connect_timeout": float("nan")}, "connect_timeout: NaN is not a number"),
        ({"reconnect_time_wait": -1}, "reconnect_time_wait: -1 is not a number of seconds, 0 or more"),
        ({"max_reconnect_attempts": -2}, "max_reconnect_attempts: -2 is not a whole number of 0 or more, or -1"),
        ({"max_reconnect_attempts": 1.5}, "max_reconnect_attempts: 1.5 is not a whole number"),
        ({"max_outstanding_pings": 0}, "max_outstanding_pings: 0 is not a whole number of 1 or more"),
        ({"no_echo": "yes"}, 'no_echo: "yes" is not true or false'),
        ({"name": 5}, "name: 5 is not a text"),
        ({"name": ""}, 'name: "" is not a text'),
        ({"servers": "nats://localhost:4222"}, 'servers: "nats://localhost:4222" is not a list of URLs'),
        ({"servers": []}, "servers: [] is not a list of URLs"),
        ({"servers": ["localhost"]}, 'servers: "localhost" is no URL of a server'),
        ({"servers": ["http://localhost:4222"]}, 'servers: "http://localhost:4222" is no URL of a server'),
        ({"servers": ["nats://localhost:banana"]}, 'servers: "nats://localhost:banana" is no URL'),
        ({"servers": ["nats://a:1,nats://b:2"]}, "servers: "),
        ({"servers": [4222]}, "servers: 4222 is no text"),
        ({"servers": ["nats://rosey:p4ss@h:4222"]}, "servers: h:4222 has a user or password before it"),
        ({"servers": ["nats://rosey:p4ss@h:banana"]}, "servers: h:banana has a user or password before it"),
        ({"servers": ["rosey:p4ss@h:4222"]}, "servers: h:4222 has a user or password before it"),
        ({"servers": ["nats:/rosey:p4ss@h"]}, "servers: h has a user or password before it"),
        ({"servers": ["nats://rosey:p@ss/p4ss@h:4222"]}, "servers: h:4222 has a user or password before it"),
        ({"servers": ["nats://localhost:0"]}, 'servers: "nats://localhost:0" is no URL'),
        ({"password": "p4ss"}, "password is a secret, which does not belong into config.yaml"),
        ({"nkeys_seed_str": "p4ss"}, "nkeys_seed_str is a secret"),
        ({"inbox_prefix": ""}, 'inbox_prefix: "" is not a subject without wildcards or whitespace; correct it'),
        ({"inbox_prefix": 5}, "inbox_prefix: 5 is not a subject"),
        ({"inbox_prefix": "rosey.*"}, 'inbox_prefix: "rosey.*" is not a subject'),
        ({"inbox_prefix": "rosey.>"}, 'inbox_prefix: "rosey.>" is not a subject'),
        ({"inbox_prefix": "_INBOX."}, 'inbox_prefix: "_INBOX." is not a subject'),
        ({"inbox_prefix": "_IN BOX"}, 'inbox_prefix: "_IN BOX" is not a subject'),
        (
            {"inbox_prefix": "rosey.dev"},
            'inbox_prefix: "rosey.dev" lies on the subjects of development; expected one such as _INBOX, or below',
        ),
        (
            {"inbox_prefix": "rosey.staging.commands"},
            'inbox_prefix: "rosey.staging.commands" lies on the subjects of staging; expected one such as',
        ),
        ({"prefix": "rosey.staging"}, 'prefix: "rosey.staging" is the prefix of staging; expected rosey.prod'),
        ({"prefix": "rosey.prod.x"}, 'prefix: "rosey.prod.x" is no prefix; expected rosey.prod'),
        ({"prefix": None}, "prefix: null is no prefix; expected rosey.prod"),
    ],
)
def test_a_problem_names_key_value_and_what_was_expected(changes: dict[str, Any], said: str) -> None:
    found = problems(**changes)
    (error,) = found.errors
    assert error.startswith(said)
    assert "p4ss" not in error
    assert not found.warnings


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ping_intervall", "ping_intervall is no option of the NATS client; the nearest is ping_interval; it is"),
        ("colour", "colour is no option of the NATS client; it is written all the same"),
    ],
)
def test_an_unknown_key_is_a_warning(name: str, said: str) -> None:
    found = problems(**{name: 5})
    assert not found.errors
    (warning,) = found.warnings
    assert warning.startswith(said)


@pytest.mark.parametrize(
    "changes",
    [
        {"ping_interval": 0.5},
        {"reconnect_time_wait": 0},
        {"inbox_prefix": "_INBOX_rosey"},
        {"inbox_prefix": "rosey.prod.inbox"},
        {"inbox_prefix": "rosey.development"},
        {"max_reconnect_attempts": 0},
        {"servers": ["tls://one.example.com", "nats://[::1]:4222/", "ws://h:80"]},
        {"drain_timeout": 5, "pending_size": 1, "pedantic": False, "user_credentials": "/x.creds"},
    ],
)
def test_any_other_option_passes_through(changes: dict[str, Any]) -> None:
    assert problems(**changes) == client_options.Problems((), ())


def test_an_unknown_environment_is_said_once() -> None:
    (error,) = client_options.problems({**SECTION, "inbox_prefix": "rosey.dev"}, "prod").errors
    assert error == 'the environment "prod" is unknown; expected one of development, staging, production'
