# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A variable that no role has is told, unless it is a user's own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.rosey.nats.plugins.filter.misspelled_variables import misspelled_variables
from ansible_collections.rosey.nats.plugins.plugin_utils import role_variables

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("nats_server_confg", "nats_server_config"),
        ("nats_server_credential", "nats_server_credentials"),
        ("bot_config_enviroment", "bot_config_environment"),
        ("bot_plugins_declare", "bot_plugins_declared"),
        ("release_directoy", "release_directory"),
        ("nats_monitoring_exportr", "nats_monitoring_exporter"),
        ("health_tresholds", "health_thresholds"),
        # of a user's own, and a variable of another program's role
        ("nats_server_rack", None),
        ("nats_serverconfig", None),
        ("health_url", None),
        ("nats_server_config", None),
        ("ansible_host", None),
    ],
)
def test_a_name_is_told_with_the_one_that_is_meant(name: str, meant: str | None) -> None:
    said = misspelled_variables(["nats_server_config", name])
    assert len(said) == (meant is not None)
    if meant:
        role = next(role for role in role_variables.roles() if name.startswith(f"{role}_"))
        assert said[0].startswith(f"{name} is no variable of the role {role}, so that it would not count; nothing was")
        assert f"Write {meant}, or" in said[0]


def test_no_name_of_the_collection_is_told() -> None:
    texts = [
        path.read_text() for place in ("roles", "playbooks", "inventories") for path in (ROOT / place).rglob("*.yml")
    ]
    names = {name for text in texts for name in re.findall(r"\b[a-z][a-z_]+\b", text)}
    # words of tags and files that are like variables are none
    variables = {name for name in names if re.search(rf"\b{name}\b *(:|\||\}})", "\n".join(texts))}
    assert misspelled_variables(sorted(variables)) == []


@pytest.mark.parametrize("role", role_variables.roles())
def test_what_is_known_of_a_role_is_what_it_has(role: str) -> None:
    spec = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    assert {name for entry in spec.values() for name in entry.get("options", {})} <= role_variables.known(role)


@pytest.mark.parametrize(
    ("playbook", "given", "told"),
    [
        ("site.yml", {"nats_server_confg": {}}, "Write nats_server_config,"),
        ("site.yml", {"bot_plugins_declare": []}, "Write bot_plugins_declared,"),
        # without the name that is meant nothing would be watched
        ("site.yml", {"nats_monitoring_exportr": "present"}, "Write nats_monitoring_exporter,"),
        ("playbooks/health.yml", {"health_tresholds": {}}, "Write health_thresholds,"),
        ("playbooks/diagnose.yml", {"diagnosis_symptom": ["server"]}, "Write diagnosis_symptoms,"),
        # what is to be deployed keeps nobody from going back
        ("playbooks/rollback.yml", {"nats_server_confg": {}, "rollback_to": "list"}, None),
    ],
)
def test_it_is_refused_where_it_would_count(
    tmp_path: Path, playbook: str, given: dict[str, object], told: str | None
) -> None:
    always = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    always |= {"nats_server_prefix": str(tmp_path), "nats_server_runtime": "process", "bot_config_home": str(tmp_path)}
    always |= {"bot_config_environment": "development", "bot_config_runtime": "process", "bot_config_command": ["bot"]}
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(json.dumps({"rosey": {"hosts": {"here": always}}}))
    words = ["ansible-playbook", playbook, f"-i{inventory}", f"-e{json.dumps(given)}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    said = " ".join(done.stdout.split())
    assert (done.returncode == 0) is (told is None), done.stdout
    assert (told or "no releases") in said, done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hosts.yml"]
