# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._bus import remains
from ansible_collections.rosey.nats.plugins.module_utils._bus.remains import Account, Data
from ansible_collections.rosey.nats.plugins.module_utils._deploy.release import Part, Record

RELEASES = Path("/var/lib/rosey-nats")
CONFIG = "/etc/nats/nats-server.conf"
UNIT = "/etc/systemd/system/nats.service"
HOME = "/opt/rosey-bot/environments/production"
SERVER: dict[str, Any] = {
    "runtime": "systemd",
    "service": "nats",
    "user": "nats",
    "group": "nats",
    "version": "2.10.7",
    "directory": "/usr/local/lib/nats-server",
    "link": "/usr/local/bin/nats-server",
    "config_file": CONFIG,
    "data_dir": "/var/lib/nats",
}
TEXT = "log_file: /var/log/nats/nats-server.log\njetstream {\n  store_dir: /var/lib/nats\n}\n"


def directory(path: str, **more: str) -> dict[str, Any]:
    return {"path": path, "state": "directory", **more}


def file(path: str, content: str, name: str = "content") -> dict[str, Any]:
    return {"path": path, "state": "file", name: content}


DIRECTORIES = [directory("/etc/nats"), directory("/var/log/nats"), directory("/var/lib/nats")]
ENTRIES = [*DIRECTORIES, file(CONFIG, TEXT, "secret_content"), file(UNIT, "[Service]\n")]
BOT = [
    directory(HOME),
    {"path": f"{HOME}/config.yaml", "state": "section", "key": "nats", "content": "nats: {}\n", "reader": "bot"},
    {
        "path": f"{HOME}/secrets.env",
        "state": "variables",
        "variables": {"NATS_USER": "rosey"},
        "secret_variables": {"NATS_PASSWORD": "secret"},
        "mode": "0600",
    },
]
PLUGINS = [directory(f"{HOME}/plugins", manifest=".rosey-nats"), file(f"{HOME}/plugins/quotes.yaml", "name: quotes\n")]


def record(**parts: Part) -> Record:
    return Record(id="20260131T120000Z-3f2a9c", time="2026-01-31T12:00:00Z", controller="here-1", parts=parts)


def server(entries: list[dict[str, Any]] | None = None, **changes: Any) -> Part:
    return Part({**SERVER, **changes}, ENTRIES if entries is None else entries)


def test_a_release_tells_what_was_put_there() -> None:
    plugins = Part({"plugins": [{"name": "quotes", "subscriptions": []}]}, PLUGINS)
    found = remains.of([record(server=server(), bot=Part({"mode": "nats"}, BOT), plugins=plugins)], RELEASES)
    assert found.files == {
        CONFIG: {TEXT},
        UNIT: {"[Service]\n"},
        f"{HOME}/plugins/quotes.yaml": {"name: quotes\n"},
    }
    assert found.units == (UNIT,)
    assert found.manifests == {f"{HOME}/plugins": ".rosey-nats"}
    assert found.links == ("/usr/local/bin/nats-server",)
    assert found.programs == ("/usr/local/lib/nats-server/2.10.7",)
    assert found.directories == {
        *(each["path"] for each in DIRECTORIES),
        HOME,
        f"{HOME}/plugins",
        "/usr/local/lib/nats-server",
    }
    assert found.data == Data(
        stores=("/var/lib/nats",),
        logs=("/var/log/nats/nats-server.log",),
        directories=("/var/log/nats", "/var/lib/nats"),
        copies=("/var/lib/rosey-nats/stores",),
        accounts=(Account("nats", "nats", "/var/lib/nats"),),
    )


def test_a_part_of_a_file_is_taken_out_by_name_and_no_secret_is_in_that() -> None:
    older = [{**BOT[2], "secret_variables": {"NATS_TOKEN": "another"}}]
    found = remains.of([record(bot=Part({}, BOT)), record(bot=Part({}, older))], RELEASES)
    assert found.parts_of_files == (
        {"path": f"{HOME}/config.yaml", "state": "section", "key": "nats", "content": ""},
        {
            "path": f"{HOME}/secrets.env",
            "state": "variables",
            "variables": {"NATS_USER": None, "NATS_PASSWORD": None, "NATS_TOKEN": None},
        },
    )


OLDER = "/etc/nats/older.conf"


@pytest.mark.parametrize(
    ("name", "older", "expected"),
    [
        # a file that the newest release does not have any more
        ("files", server([file(OLDER, "")]), {CONFIG, UNIT, OLDER}),
        ("programs", server(version="2.9.25"), {f"/usr/local/lib/nats-server/{each}" for each in ("2.10.7", "2.9.25")}),
        ("links", server(link="/opt/nats-server"), {"/usr/local/bin/nats-server", "/opt/nats-server"}),
        # what is meant not to be there was never put there
        ("files", server([{"path": OLDER, "state": "absent"}]), {CONFIG, UNIT}),
        # nor what is only given to an account
        ("files", server([{"path": OLDER, "state": "owned", "owner": "nats"}]), {CONFIG, UNIT}),
        # a container brings its own program
        ("links", server(runtime="docker", container="one", link="/opt/nats-server"), {"/usr/local/bin/nats-server"}),
    ],
)
def test_what_an_older_release_had_was_put_there_as_well(name: str, older: Part, expected: set[str]) -> None:
    found = remains.of([record(server=server()), record(server=older)], RELEASES)
    assert {*getattr(found, name)} == expected


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        # a store elsewhere, whose directory was not made here
        (
            server([file(CONFIG, "jetstream: {store_dir: /srv/store}\n")]),
            Data(stores=("/srv/store",), copies=("/var/lib/rosey-nats/stores",)),
        ),
        # what can't be read says nothing: a store is looked for where it is by default
        (server([file(CONFIG, "{{{")]), Data(stores=("/var/lib/nats",), copies=("/var/lib/rosey-nats/stores",))),
        # the paths of a container are its own
        (
            server(runtime="docker", container="nats-dev"),
            Data(copies=("/var/lib/rosey-nats/stores",), volumes=("nats-dev",)),
        ),
        # a path that goes up is somewhere else than it seems
        (
            server([file(CONFIG, "log_file: /var/log/../log/nats.log\n")]),
            Data(stores=("/var/lib/nats",), copies=("/var/lib/rosey-nats/stores",)),
        ),
    ],
)
def test_data_is_where_the_configuration_says(part: Part, expected: Data) -> None:
    found = remains.of([record(server=part)], RELEASES).data
    accounts = () if part.settings["runtime"] == "docker" else (Account("nats", "nats", "/var/lib/nats"),)
    assert found == Data(**{**vars(expected), "accounts": accounts})


def test_a_process_is_known_by_its_pid_file() -> None:
    own = server(runtime="process", pid_file="/home/a/nats-server.pid")
    found = remains.of([record(server=own)], RELEASES)
    assert found.pid_files == ("/home/a/nats-server.pid", "/home/a/nats-server.out")
    assert found.data.accounts == ()


def test_each_instance_is_told_once_as_the_newest_release_has_it() -> None:
    newest, old = server(version="2.10.7"), server(version="2.9.25")
    other = server(service="another")
    found = remains.of([record(server=each) for each in (newest, old, other)], RELEASES).servers
    assert [(each["service"], each["version"]) for each in found] == [("nats", "2.10.7"), ("another", "2.10.7")]


def test_data_that_was_kept_is_known_again() -> None:
    data = remains.of([record(server=server())], RELEASES).data
    assert remains.of([], RELEASES, data.as_body()).data == data
    assert remains.read_kept(data.as_body()) == data
    with pytest.raises((KeyError, TypeError, ValueError)):
        remains.read_kept({**data.as_body(), "accounts": [{"user": 1}]})


def test_the_bot_without_nats_has_neither_section_nor_login_nor_plugins() -> None:
    plugins = Part({"plugins": [{"name": "quotes", "subscriptions": ["commands.quote"]}]}, PLUGINS)
    found = remains.of([record(bot=Part({"mode": "nats", "home": "/opt/rosey-bot"}, BOT), plugins=plugins)], RELEASES)
    bot, its_plugins = remains.without_nats(found)
    assert bot["settings"] == {"mode": "legacy", "home": "/opt/rosey-bot"}
    assert bot["entries"] == [
        directory(HOME),
        {"path": f"{HOME}/config.yaml", "state": "section", "key": "nats", "content": "", "reader": "bot"},
        {
            "path": f"{HOME}/secrets.env",
            "state": "variables",
            "variables": {"NATS_USER": None, "NATS_PASSWORD": None},
            "mode": "0600",
        },
    ]
    # what the list of the directory names goes with it
    assert its_plugins == {"name": "plugins", "settings": {"plugins": []}, "entries": [PLUGINS[0]]}
    assert remains.without_nats(remains.of([record(server=server())], RELEASES)) == []
