# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action
from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need
from ansible_collections.rosey.nats.plugins.module_utils._server import read_files
from ansible_collections.rosey.nats.plugins.module_utils._server.options.table import OPTIONS

TLS = {"cert_file": "/c.pem", "key_file": "/k.pem"}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, []),
        ({"log_file": "/n.log", "pid_file": "/n.pid", "jetstream": {"store_dir": "/s"}}, []),
        (
            {"TLS": {**TLS, "ca_file": "/ca.pem"}},
            [
                ("tls.cert_file", "/c.pem", Action.RELOAD),
                ("tls.key_file", "/k.pem", Action.RELOAD),
                ("tls.ca_file", "/ca.pem", Action.RELOAD),
            ],
        ),
        (
            {"leafnodes": {"remotes": [{"url": "nats://h", "creds": "a/../b.creds", "tls": {"ca_file": "/ca.pem"}}]}},
            [
                ("leafnodes.remotes.0.credentials", "/b.creds", Action.RESTART),
                ("leafnodes.remotes.0.tls.ca_file", "/ca.pem", Action.RELOAD),
            ],
        ),
        ({"operator": "/o.jwt"}, [("operator", "/o.jwt", Action.RESTART)]),
        ({"C": "/c.pem", "tls": {"cert_file": {"$variable": "C"}}}, [("tls.cert_file", "/c.pem", Action.RELOAD)]),
        ({"tls": {"cert_file": {"$variable": "NOWHERE"}}}, []),
    ],
)
def test_files_and_what_takes_them_up(config: dict[str, Any], expected: list[tuple[str, str, Action]]) -> None:
    assert list(read_files.named(config)) == [read_files.ReadFile(*each) for each in expected]


def test_every_option_that_names_a_file_to_be_read_is_in_the_table() -> None:
    assert {(each.block, each.name) for each in OPTIONS if each.need is Need.FILE} == {*read_files.TAKEN_UP}
