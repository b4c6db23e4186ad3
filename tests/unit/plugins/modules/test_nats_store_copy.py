# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._data import store, store_tree
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import fake_monitoring, jsz_of, stream_detail

RunModule = Callable[..., dict[str, Any]]
CHAT = {"account": "$G", "name": "CHAT", "messages": 10, "bytes": 900, "first_seq": 1, "last_seq": 10}


class Host:
    """A store, and the directory of its copies."""

    def __init__(self, root: Path, run_module: RunModule) -> None:
        self.run_module = run_module
        self.data = root / "store" / "jetstream"
        self.copies = root / "rosey" / "stores"
        self.arguments = {"store": str(root / "store"), "copies": str(self.copies)}

    def write(self, text: str) -> None:
        file = self.data / "$G" / "streams" / "CHAT" / "msgs" / "1.blk"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def copy(self, version: str = "2.10.7", **other: Any) -> dict[str, Any]:
        return self.run_module(
            "nats_store_copy", **{**self.arguments, "from_version": version, "to_version": "2.9.25", **other}
        )

    def report(self, **other: Any) -> dict[str, Any]:
        return self.run_module("nats_store_copy", copies=str(self.copies), state="reported", **other)


@pytest.fixture
def host(tmp_path: Path, run_module: RunModule) -> Host:
    return Host(tmp_path, run_module)


def test_a_store_is_copied_once(host: Host) -> None:
    host.write("hello")
    predicted = host.copy(check_mode=True, streams=[CHAT])
    assert (predicted["changed"], predicted["action"], predicted["copy"]) == (True, "copied", None)
    assert not host.copies.parent.exists()

    first = host.copy(streams=[CHAT])
    copy = first["copy"]
    assert (first["changed"], first["action"], first["reason"], first["removed"]) == (True, "copied", "", [])
    assert (copy["files"], copy["bytes"], copy["streams"]) == (1, 5, [CHAT])
    assert first["diff"] == {"before": "", "after": f"{copy['path']}\n"}
    assert predicted["copies"][0] | {"path": 0, "time": 0, "streams": 0} == copy | {"path": 0, "time": 0, "streams": 0}
    assert Path(copy["path"], "jetstream", "$G", "streams", "CHAT", "msgs", "1.blk").read_text() == "hello"

    again = host.copy(streams=[CHAT])
    assert (again["changed"], again["action"], again["copy"]) == (False, "none", copy)
    assert again["reason"] == f"{copy['path']} already holds what is in {host.data}"


@pytest.mark.parametrize("check_mode", [False, True])
def test_an_empty_store_is_said_to_be_empty(host: Host, check_mode: bool) -> None:
    result = host.copy(check_mode=check_mode)
    assert (result["changed"], result["action"], result["copy"], result["needed"]) == (False, "none", None, 0)
    assert result["reason"] == f"{host.data} is not there, so there is nothing to copy"


def test_old_copies_and_leftovers_are_removed(host: Host) -> None:
    paths = []
    for version in ("2.9.25", "2.10.6", "2.10.7"):
        host.write(version)
        paths.append(host.copy(version, keep=9)["copy"]["path"])
    second = Path(paths[1])
    older = second.rename(second.with_name("2.10.7-20200101T000000Z"))
    facts = (older / "copy.json").read_text().replace("2.10.6", "2.10.7").replace('"time": "2', '"time": "1')
    (older / "copy.json").write_text(facts)
    (host.copies / ".rosey-x").mkdir()
    gone = [str(host.copies / ".rosey-x"), str(older)]

    predicted = host.copy(keep=2, check_mode=True)
    assert (predicted["changed"], predicted["action"], predicted["removed"]) == (True, "none", gone)
    assert older.exists()

    result = host.copy(keep=2)
    assert (result["changed"], result["action"], result["removed"]) == (True, "none", gone)
    assert sorted(path.name for path in host.copies.iterdir()) == sorted(
        Path(path).name for path in (paths[0], paths[2])
    )
    assert host.copy(keep=2)["changed"] is False


def test_a_store_in_use_is_told_in_check_mode_and_refused_otherwise(host: Host) -> None:
    host.write("hello")
    file = host.data / "$G" / "streams" / "CHAT" / "msgs" / "1.blk"
    with file.open() as stream, subprocess.Popen(["sleep", "30"], stdin=stream) as child:
        stream.close()
        assert host.copy(check_mode=True)["users"] == [f"sleep (process {child.pid})"]
        refused = host.copy()
        child.kill()
    assert refused["failed"]
    assert f"{host.data} is in use by" in refused["msg"]
    assert store.list_copies(host.copies) == ([], [])


@pytest.mark.parametrize("check_mode", [False, True])
def test_without_space_nothing_is_begun(host: Host, monkeypatch: pytest.MonkeyPatch, check_mode: bool) -> None:
    class Full:
        f_bavail, f_frsize = 1, 4096

    host.write("hello")
    monkeypatch.setattr(os, "statvfs", lambda _path: Full)
    monkeypatch.setattr(store_tree, "can_reflink", lambda *_arguments: False)
    result = host.copy(check_mode=check_mode)
    assert result["failed"]
    assert "4 KiB are free; expected 64 MiB" in result["msg"]
    assert store.leftovers(host.copies) == []


def test_the_report_says_what_was_written_since(host: Host) -> None:
    host.write("hello")
    path = host.copy(streams=[CHAT])["copy"]["path"]
    now = [{**CHAT, "messages": 27, "last_seq": 27}, {**CHAT, "name": "NEW"}]
    result = host.report(to_version="2.10.29", streams=now)
    assert result["changed"] is False
    assert [copy["path"] for copy in result["copies"]] == [path]
    assert result["since"] == {
        "path": path,
        "lines": ["CHAT: 17 messages written since the copy", "NEW: new since the copy, with 10 messages"],
        "written": [{"account": "$G", "name": "CHAT", "count": 17}],
        "new": [now[1]],
        "gone": [],
    }
    assert host.report(streams=[])["since"]["gone"] == [CHAT]
    assert host.report(to_version="2.9.25", streams=now)["since"] is None
    assert host.report(to_version="2.10.7")["since"] is None


def test_the_report_asks_the_server(host: Host) -> None:
    host.write("hello")
    host.copy(streams=[CHAT])
    account = {"name": "$G", "stream_detail": [stream_detail("CHAT", 12)]}
    with fake_monitoring({"/jsz": jsz_of(account)}) as server:
        result = host.report(to_version="2.10.7", monitoring_url=server.url)
    assert result["streams"] == [{**CHAT, "messages": 12, "bytes": 120, "last_seq": 12}]
    assert result["since"]["lines"] == ["CHAT: 2 messages written since the copy"]


def test_without_copies_the_report_is_empty(host: Host) -> None:
    result = host.report(streams=[CHAT])
    assert (result["copies"], result["since"], result["streams"]) == ([], None, [CHAT])


def test_a_damaged_copy_is_warned_of(host: Host) -> None:
    (host.copies / "2.10.7-20251118T100000Z").mkdir(parents=True)
    result = host.report()
    assert result["copies"] == []
    assert "2.10.7-20251118T100000Z is no whole copy and is left alone" in str(result["warnings"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"from_version": "new"}, "version 'new' is no version of nats-server"),
        ({"to_version": "2.x"}, "version '2.x' is no version of nats-server"),
        ({"store": ""}, "store is ''; expected an absolute path"),
        ({"store": "store"}, "store is 'store'; expected an absolute path"),
        ({"keep": 0}, "keep is 0; expected at least 1"),
        ({"monitoring_url": "http://127.0.0.1:8222"}, "monitoring_url is given with state copied"),
        ({"state": "reported", "monitoring_url": "127.0.0.1"}, "the URL has to begin with http:// or https://"),
    ],
)
def test_bad_parameters(host: Host, arguments: dict[str, Any], message: str) -> None:
    host.write("hello")
    result = host.copy(**arguments)
    assert result["failed"]
    assert message in result["msg"]
