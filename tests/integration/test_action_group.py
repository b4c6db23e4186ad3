# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user names the monitoring endpoint once, for every module that asks a running server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.plugin_docs import read_docstring

from ansible_collections.rosey.nats.plugins.module_utils._host import background

ROOT = Path(__file__).resolve().parents[2]
RUNTIME: dict[str, Any] = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())
FRAGMENT = "rosey.nats.monitoring"


@pytest.fixture
def url(
    tmp_path: Path, nats_server: Path, free_port: Callable[[], int], run_module: Callable[..., dict[str, Any]]
) -> Iterator[str]:
    """Give the monitoring endpoint of a running server, at a port that is no default."""
    port, config, pid_file = free_port(), tmp_path / "nats-server.conf", tmp_path / "nats-server.pid"
    config.write_text(f"host: 127.0.0.1\nport: {free_port()}\nhttp_port: {port}\nserver_name: grouped\n")
    server = {"binary": str(nats_server), "config_file": str(config), "pid_file": str(pid_file)}
    run_module("nats_process", state="started", **server)
    yield f"http://127.0.0.1:{port}"
    run_module("nats_process", state="stopped", **server)
    assert background.find(background.Server(nats_server, config, pid_file)) is None


def test_the_group_holds_every_module_that_asks_a_running_server() -> None:
    documented = {path.stem: read_docstring(str(path))["doc"] for path in (ROOT / "plugins" / "modules").glob("*.py")}
    asking = [name for name, doc in documented.items() if FRAGMENT in doc.get("extends_documentation_fragment", [])]
    assert sorted(RUNTIME["action_groups"]["monitoring"]) == sorted(asking)


def test_module_defaults_of_the_group_reach_its_modules(url: str, tmp_path: Path) -> None:
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
        "module_defaults": {"group/rosey.nats.monitoring": {"monitoring_url": url}},
        "tasks": [
            {"name": "Ask", "rosey.nats.nats_info": {"gather": ["varz"]}, "register": "asked"},
            {
                "name": "Prove",
                "rosey.nats.nats_gate": {"config_file": str(tmp_path / "nats-server.conf")},
                "register": "proof",
            },
            {
                "name": "Keep what they said",
                "ansible.builtin.copy": {
                    "content": "{{ {'name': asked.varz.server_name, 'summary': proof.summary} | to_json }}",
                    "dest": str(tmp_path / "said.json"),
                    "mode": "0600",
                },
            },
        ],
    }
    playbook = tmp_path / "ask.yml"
    playbook.write_text(yaml.safe_dump([play]))
    done = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", str(playbook)],
        cwd=ROOT,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    said = json.loads((tmp_path / "said.json").read_text())
    assert said["name"] == "grouped"
    assert "4 of 4 proven" in said["summary"]
