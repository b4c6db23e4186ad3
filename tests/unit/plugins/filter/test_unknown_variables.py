# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A variable that no role has is told, unless it is a user's own."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.rosey.nats.plugins.filter.unknown_variables import unknown_variables
from ansible_collections.rosey.nats.plugins.plugin_utils import variables

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("nats_server_confg", "nats_server_config"),
        ("nats_server_credential", "nats_server_credentials"),
        ("bot_config_enviroment", "bot_config_environment"),
        ("bot_plugins_declare", "bot_plugins_declared"),
        ("release_kep", "release_keep"),
        ("nats_monitoring_exportr", "nats_monitoring_exporter"),
        ("health_tresholds", "health_thresholds"),
        ("rollback_too", "rollback_to"),
        ("rosey_seriel", "rosey_serial"),
        # of a user's own, and a variable of another program's role
        ("nats_server_rack", None),
        ("nats_serverconfig", None),
        ("health_url", None),
        ("nats_server_config", None),
        ("ansible_host", None),
    ],
)
def test_a_name_is_told_with_the_one_that_is_meant(name: str, meant: str | None) -> None:
    said = unknown_variables(["nats_server_config", name])
    assert len(said) == (meant is not None)
    if meant:
        role = next((f"role {role}" for role in variables.roles() if name.startswith(f"{role}_")), "playbooks")
        assert said[0].startswith(f"{name} is no variable of the {role}, so that it would not count; nothing was")
        assert f"Write {meant}, or" in said[0]


@pytest.mark.parametrize(("old", "new"), variables.RENAMED.items())
def test_a_former_name_is_told_with_the_present_one(old: str, new: str) -> None:
    known = {*itertools.chain(*map(variables.of_role, variables.roles()), *variables.OF_PLAYBOOKS.values())}
    assert new in known
    assert old not in known
    assert unknown_variables([old]) == [
        f"{old} is called {new} by now, so that it would not count; nothing was touched. Write {new}."
    ]


def test_a_name_that_anybody_may_have_is_told_of_an_extra_variable_alone() -> None:
    assert variables.unknown([*variables.RENAMED_EXTRA]) == []
    said = variables.unknown([], extra=["report", "picture", "symptom", "other"])
    assert [each.rpartition(" Write ")[2] for each in said] == [
        "contract_picture.",
        "rosey_report.",
        "diagnose_symptom.",
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("rolback_to", "rollback_to"),
        ("nat_server_version", "nats_server_version"),
        ("bot_confg_mode", "bot_config_mode"),
        ("mine", None),
        ("server_version", None),
    ],
)
def test_the_first_letters_of_an_extra_variable_may_be_wrong(name: str, meant: str | None) -> None:
    said = variables.unknown([], extra=[name])
    assert len(said) == (meant is not None)
    assert all(f"Write {meant}, or" in each for each in said)


def test_no_name_of_the_collection_is_told() -> None:
    texts = [
        path.read_text() for place in ("roles", "playbooks", "inventories") for path in (ROOT / place).rglob("*.yml")
    ]
    names = {name for text in texts for name in re.findall(r"\b[a-z][a-z_]+\b", text)}
    # words of tags and files that are like variables are none
    variables = {name for name in names if re.search(rf"\b{name}\b *(:|\||\}})", "\n".join(texts))}
    assert unknown_variables(sorted(variables)) == []


@pytest.mark.parametrize("role", variables.roles())
def test_what_is_known_of_a_role_is_what_it_has(role: str) -> None:
    spec = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    assert {name for entry in spec.values() for name in entry.get("options", {})} <= variables.of_role(role)


@pytest.mark.parametrize(
    ("playbook", "given", "told"),
    [
        ("site.yml", {"nats_server_confg": {}}, "Write nats_server_config,"),
        ("site.yml", {"bot_plugins_declare": []}, "Write bot_plugins_declared,"),
        # without the name that is meant nothing would be watched
        ("site.yml", {"nats_monitoring_exportr": "present"}, "Write nats_monitoring_exporter,"),
        ("playbooks/health.yml", {"health_tresholds": {}}, "Write health_thresholds,"),
        ("playbooks/health.yml", {"release_directory": "/srv"}, "Write release_dir."),
        ("playbooks/diagnose.yml", {"symptom": "server"}, "Write diagnose_symptom."),
        ("playbooks/diagnose.yml", {"diagnose_symptom": "plugins"}, "expected one of server, bot, plugin, latency."),
        ("playbooks/contract.yml", {"picture": "bus.svg"}, "Write contract_picture."),
        ("playbooks/rollback.yml", {"rollback_too": "list"}, "Write rollback_to,"),
        ("playbooks/rollback.yml", {"rolback_to": "list"}, "Write rollback_to,"),
        ("playbooks/rollback.yml", {"release_directory": "/srv", "rollback_to": "list"}, "Write release_dir."),
        ("playbooks/metrics.yml", {"rosey_host": "here"}, "Write rosey_hosts,"),
        ("playbooks/watch.yml", {"rosey_soak_seconds": 1}, "Write rosey_watch_seconds."),
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
