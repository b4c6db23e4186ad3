# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is no change: another spelling of a value or a path, a comment. The server goes on undisturbed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ansible_collections.rosey.nats.plugins.module_utils._server import conf

if TYPE_CHECKING:
    from .conftest import Deployment, Variables

SPELLED: Variables = {
    "nats_server_prefix": "{{ root }}/",
    "nats_server_log_dir": "{{ root }}//var/./log/nats/",
    "nats_server_config": {"max_payload": "1MB", "max_control_line": "4KB"},
    # nothing of this becomes a setting
    "ansible_managed": "another user\nmax_connections: 7\rdebug: true\u2028trace: true",
}


def test_another_spelling_and_another_comment_disturb_nobody(deployment: Deployment) -> None:
    before, (file,) = deployment.varz(), deployment.directory.rglob("nats-server.conf")
    text = file.read_text()
    for changed in ("[1-9]", "0"):
        said = deployment.play({**SPELLED, "root": str(deployment.directory / "root")})
        assert said.startswith("exit 0"), said
        assert re.search(r"plan: nothing'?$", said, re.MULTILINE), said
        assert re.search(rf"changed={changed}", said), said
    assert file.read_text() != text
    assert conf.parse(file.read_text()) == conf.parse(text)
    now = deployment.varz()
    assert (now["start"], now["config_load_time"]) == (before["start"], before["config_load_time"])
