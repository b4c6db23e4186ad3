# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of an account before it runs a server; what a real server then does is tried among the integration."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import access, system
from ansible_collections.rosey.nats.plugins.module_utils._host.access import Step
from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need, NeededPath
from ansible_collections.rosey.nats.plugins.module_utils._host.system import NO_ID, Account
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import compare, ownership

NATS = Account("nats", "nats", 990, 990, frozenset({990, 12}))
TO_BE = Account("rosey-to-be", "rosey-to-be", NO_ID, NO_ID, frozenset({NO_ID}))
ROOT = Account("root", "root", 0, 0, frozenset({0}))
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another account")


def step(path: str, mode: int = 0o755, uid: int = 0, gid: int = 0, kind: int = stat.S_IFDIR) -> Step:
    return Step(Path(path), "x:x", kind, uid, gid, mode)


class Host:
    """A host with these steps alone; those below a described directory that are not named are missing."""

    def __init__(self, *found: Step) -> None:
        self._found = {each.path: each for each in (step("/"), *found)}

    def __call__(self, path: Path, _now: Step | None) -> Step | None:
        return self._found.get(path)


def told(host: Host, wanted: NeededPath) -> list[str]:
    return [each.refusal for each in access.faults([wanted], NATS, host)]


FILE, DIRECTORY, PARENT = Need.FILE, Need.DIRECTORY, Need.PARENT


@pytest.mark.parametrize(
    ("host", "wanted", "fault", "remedy"),
    [
        (
            Host(step("/home", 0o700)),
            NeededPath("log_file", "/home/logs/x.log", PARENT),
            "nats may not pass /home; /home is of x:x with mode 0700.",
            "chmod o+x /home",
        ),
        (
            Host(step("/var"), step("/var/log")),
            NeededPath("log_file", "/var/log/x.log", PARENT),
            "nats may not write to /var/log; /var/log is of x:x with mode 0755.",
            "install -o nats -g nats -m 0640 /dev/null /var/log/x.log",
        ),
        (
            Host(step("/var"), step("/var/nats")),
            NeededPath("log_file", "/var/nats/x.log", PARENT),
            "nats may not write to /var/nats; /var/nats is of x:x with mode 0755.",
            "chown nats:nats /var/nats",
        ),
        (
            Host(step("/var"), step("/var/nats", uid=990), step("/var/nats/x.log", uid=990)),
            NeededPath("log_file", "/var/nats/x.log", PARENT),
            "/var/nats/x.log is a directory, and nats-server needs a file that the server can write to.",
            "move it away",
        ),
        (
            Host(step("/var"), step("/var/nats", 0o700), step("/var/nats/jetstream", uid=990)),
            NeededPath("jetstream.store_dir", "/var/nats", DIRECTORY, "jetstream"),
            "nats may not pass /var/nats; /var/nats is of x:x with mode 0700.",
            "chown -R nats:nats /var/nats",
        ),
        (
            Host(step("/var"), step("/var/nats", 0o500, uid=990)),
            NeededPath("jetstream.store_dir", "/var/nats", DIRECTORY, "jetstream"),
            "nats may not write to /var/nats; /var/nats is of x:x with mode 0500.",
            "chmod -R u+rwX /var/nats",
        ),
        (
            Host(step("/key.pem", 0o640, kind=stat.S_IFREG)),
            NeededPath("tls.key_file", "key.pem", FILE),
            "nats may not read /key.pem; /key.pem is of x:x with mode 0640. A relative path begins at /, where the "
            "server is started.",
            "chgrp nats /key.pem && chmod g+r /key.pem",
        ),
        (
            Host(step("/var")),
            NeededPath("ports_file_dir", "/var/ports", DIRECTORY),
            "this host has no /var/ports, and nats-server needs a directory that the server can write to.",
            "install -d -o nats -g nats -m 0750 /var/ports",
        ),
    ],
)
def test_a_refusal_says_what_to_do(host: Host, wanted: NeededPath, fault: str, remedy: str) -> None:
    assert told(host, wanted) == [f"{wanted.option}: {wanted.path}: {fault} Mend it: {remedy}; or name another place."]


@pytest.mark.parametrize(
    "wanted",
    [NeededPath("log_file", "/dev/stderr", PARENT), NeededPath("tls.key_file", "/key.pem", FILE)],
    ids=["a device", "a file of one of its groups"],
)
def test_what_the_account_may_reach_is_no_fault(wanted: NeededPath) -> None:
    assert told(Host(step("/key.pem", 0o640, gid=12, kind=stat.S_IFREG)), wanted) == []


def test_each_directory_that_is_closed_is_told_also_where_only_a_link_is_in_it(tmp_path: Path) -> None:
    """As certbot leaves it; what is behind a closed directory is judged, too."""
    live, archive = tmp_path / "live", tmp_path / "archive"
    for made in (live, archive):
        made.mkdir()
    file = archive / "key1.pem"
    file.touch()
    (live / "key.pem").symlink_to("../archive/key1.pem")
    closed = {live: 0o700, archive: 0o700, file: 0o600}

    def outcome(path: Path, now: Step | None) -> Step | None:
        return now and step(str(path), closed.get(path, 0o755), kind=now.kind)

    wanted = NeededPath("tls.key_file", str(live / "key.pem"), FILE)
    found = access.faults([wanted], NATS, outcome)
    assert [each.remedy for each in found] == [
        f"chmod o+x {live}",
        f"chmod o+x {archive}",
        f"chgrp nats {file} && chmod g+r {file}",
    ]


def at(directory: Path, need: Need, name: str) -> NeededPath:
    path = str(directory / name)
    return NeededPath("log_file", path, need) if need is PARENT else NeededPath("store_dir", path, need, "jetstream")


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        # a directory that is going to be the account's, with what is in it
        ([{"path": "{d}/logs", "state": "directory", "mode": "0750", "owner": TO_BE.name, "group": TO_BE.name}], None),
        ([{"path": "{d}/logs", "state": "directory", "mode": "0755"}], access.Kind.FORBIDDEN),
        (
            [{"path": "{d}/logs", "state": "directory", "mode": "0755", "owner": "rosey-of-others"}],
            access.Kind.FORBIDDEN,
        ),
        ([{"path": "{d}/logs/deep", "state": "directory", "mode": "0700", "owner": TO_BE.name}], access.Kind.FORBIDDEN),
        ([], access.Kind.MISSING),
    ],
)
def test_what_a_deployment_makes_counts(
    tmp_path: Path, entries: list[dict[str, Any]], fault: access.Kind | None
) -> None:
    for above in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        above.chmod(0o755)
    given = [{**entry, "path": entry["path"].format(d=tmp_path)} for entry in entries]
    outcome = ownership.outcome(compare.compare(given), TO_BE)
    found = access.faults([at(tmp_path, PARENT, "logs/x.log")], TO_BE, outcome)
    assert [each.kind for each in found] == ([fault] if fault else [])


@needs_root
def test_what_a_deployment_gives_the_account_counts(tmp_path: Path) -> None:
    nobody = system.account("nobody")
    for above in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        above.chmod(0o755)
    store = tmp_path / "store" / "jetstream"
    store.mkdir(parents=True, mode=0o700)
    (store / "meta").touch(0o600)
    wanted = [at(tmp_path, DIRECTORY, "store")]
    assert [each.kind for each in access.faults(wanted, nobody)] == [access.Kind.FORBIDDEN]
    entry = {"path": str(store.parent), "state": "directory", "mode": "0700", "owner": "nobody", "recurse": True}
    assert access.faults(wanted, nobody, ownership.outcome(compare.compare([entry]), nobody)) == []
    (store / "meta").chmod(0)  # which a new owner alone does not mend
    [found] = access.faults(wanted, nobody, ownership.outcome(compare.compare([entry]), nobody))
    assert found.where == store / "meta"


@needs_root
def test_the_kernel_is_asked_as_the_account_alone() -> None:
    nobody = system.account("nobody")
    with access.asking(nobody) as ask:
        assert ask is not None
        assert ask([("/", os.W_OK), ("/", os.X_OK), ("/root/x", os.F_OK)]) == [False, True, False]
    assert os.geteuid() == 0
    with access.asking(TO_BE) as ask:
        assert ask is None


def test_an_account_that_is_not_there_yet_owns_nothing() -> None:
    assert system.account_to_be("root") == system.account("root")
    found = system.account_to_be(TO_BE.name, "", ["root", "no-such-group"])
    assert (found.uid, found.gid, found.groups) == (NO_ID, NO_ID, {NO_ID, 0})
    assert system.account_to_be("root", "no-such-group").uid == 0


@pytest.mark.parametrize(
    ("owner", "mode", "asked", "permitted"),
    [
        ((990, 0), 0o600, os.R_OK | os.W_OK, True),
        ((990, 0), 0o400, os.W_OK, False),
        ((990, 990), 0o077, os.R_OK, False),
        ((0, 990), 0o640, os.R_OK, True),
        ((0, 12), 0o640, os.R_OK, True),
        ((0, 990), 0o640, os.W_OK, False),
        ((0, 0), 0o640, os.R_OK, False),
        ((0, 0), 0o644, os.R_OK, True),
        ((0, 0), 0o744, os.X_OK, False),
        ((0, 0), 0o755, os.R_OK | os.X_OK, True),
    ],
)
def test_a_mode_permits_what_the_kernel_would(owner: tuple[int, int], mode: int, asked: int, permitted: bool) -> None:
    step = Step(Path("/x"), "x:x", stat.S_IFREG, *owner, mode)
    assert step.permits(NATS, asked) is permitted
    assert step.permits(ROOT, asked)


def test_an_access_list_may_permit_what_the_mode_does_not() -> None:
    assert Step(Path("/x"), "x:x", stat.S_IFREG, 0, 0, 0o600, has_acl=True).permits(NATS, os.R_OK)


def test_the_parts_of_a_path_are_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(mode=0o750)
    (tmp_path / "link").symlink_to("there")
    found = access.steps(tmp_path / "link" / "not" / "there")
    assert [step.path for step in found] == [*reversed(tmp_path.resolve().parents), tmp_path, tmp_path / "there"]
    assert (found[-1].kind, found[-1].mode, found[-1].uid) == (stat.S_IFDIR, 0o750, os.geteuid())
    assert str(found[0]) == f"/ is of root:root with mode {found[0].mode:04o}"
