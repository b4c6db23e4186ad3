# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import hardening, service, unit_checks, unit_file
from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need, NeededPath

MEANT = unit_file.parse("[Service]\nUser=nats\nExecStart=/usr/local/bin/nats-server -c /etc/nats/nats-server.conf\n")
FILE = "/etc/systemd/system/nats.service.d/override.conf"


def overridden(text: str, role: str = "nats_server") -> list[str]:
    drop_ins = unit_file.parse(f"[Service]\n{text}", FILE)
    return list(unit_checks.overridden(role, MEANT, drop_ins, unit_checks.SERVER_SETTINGS))


def test_another_account_can_be_meant_by_a_variable() -> None:
    assert overridden("User=root") == [
        f"The drop-in {FILE} sets User=root, and the unit that is meant has User=nats. A restart can't bring what is "
        "meant as long as that is there. Take it out of the drop-in, or remove the file, or set nats_server_user: "
        "root; then run again."
    ]
    assert "or set bot_config_owner: root;" in overridden("User=root", "bot_config")[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ExecStart=\nExecStart=/x --pass spoon", "sets ExecStart=/x --pass ********, and the unit that is meant has"),
        ("DynamicUser=yes", "the unit that is meant has no DynamicUser."),
        ("KillSignal=SIGKILL", "sets KillSignal=SIGKILL"),
    ],
)
def test_what_contradicts_the_unit_is_named_without_secrets(text: str, expected: str) -> None:
    (said,) = overridden(text)
    assert expected in said
    assert "spoon" not in said


@pytest.mark.parametrize("text", ["LimitNOFILE=9", "Environment=A=b", "ReadWritePaths=/srv", "User=nats", "Nice=5"])
def test_what_harms_nothing_is_let_be(text: str) -> None:
    assert overridden(text) == []


def test_drop_ins_are_named_by_their_files() -> None:
    found = unit_file.parse("[Unit]\nAfter=x\n[Service]\nNice=5", FILE) + unit_file.parse("[Service]\nA=b", "/z.conf")
    assert unit_checks.told(found) == [f"{FILE} sets After=x, Nice=5", "/z.conf sets A=b"]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (service.Service(True, True, None), None),
        (service.Service(False, False, None), None),
        (service.Service(False, False, None, masked="/etc/x"), "is masked (/etc/x), so that nothing can start it. "),
        (service.Service(True, True, None, broken="It has no ExecStart=."), "systemd says: It has no ExecStart=. "),
    ],
)
def test_a_unit_that_nothing_can_start_is_told(found: service.Service, expected: str | None) -> None:
    said = unit_checks.not_startable("nats", found)
    assert (said is None) if expected is None else (said and expected in said and "nats" in said)


def test_a_path_out_of_reach_is_told_with_what_to_do() -> None:
    settings = unit_file.parse("[Service]\nPrivateTmp=true\n")
    paths = [
        NeededPath("log_file", "/var/log/x", Need.PARENT),
        NeededPath("jetstream.store_dir", "/tmp/nats", Need.DIRECTORY),
    ]
    assert list(unit_checks.out_of_reach(settings, paths)) == [
        "jetstream.store_dir: /tmp/nats: PrivateTmp=true of the unit gives the service a /tmp of its own, which is "
        "gone with the service, and nats-server needs a directory that the server can write to. Name another "
        "directory, such as one in /var/lib or /var/log, or leave it out: nats_server_hardening: without_namespaces."
    ]


def test_what_a_host_can_not_apply_is_told_with_the_level_that_it_can() -> None:
    faults = [hardening.Fault("PrivateUsers=true", "no"), hardening.Fault("PrivateIPC=true", "no")]
    said = unit_checks.not_applied("nats", faults) or ""
    assert said.startswith("nats.service: this host can't apply PrivateUsers=true, PrivateIPC=true (systemd says: no).")
    assert (
        "Set nats_server_hardening: without_namespaces (systemd-analyze security: 3.0, where all of it has 0.9)" in said
    )


def test_what_no_level_leaves_out_is_of_a_drop_in() -> None:
    said = unit_checks.not_applied("nats", [hardening.Fault("UMask=0077", "no")]) or ""
    assert "nats_server_hardening" not in said
    assert "drop-in" in said


def test_a_host_that_can_apply_all_is_told_nothing() -> None:
    assert unit_checks.not_applied("nats", []) is None
