# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.rosey.nats.plugins.filter.nats_requirements import FilterModule


def test_the_filter_gives_plain_data() -> None:
    requirements = FilterModule().filters()["nats_requirements"]({"host": "127.0.0.1", "http_port": 8222})
    assert requirements == {
        "endpoints": [
            {"purpose": "clients", "option": "port", "host": "127.0.0.1", "port": 4222},
            {"purpose": "monitoring", "option": "http_port", "host": "127.0.0.1", "port": 8222},
        ],
        "client_url": "nats://localhost:4222",
        "client_urls": ["nats://localhost:4222"],
        "tls_listeners": [],
        "monitoring_url": "http://127.0.0.1:8222",
        "writable_directories": [],
        "kept": [],
        "stop": {"signal": "INT", "timeout": 90},
        "is_local": True,
        "peers": [],
        "greeting_url": "nats://localhost:4222",
        "server_name": "",
        "log_file": "",
        "jetstream": None,
        "is_clustered": False,
    }


def test_nothing_of_a_block_is_told_but_whether_jetstream_is_on() -> None:
    config = {"jetstream": {"enabled": True, "key": "a secret", "store_dir": "/data"}, "tls": {"handshake_first": True}}
    requirements = FilterModule().filters()["nats_requirements"]({**config, "server_name": {"$variable": "NAME"}})
    assert requirements["jetstream"] == {"enabled": True}
    assert requirements["greeting_url"] is None
    assert requirements["server_name"] == ""
