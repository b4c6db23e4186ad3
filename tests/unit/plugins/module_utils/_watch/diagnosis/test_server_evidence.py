# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import pwd
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._data import asset_record, assets, lost_streams
from ansible_collections.rosey.nats.plugins.module_utils._data.asset_record import Book, proven_now
from ansible_collections.rosey.nats.plugins.module_utils._server import monitoring
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import server_evidence
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.server_evidence import Described
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import NotSeenError
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import fake_monitoring

NOBODY = pwd.getpwnam("nobody").pw_uid
SHOWN = (
    "LoadState=loaded\nActiveState=failed\nUser={user}\nExecStart={{ argv[]=/nowhere/nats-server -c /nowhere/x ; }}\n"
)


def described(directory: Path, service: str = "", monitoring_url: str | None = None) -> Described:
    files = (directory / "nats-server", directory / "nats-server.conf", directory / "nats-server.pid")
    return Described(service, "", "", "", *files, monitoring_url)


@pytest.mark.parametrize(
    ("user", "uid"), [("", 0), ("root", 0), (str(NOBODY), NOBODY), ("nobody", NOBODY), ("4294967290", None)]
)
def test_who_runs_a_server_is_what_its_unit_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str, uid: int | None
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    seen = server_evidence.look(described(tmp_path, "nats"), lambda _words: (0, SHOWN.format(user=user), ""))
    assert (seen.account and seen.account.uid) == uid


@pytest.mark.parametrize(("groups", "is_in"), [("", False), ("root", True), (f"{NOBODY} 0", True)])
def test_whoever_runs_a_server_is_in_the_groups_of_its_unit(tmp_path: Path, groups: str, is_in: bool) -> None:
    shown = f"SupplementaryGroups={groups}\n{SHOWN.format(user='nobody')}"
    seen = server_evidence.look(described(tmp_path, "nats"), lambda _words: (0, shown, ""))
    assert seen.account
    assert (0 in seen.account.groups) is is_in


def test_who_runs_a_server_without_a_unit_is_whoever_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    seen = server_evidence.look(described(tmp_path), lambda _words: (1, "", ""))
    assert seen.account
    assert seen.account.uid == 1000


def test_a_server_that_has_not_answered_is_not_asked_again(tmp_path: Path) -> None:
    with fake_monitoring() as fake:
        seen = server_evidence.look(described(tmp_path, monitoring_url=fake.url), lambda _words: (1, "", ""))
        assert isinstance(seen.monitor, monitoring.Monitor)
        assert seen.monitor.url == fake.url
    seen = server_evidence.look(described(tmp_path, monitoring_url=fake.url), lambda _words: (1, "", ""))
    assert isinstance(seen.monitor, NotSeenError)
    assert seen.monitor is seen.health


def test_streams_are_compared_where_some_were_proven(tmp_path: Path) -> None:
    def streams(container: str = "nats-dev") -> lost_streams.Comparison | NotSeenError | None:
        meant = replace(described(tmp_path, monitoring_url=fake.url), container=container, release_dir=tmp_path)
        return server_evidence.look(meant, lambda _words: (1, "", "")).streams

    with fake_monitoring() as fake:
        assert streams() is None
        Book(tmp_path).prove(proven_now(assets.of([assets.Stream("$G", "HISTORY", storage="file")])))
        found = streams()
        assert isinstance(found, lost_streams.Comparison)
        assert [lost.stream.name for lost in found.lost] == ["HISTORY"]
        # a server that does not run shows nothing; what this machine has on the usual port is another
        (tmp_path / "nats-server.conf").write_text("port: 1")
        assert streams(container="") is None
        fake.answers["/healthz"] = {"status": "error", "errors": [{"error": "failed to be ready for connections"}]}
        found = streams()
        assert isinstance(found, NotSeenError)
        assert found.what == f"{fake.url}/healthz"
    found = streams()
    assert isinstance(found, NotSeenError)
    assert "refused" in found.why
    (tmp_path / asset_record.PROVEN).write_text("no JSON")
    found = streams()
    assert isinstance(found, NotSeenError)
    assert found.what == f"{tmp_path}/assets.json"
