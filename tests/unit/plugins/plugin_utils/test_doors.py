# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lets somebody in besides the users; tests/deployment/test_each_client.py has what a run says of it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.plugin_utils import doors

SERVERS_KNOWN = {"authorization": {"user": "s", "password": "x"}}


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"port": 4222, "http_port": 8222, "jetstream": {"store_dir": "/d"}, "tls": {"cert_file": "/c"}}, []),
        ({"authorization": {}}, ["authorization"]),
        ({"No_Auth_User": "operator.1"}, ["no_auth_user"]),
        ({"trusted": "O"}, ["trusted_keys"]),
        ({"resolver_preload": {}}, ["resolver_preload"]),
        ({"$include": "more.conf"}, ["$include"]),
        ({"jetstream": {"$include": "more.conf"}}, []),
        ({"websocket": {"port": 1, "no_tls": True}, "mqtt": {"port": 2}}, []),
        ({"ws": {"port": 1, "no_auth_user": "bot.1"}}, ["websocket.no_auth_user"]),
        ({"mqtt": {"port": 1, "No_Auth_User": "bot.1"}}, ["mqtt.no_auth_user"]),
        ({"mqtt": {"$include": "more.conf"}}, ["mqtt.$include"]),
        ({"leafnodes": {"remotes": [{"url": "nats://h"}]}}, []),
        ({"leafnodes": {"port": 7422, **SERVERS_KNOWN}}, []),
        ({"leafnodes": {"port": 7422, "authorization": {"users": [{"user": "s", "password": "x"}]}}}, []),
        ({"leaf": {"listen": "127.0.0.1:7422", "tls": {"verify": True}}}, []),
        ({"cluster": {"name": "c", "port": {"$variable": "PORT"}, **SERVERS_KNOWN}}, []),
        *(
            ({name: block}, [f"{name}, which lets every server in, without authorization or tls.verify"])
            for name, block in (
                ("cluster", {"name": "c", "port": 6222}),
                ("gateway", {"name": "g", "listen": "0.0.0.0:7222"}),
                ("leafnodes", {"port": {"$variable": "PORT"}}),
                ("leafnodes", {"port": 7422, "authorization": {"account": "A"}}),
                ("leafnodes", {"port": 7422, "authorization": {"user": "s", "password": ""}}),
                (
                    "leafnodes",
                    {"port": 7422, "authorization": {"users": [{"user": "s", "password": "x"}, {"user": "t"}]}},
                ),
                ("leafnodes", {"port": 7422, "tls": {"cert_file": "/c", "verify": False}}),
            )
        ),
    ],
)
def test_what_lets_somebody_else_in_is_named(config: dict[str, Any], found: list[str]) -> None:
    assert doors.doors(config) == found
