# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need
from ansible_collections.rosey.nats.plugins.module_utils._server import requirements
from ansible_collections.rosey.nats.plugins.module_utils._server.options import model, table

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
        ({"HERE": 4333, "port": {"$variable": "HERE"}}, [("clients", "0.0.0.0", 4333)]),
        ({"port": 0, "host": ""}, [("clients", "0.0.0.0", 4222)]),
        (
            {"port": 0, "host": "127.0.0.1", "http": ":8222"},
            [("clients", "127.0.0.1", 4222), ("monitoring", "127.0.0.1", 8222)],
        ),
        ({"cluster": {"port": 0}, "mqtt": {"listen": "a:0"}, "http_port": 0}, [("clients", "0.0.0.0", 4222)]),
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
    found = [(endpoint.purpose, endpoint.host, endpoint.port) for endpoint in requirements.endpoints(config)]
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
    assert requirements.monitoring_url(config) == expected


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
        ({"tls": {"cert_file": "/c", "key_file": "/k"}}, "tls://localhost:4222"),
        ({"tls": {"cert_file": "/c", "key_file": "/k"}, "allow_non_tls": True}, "nats://localhost:4222"),
        # nothing but a timeout is no TLS
        ({"tls": {"timeout": 3}}, "nats://localhost:4222"),
    ],
)
def test_client_url(config: Config, expected: str | None) -> None:
    assert requirements.client_url(config) == expected


@pytest.mark.parametrize(
    ("config", "local", "peers"),
    [
        ({"host": "127.0.0.1", "http_port": 8222}, True, False),
        ({"host": "localhost"}, True, False),
        ({"host": "::1"}, True, False),
        ({"host": "127.0.0.1", "remote_syslog": "udp://127.0.0.1:514"}, True, False),
        ({"host": "127.0.0.1", "remote_syslog": "udp://10.0.0.5:514"}, False, False),
        ({"host": "127.0.0.1", "ocsp": True}, False, False),
        ({"host": "127.0.0.1", "tls": {"ocsp_peer": {"verify": True}}}, False, False),
        ({"host": "127.0.0.1", "operator": "/etc/nats/operator.jwt"}, False, False),
        ({"host": {"$variable": "HOST"}}, False, False),
        ({"port": -1}, False, False),
        ({"host": ""}, False, False),
        ({}, False, False),
        ({"host": "127.0.0.1", "http": "0.0.0.0:8222"}, False, False),
        ({"host": "127.0.0.1", "mqtt": {"port": 1883}}, False, False),
        ({"host": "127.0.0.1", "cluster": {"host": "127.0.0.1", "port": 6222}}, False, True),
        ({"host": "127.0.0.1", "leaf": {"remotes": [{"url": "nats://hub"}]}}, False, True),
        ({"host": "127.0.0.1", "resolver": "URL(https://accounts.example/jwt/v1/accounts/)"}, False, False),
    ],
)
def test_who_it_talks_to(config: Config, local: bool, peers: bool) -> None:
    assert (requirements.is_local(config), requirements.stop(config).signal == "USR2") == (local, peers)


@pytest.mark.parametrize(
    ("config", "timeout"),
    [
        ({"cluster": {"port": 6222}}, 150),
        ({"cluster": {"port": 6222}, "lame_duck_duration": "5m"}, 330),
        ({"lame_duck_duration": "5m"}, 90),
    ],
)
def test_a_server_is_killed_only_after_its_drain(config: Config, timeout: int) -> None:
    assert requirements.stop(config).timeout == timeout


VARIABLE = {"$variable": "HERE"}


@pytest.mark.parametrize(
    ("config", "option"),
    [
        ({"port": VARIABLE, "http_port": 8222}, "port"),
        ({"listen": VARIABLE}, "listen"),
        ({"host": VARIABLE, "http_port": 8222}, "host"),
        ({"http_port": VARIABLE}, "http_port"),
        ({"https": VARIABLE}, "https"),
        ({"http_port": 8222, "http_base_path": VARIABLE}, "http_base_path"),
        ({"cluster": {"port": VARIABLE}}, "cluster.port"),
        ({"mqtt": {"net": VARIABLE, "port": 1883}}, "mqtt.host"),
        ({"prof_port": VARIABLE}, "prof_port"),
    ],
)
def test_an_address_that_a_variable_gives_is_named(config: Config, option: str) -> None:
    said = (
        f"{option}: $HERE is a variable; expected an address that is known before the server starts: the gate asks it "
        "there; write the value itself"
    )
    assert [str(problem) for problem in requirements.unknown(config)] == [said]
    assert [str(problem) for problem in requirements.problems(config)] == [said]
    with pytest.raises(requirements.UnknownError, match=re.escape(said)):
        requirements.monitoring_url(config)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"jetstream": "enabled"}, ["jetstream has no store_dir"]),
        ({"jetstream": {"max_mem": "1G"}}, ["jetstream has no store_dir"]),
        ({"jetstream": {"store_dir": ""}}, ["jetstream has no store_dir"]),
        ({"jetstream": {"store": "/srv/nats"}}, []),
        ({"jetstream": True, "storedir": "/srv/nats"}, []),
        ({"jetstream": {"enabled": False}}, []),
        ({"jetstream": True, "$include": "store.conf"}, []),
        ({"jetstream": {"store_dir": VARIABLE}}, ["jetstream.store_dir: $HERE is a variable"]),
        ({"log_file": VARIABLE, "tls": {"cert_file": VARIABLE}}, ["log_file: $HERE is a variable"]),
    ],
)
def test_what_the_roles_do_not_deploy(config: Config, expected: list[str]) -> None:
    found = [str(problem) for problem in requirements.problems(config)]
    assert [each.partition(";")[0] for each in found] == expected


def is_a_path(option: model.Option) -> bool:
    """Tell by its name and format whether an option is one that names a file or a directory."""
    named = re.search(r"(^|_)(dir|file|store)$|file_dir$|^credentials$", option.name)
    return bool(named) or any(form.format is model.Format.FILE for form in option.forms)


def test_each_option_that_names_a_path_says_what_has_to_be_there() -> None:
    rows = [option for option in table.OPTIONS if option.forms and option.kind is model.Kind.TEXT]
    assert [option.name for option in rows if is_a_path(option) != (option.need is not None)] == []


def test_no_path_is_missed() -> None:
    config = {
        "operator": "/etc/nats/operator.jwt",
        "resolver": {"type": "full", "dir": "/var/lib/nats/accounts"},
        "ocsp_cache": {"type": "local", "local_store": "/var/lib/nats/ocsp"},
        "leafnodes": {"remotes": [{"url": "nats://hub", "creds": "/etc/nats/hub.creds"}]},
        "ports_file_dir": "/run/nats",
        "pid_file": "/run/nats/pid",
    }
    assert {(path.option, path.need.name) for path in requirements.paths(config)} == {
        ("operator", "FILE"),
        ("resolver.dir", "DIRECTORY"),
        ("ocsp_cache.local_store", "DIRECTORY"),
        ("leafnodes.remotes.0.credentials", "FILE"),
        ("ports_file_dir", "DIRECTORY"),
        ("pid_file", "PARENT"),
    }
    assert requirements.writable_directories(config) == ("/run/nats", "/var/lib/nats/accounts", "/var/lib/nats/ocsp")
    assert not list(requirements.paths({"operator": "eyJhbGciOiJlZDI1NTE5In0.e30.c2ln"}))


def test_paths_say_what_has_to_be_there() -> None:
    config = {
        "log_file": "/var/log/nats/nats-server.log",
        "jetstream": {"storedir": "/var/lib/nats"},
        "tls": {"cert_file": "/etc/nats/server.pem", "key_file": "/etc/nats/server.key"},
    }
    found = {(path.option, path.required, path.need) for path in requirements.paths(config)}
    assert found == {
        ("log_file", "/var/log/nats", Need.PARENT),
        ("jetstream.store_dir", "/var/lib/nats", Need.DIRECTORY),
        ("tls.cert_file", "/etc/nats/server.pem", Need.FILE),
        ("tls.key_file", "/etc/nats/server.key", Need.FILE),
    }
    assert requirements.writable_directories(config) == ("/var/lib/nats", "/var/log/nats")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"store_dir": "/var/lib/nats/"}, {"store_dir": "/var/lib/nats"}),
        ({"jetstream": {"store": "/srv//bus/./nats//"}}, {"jetstream": {"store": "/srv/bus/nats"}}),
        ({"log_file": "//var/log/nats.log"}, {"log_file": "/var/log/nats.log"}),
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
    assert requirements.one_spelling(config) == expected


def test_what_the_server_made_and_writes_to_again() -> None:
    config = {
        "log_file": "/var//log/nats.log",
        "pid_file": "run/nats.pid",
        "ports_file_dir": "/run/nats",
        "jetstream": {"store_dir": "/var/lib/nats/"},
        "tls": {"cert_file": "/etc/nats/server.pem", "key_file": "/etc/nats/server.key"},
    }
    assert requirements.kept(config) == ("/run/nats.pid", "/var/lib/nats/jetstream", "/var/log/nats.log")
    assert requirements.kept({"log_file": "/dev/stdout", "pid_file": "/run/link/../nats.pid"}) == ()
    assert requirements.kept({"log_file": {"$variable": "LOG"}}) == ()


FILES = {"cert_file": "/c.pem", "key_file": "/k.pem"}
# of a block, where it has a port
BLOCK = {"host": "10.0.0.1", "port": 7000, "tls": FILES}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"http_port": 8222}, []),
        ({"tls": {}, "https_port": 8222}, []),
        ({"tls": FILES}, [("clients", "tls://127.0.0.1:4222", False)]),
        ({"tls": FILES, "host": "10.0.0.1"}, [("clients", "tls://10.0.0.1:4222", False)]),
        ({"tls": FILES, "listen": "[::1]:4333"}, [("clients", "tls://[::1]:4333", False)]),
        ({"tls": {**FILES, "handshake_first": True}}, [("clients", "tls://127.0.0.1:4222", True)]),
        ({"tls": {**FILES, "first": "on"}}, [("clients", "tls://127.0.0.1:4222", True)]),
        # these greet after a moment
        ({"tls": {**FILES, "handshake_first": "auto"}}, [("clients", "tls://127.0.0.1:4222", False)]),
        ({"tls": {**FILES, "handshake_first": "300ms"}}, [("clients", "tls://127.0.0.1:4222", False)]),
        ({"tls": {**FILES, "handshake_first": False}}, [("clients", "tls://127.0.0.1:4222", False)]),
        ({"tls": FILES, "http_port": 8222}, [("clients", "tls://127.0.0.1:4222", False)]),
        ({"tls": FILES, "prof_port": 6060}, [("clients", "tls://127.0.0.1:4222", False)]),
        (
            {"tls": FILES, "https": "10.0.0.1:8222"},
            [("clients", "tls://127.0.0.1:4222", False), ("monitoring", "tls://10.0.0.1:8222", True)],
        ),
        ({"leafnodes": BLOCK}, [("leafnodes", "tls://10.0.0.1:7000", False)]),
        ({"leafnodes": {**BLOCK, "tls": {**FILES, "first": True}}}, [("leafnodes", "tls://10.0.0.1:7000", True)]),
        ({"leafnodes": {"remotes": [{"url": "tls://hub", "tls": {"ca_file": "/ca.pem"}}]}}, []),
        ({"cluster": BLOCK}, [("cluster", "tls://10.0.0.1:7000", True)]),
        ({"gateway": {"name": "a", **BLOCK}}, [("gateway", "tls://10.0.0.1:7000", True)]),
        ({"mqtt": BLOCK}, [("mqtt", "tls://10.0.0.1:7000", True)]),
        ({"websocket": BLOCK}, [("websocket", "tls://10.0.0.1:7000", True)]),
        ({"websocket": {**BLOCK, "no_tls": True}}, []),
        ({"websocket": {**BLOCK, "port": -1}}, []),
    ],
)
def test_listeners_with_tls_are_named(config: Config, expected: list[tuple[str, str, bool]]) -> None:
    found = [(each.purpose, each.url, each.first) for each in requirements.tls_listeners(config)]
    assert found == expected


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        (FILES, ("/c.pem", "/k.pem")),
        ({"HERE": "/h.pem", **FILES, "cert_file": {"$variable": "NOWHERE"}}, (None, "/k.pem")),
        ({"$include": "tls.conf"}, (None, None)),
    ],
)
def test_files_that_are_not_known_are_left_out(tls: Config, expected: tuple[str | None, str | None]) -> None:
    (found,) = requirements.tls_listeners({"tls": tls})
    assert (found.cert_file, found.key_file) == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"http_port": 8222}, "http_port: .* \\(0.0.0.0\\).* Set http_port: null, and http: 127.0.0.1:8222, or"),
        ({"host": "10.0.0.1", "http": 8222}, "http: .* \\(10.0.0.1\\).* Set http_port: null, and http: 127.0.0.1:8222"),
        ({"host": "bus.example", "https_port": 8223}, "https_port: .* Set https_port: null, and https: 127.0.0.1:8223"),
        ({"host": "127.0.0.1", "http_port": 8222}, ""),
        ({"host": "localhost", "http_port": 8222}, ""),
        ({"host": "::1", "http_port": 8222}, ""),
        # somebody meant it
        ({"http": "0.0.0.0:8222"}, ""),
        ({"http": "127.0.0.1:8222"}, ""),
        ({}, ""),
        ({"tls": {"verify_and_map": True}}, "tls.verify_and_map: .* Use verify"),
        ({"websocket": {"tls": {"verify_and_map": True}}}, "websocket.tls.verify_and_map: "),
    ],
)
def test_what_it_is_weak_in_is_warned_of(config: Config, expected: str) -> None:
    found = requirements.warnings(config)
    assert len(found) == bool(expected)
    assert re.match(expected, "".join(found))


def test_each_weakness_is_a_warning_of_its_own() -> None:
    assert len(requirements.warnings({"http_port": 8222, "tls": {"verify_and_map": True}})) == 2
