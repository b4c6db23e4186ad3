# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils import footprint

Config = dict[str, Any]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, [("clients", "0.0.0.0", 4222)]),
        (
            {"host": "127.0.0.1", "port": 4333, "http_port": 8222},
            [("clients", "127.0.0.1", 4333), ("monitoring", "127.0.0.1", 8222)],
        ),
        (
            {"net": "127.0.0.1", "monitor_port": 8222},
            [("clients", "127.0.0.1", 4222), ("monitoring", "127.0.0.1", 8222)],
        ),
        ({"listen": "127.0.0.1:4555"}, [("clients", "127.0.0.1", 4555)]),
        ({"listen": 4555}, [("clients", "0.0.0.0", 4555)]),
        ({"listen": "[::1]:4555"}, [("clients", "::1", 4555)]),
        ({"port": -1}, []),
        (
            {"host": "10.0.0.1", "http": "127.0.0.1:8222"},
            [("clients", "10.0.0.1", 4222), ("monitoring", "127.0.0.1", 8222)],
        ),
        ({"host": "127.0.0.1", "http": 8222}, [("clients", "127.0.0.1", 4222), ("monitoring", "127.0.0.1", 8222)]),
        (
            {"cluster": {"host": "10.0.0.1", "port": 6222}, "mqtt": {"listen": "10.0.0.1:1883"}},
            [("clients", "0.0.0.0", 4222), ("cluster", "10.0.0.1", 6222), ("mqtt", "10.0.0.1", 1883)],
        ),
        ({"leafnodes": {"remotes": [{"url": "nats://hub:7422"}]}}, [("clients", "0.0.0.0", 4222)]),
        ({"host": "127.0.0.1", "prof_port": 6060}, [("clients", "127.0.0.1", 4222), ("profiling", "127.0.0.1", 6060)]),
    ],
)
def test_endpoints_are_the_servers_own(config: Config, expected: list[tuple[str, str, int]]) -> None:
    found = [(endpoint.purpose, endpoint.host, endpoint.port) for endpoint in footprint.endpoints(config)]
    assert found == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, None),
        ({"host": "127.0.0.1", "http_port": 8222}, "http://127.0.0.1:8222"),
        ({"http_port": 8222}, "http://127.0.0.1:8222"),
        ({"host": "::1", "http_port": 8222}, "http://[::1]:8222"),
        ({"host": "127.0.0.1", "https_port": 8443, "http_base_path": "/nats/"}, "https://127.0.0.1:8443/nats"),
    ],
)
def test_monitoring_url(config: Config, expected: str | None) -> None:
    assert footprint.monitoring_url(config) == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, "nats://localhost:4222"),
        ({"host": "127.0.0.1", "port": 4333}, "nats://localhost:4333"),
        ({"host": "10.1.2.3"}, "nats://10.1.2.3:4222"),
        ({"host": "::1"}, "nats://[::1]:4222"),
        ({"listen": "127.0.0.1:4333"}, "nats://localhost:4333"),
        ({"listen": "[::]:4333"}, "nats://localhost:4333"),
        ({"port": -1}, None),
    ],
)
def test_client_url(config: Config, expected: str | None) -> None:
    assert footprint.client_url(config) == expected


@pytest.mark.parametrize(
    ("config", "local", "peers"),
    [
        ({"host": "127.0.0.1", "http_port": 8222}, True, False),
        ({"host": "localhost"}, True, False),
        ({"host": "::1"}, True, False),
        ({}, False, False),
        ({"host": "127.0.0.1", "http": "0.0.0.0:8222"}, False, False),
        ({"host": "127.0.0.1", "mqtt": {"port": 1883}}, False, False),
        ({"host": "127.0.0.1", "cluster": {"host": "127.0.0.1", "port": 6222}}, False, True),
        ({"host": "127.0.0.1", "leaf": {"remotes": [{"url": "nats://hub"}]}}, False, True),
        ({"host": "127.0.0.1", "resolver": "URL(https://accounts.example/jwt/v1/accounts/)"}, False, False),
    ],
)
def test_who_it_talks_to(config: Config, local: bool, peers: bool) -> None:
    assert (footprint.is_local(config), footprint.stop(config).signal == "USR2") == (local, peers)


@pytest.mark.parametrize(
    ("config", "timeout"),
    [
        ({"cluster": {"port": 6222}}, 150),
        ({"cluster": {"port": 6222}, "lame_duck_duration": "5m"}, 330),
        ({"lame_duck_duration": "5m"}, 90),
    ],
)
def test_a_server_is_killed_only_after_its_drain(config: Config, timeout: int) -> None:
    assert footprint.stop(config).timeout == timeout


def test_paths_say_what_has_to_be_there() -> None:
    config = {
        "log_file": "/var/log/nats/nats-server.log",
        "jetstream": {"storedir": "/var/lib/nats"},
        "tls": {"cert_file": "/etc/nats/server.pem", "key_file": "/etc/nats/server.key"},
    }
    found = {(path.option, path.required, path.need) for path in footprint.paths(config)}
    assert found == {
        ("log_file", "/var/log/nats", footprint.Need.PARENT),
        ("jetstream.store_dir", "/var/lib/nats", footprint.Need.DIRECTORY),
        ("tls.cert_file", "/etc/nats/server.pem", footprint.Need.FILE),
        ("tls.key_file", "/etc/nats/server.key", footprint.Need.FILE),
    }
    assert footprint.writable_directories(config) == ("/var/lib/nats", "/var/log/nats")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"store_dir": "/var/lib/nats/"}, {"store_dir": "/var/lib/nats"}),
        ({"jetstream": {"store": "/srv//bus/./nats//"}}, {"jetstream": {"store": "/srv/bus/nats"}}),
        ({"log_file": "//var/log/nats.log"}, {"log_file": "//var/log/nats.log"}),
        (
            {"leafnodes": {"remotes": [{"creds": "/a//b"}], "tls": {"cert_file": "./c"}}},
            {"leafnodes": {"remotes": [{"creds": "/a/b"}], "tls": {"cert_file": "c"}}},
        ),
        # a link may stand before what goes up
        ({"pid_file": "/run/link/../nats.pid"}, {"pid_file": "/run/link/../nats.pid"}),
        # no paths
        *(
            (config, config)
            for config in (
                {"mappings": {"log_file": "a//b"}, "log_file": "", "server_name": "a//"},
                {"store_dir": {"$variable": "HOME"}, "http_base_path": "/nats/", "accounts": ["a//"]},
            )
        ),
    ],
)
def test_a_path_has_one_spelling(config: Config, expected: Config) -> None:
    assert footprint.one_spelling(config) == expected
