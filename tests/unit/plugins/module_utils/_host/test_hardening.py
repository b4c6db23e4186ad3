# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._host import hardening, unit_file
from ansible_collections.rosey.nats.plugins.module_utils._host.hardening import Level
from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need, NeededPath


def lines(level: Level, *writable: str, is_local: bool = True) -> list[str]:
    return [str(each) for each in hardening.directives(level, writable, is_local=is_local)]


@pytest.mark.parametrize(
    ("level", "there", "gone"),
    [
        (Level.FULL, "PrivateUsers=true", "nothing"),
        (Level.WITHOUT_USER_NAMESPACES, "PrivateTmp=true", "PrivateUsers=true"),
        (Level.WITHOUT_NAMESPACES, "NoNewPrivileges=true", "PrivateTmp=true"),
        (Level.NONE, "UMask=0077", "NoNewPrivileges=true"),
    ],
)
def test_each_level_has_less_than_the_one_before(level: Level, there: str, gone: str) -> None:
    found = lines(level)
    assert there in found
    assert gone not in found
    better = list(Level)[: list(Level).index(level)]
    assert all(set(found) < set(lines(each)) for each in better)
    assert all(
        hardening.score(level, is_local=local) > hardening.score(each, is_local=local)
        for each in better
        for local in (True, False)
    )


def test_a_sandbox_fits_what_the_server_does() -> None:
    assert [each for each in lines(Level.FULL, "/b b", "/a%") if "Paths" in each] == [
        'ReadWritePaths="/a%%"',
        'ReadWritePaths="/b b"',
    ]
    assert "IPAddressDeny=any" in lines(Level.FULL)
    assert "IPAddressDeny=any" not in lines(Level.FULL, is_local=False)
    assert "RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK" in lines(Level.FULL, is_local=False)


class Host:
    """A host that can't apply some settings, or not all of some together."""

    def __init__(self, *faults: str, together: Sequence[str] = ()) -> None:
        self.faults, self.together, self.attempts = set(faults), set(together), 0

    def __call__(self, settings: Sequence[str]) -> str:
        self.attempts += 1
        given = set(settings)
        both = bool(self.together) and self.together <= given
        return "Failed to set it up" if self.faults & given or both else ""


SETTINGS = [f"Setting{number}=yes" for number in range(20)]


@given(st.sets(st.sampled_from(SETTINGS)))
def test_just_the_settings_at_fault_are_found(faults: set[str]) -> None:
    found = hardening.faults(SETTINGS, Host(*faults))
    assert [fault.setting for fault in found] == [each for each in SETTINGS if each in faults]
    assert {fault.words for fault in found} <= {"Failed to set it up"}


def test_of_settings_that_fail_together_one_is_left_out() -> None:
    found = hardening.faults(SETTINGS, Host(together=SETTINGS[3:6]))
    assert [fault.setting for fault in found] == [SETTINGS[5]]


def test_a_host_that_can_do_all_is_asked_once() -> None:
    host = Host()
    assert hardening.faults(SETTINGS, host) == ()
    assert host.attempts == 1


def test_where_nothing_can_be_started_no_setting_is_at_fault() -> None:
    assert hardening.faults(SETTINGS, lambda _settings: "Failed at step USER") == ()


def test_a_trial_does_without_what_is_still_to_be_made() -> None:
    unit = '[Unit]\nAfter=x\n[Service]\nUser=nats\nReadWritePaths="/var/my lib" +/a%%\nPrivateTmp=true\nExecStart=/x'
    assert hardening.to_try(unit_file.parse(unit)) == ('ReadWritePaths="-/var/my lib" "-+/a%"', "PrivateTmp=true")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["PrivateUsers"], Level.WITHOUT_USER_NAMESPACES),
        (["ProtectSystem"], Level.WITHOUT_NAMESPACES),
        (["PrivateUsers", "PrivateIPC"], Level.WITHOUT_NAMESPACES),
        (["SystemCallFilter"], Level.NONE),
        (["UMask"], None),
        ([], Level.FULL),
    ],
)
def test_the_level_that_leaves_out_no_more_than_it_has_to(names: list[str], expected: Level | None) -> None:
    assert hardening.level_without(names) is expected


FULL = unit_file.parse("[Service]\n" + "\n".join(lines(Level.FULL, "/var/lib/nats", "/srv/my data")))


@pytest.mark.parametrize(
    ("path", "need", "expected"),
    [
        ("/var/lib/nats", Need.DIRECTORY, None),
        ("/var/lib/nats/jetstream", Need.DIRECTORY, None),
        ("/srv/my data/x.log", Need.PARENT, None),
        ("/dev/stdout", Need.PARENT, None),
        ("/etc/ssl/nats.pem", Need.FILE, None),
        ("/srv/my", Need.DIRECTORY, "ProtectSystem=strict"),
        ("/var/lib/nats2", Need.DIRECTORY, "ProtectSystem=strict"),
        ("logs/x.log", Need.PARENT, "ProtectSystem=strict"),
        ("/tmp/nats", Need.DIRECTORY, "PrivateTmp=true"),
        ("/tmp", Need.DIRECTORY, "PrivateTmp=true"),
        ("/var/tmp/x.pid", Need.PARENT, "PrivateTmp=true"),
        ("/tmp/cert.pem", Need.FILE, "PrivateTmp=true"),
        ("/tmpfs/x", Need.FILE, None),
        ("/home/x/nats.log", Need.PARENT, "ProtectHome=true"),
        ("/root/cert.pem", Need.FILE, "ProtectHome=true"),
        ("/run/user/7/x", Need.DIRECTORY, "ProtectHome=true"),
        ("/home2/cert.pem", Need.FILE, None),
    ],
)
def test_what_the_sandbox_keeps_a_server_from(path: str, need: Need, expected: str | None) -> None:
    found = hardening.obstacle(lambda name: unit_file.value(FULL, name), NeededPath("x", path, need))
    assert (found and found.directive) == expected


@pytest.mark.parametrize(
    ("settings", "path", "need", "expected"),
    [
        ({}, "/home/x", Need.DIRECTORY, None),
        # as systemctl shows it
        ({"ProtectHome": "yes"}, "/home/x", Need.FILE, "ProtectHome=yes"),
        ({"ProtectHome": "no"}, "/home/x", Need.FILE, None),
        ({"ProtectHome": "read-only"}, "/home/x", Need.FILE, None),
        ({"ProtectHome": "read-only"}, "/home/x", Need.DIRECTORY, "ProtectHome=read-only"),
        ({"ProtectHome": "read-only", "ReadWritePaths": "/home/x"}, "/home/x", Need.DIRECTORY, None),
        ({"ProtectHome": "tmpfs"}, "/home/x", Need.FILE, "ProtectHome=tmpfs"),
        ({"PrivateTmp": "no"}, "/tmp/x", Need.DIRECTORY, None),
        ({"InaccessiblePaths": "-/srv /x"}, "/srv/y", Need.FILE, "InaccessiblePaths=/srv"),
        ({"TemporaryFileSystem": "/srv:ro"}, "/srv/y", Need.FILE, "TemporaryFileSystem=/srv"),
        ({"ProtectSystem": "full"}, "/etc/nats", Need.DIRECTORY, "ProtectSystem=full"),
        ({"ProtectSystem": "full"}, "/srv/nats", Need.DIRECTORY, None),
        ({"ProtectSystem": "yes"}, "/usr/nats", Need.DIRECTORY, "ProtectSystem=yes"),
        ({"ProtectSystem": "yes"}, "/etc/nats", Need.DIRECTORY, None),
        ({"ProtectSystem": "strict", "StateDirectory": "nats"}, "/var/lib/nats/x", Need.DIRECTORY, None),
        ({"ProtectSystem": "strict", "ReadWritePaths": "-/srv"}, "/srv/x", Need.DIRECTORY, None),
        ({"ProtectSystem": "strict"}, "/tmp/x", Need.DIRECTORY, None),
    ],
)
def test_what_another_unit_keeps_a_server_from(
    settings: dict[str, str], path: str, need: Need, expected: str | None
) -> None:
    found = hardening.obstacle(lambda name: settings.get(name, ""), NeededPath("x", path, need))
    assert (found and found.directive) == expected


def test_a_link_does_not_lead_out_of_the_sandbox() -> None:
    def resolve(path: str) -> str:
        return path.replace("/data", "/home/data")

    found = hardening.obstacle(lambda name: unit_file.value(FULL, name), NeededPath("x", "/data/x", Need.FILE), resolve)
    assert found == hardening.Obstacle("ProtectHome=true", "hides /home from the service")
