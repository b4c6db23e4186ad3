# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no run of a playbook as root would show."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ROLES = ROOT / "roles"
# What looks at what may lie in directories of another account: the file of a role, and the module.
LOOKS = [
    ("release/tasks/look.yml", "rosey.nats.bus_plan"),
    ("release/tasks/watch.yml", "rosey.nats.bot_plan"),
    ("health/tasks/main.yml", "rosey.nats.bus_health_info"),
    ("diagnosis/tasks/look.yml", "rosey.nats.diagnosis_info"),
]
WATCHED = {
    "Watch | The server": "release_watched.server.become",
    "Watch | The bot": "release_watched.bot.become",
    "Watch | The server again": "release_watched.server.become",
}
# Likewise, of the steps of a deployment.
STEPS = {
    "Install the server": "release_plan.become.server",
    "Configure | Directories, files, sections and units": "release_plan.become.any",
}
# Of those that are taken in turns.
TURNS = {"server/turn.yml": "release_plan.become.server", "bot/turn.yml": "release_plan.become.bot"}


def tasks(file: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((ROLES / file).read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(("file", "module"), LOOKS)
def test_whoever_looks_at_a_program_has_its_rights(file: str, module: str) -> None:
    found = [task["become"] for task in tasks(file) if module in task]
    assert found
    # a variable of the role, which follows the account of what is looked at
    assert all("become" in each.strip("{} ") for each in found)


def test_whoever_watches_a_program_has_its_rights() -> None:
    gates = [
        task["ansible.builtin.include_tasks"] for task in tasks("release/tasks/watch.yml") if task["name"] in WATCHED
    ]
    assert [each["apply"]["become"].strip("{} ") for each in gates] == [*WATCHED.values()]


@pytest.mark.parametrize("name", STEPS)
def test_a_step_has_the_rights_of_what_it_changes(name: str) -> None:
    (task,) = (task for task in tasks("release/tasks/steps.yml") if task["name"] == name)
    assert task["become"] == f"{{{{ {STEPS[name]} }}}}"


@pytest.mark.parametrize("file", TURNS)
def test_a_turn_has_the_rights_of_what_it_changes(file: str) -> None:
    (task,) = tasks(f"release/tasks/{file}")
    assert task["ansible.builtin.include_tasks"]["apply"]["become"] == f"{{{{ {TURNS[file]} }}}}"


def test_what_steps_ask_of_the_running_server_is_there() -> None:
    """A name that is not there is left out by `default(omit)`: the server was stopped without a look at its streams."""
    variables = yaml.safe_load((ROLES / "release/vars/main.yml").read_text(encoding="utf-8"))
    (known,) = (value for name, value in variables.items() if name.endswith("_release_running"))
    texts = [path.read_text(encoding="utf-8") for path in (ROLES / "release/tasks").rglob("*.yml")]
    asked = {name for text in texts for name in re.findall(r"_release_running\.(\w+)", text)}
    assert asked
    assert asked <= {*known, "enabled"}


PLAYBOOKS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "site.yml", *ROOT.glob("playbooks/*.yml")))


INVENTORY = str(ROOT / "inventories/production")


def run(directory: Path, name: str, *words: str, **also: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook from a directory without ansible.cfg, which Ansible reads in no clone that all may write to."""
    environment = {each: value for each, value in os.environ.items() if not each.startswith("ANSIBLE_")}
    environment |= {"HOME": str(directory), "COLUMNS": "1000", **also}
    words = ("ansible-playbook", str(ROOT / name), *words)
    return subprocess.run(words, cwd=directory, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_playbook_works_from_any_directory(name: str, tmp_path: Path) -> None:
    done = run(tmp_path, name, "-i", INVENTORY, "--list-tasks")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_playbook_without_hosts_fails(name: str, tmp_path: Path) -> None:
    done = run(tmp_path, name)
    assert done.returncode == 1
    assert ": no host matches " in done.stderr
    assert "The inventory has no host. Give the inventory of your servers with -i." in done.stderr


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_playbook_with_a_tag_that_it_has_not_fails(name: str, tmp_path: Path) -> None:
    done = run(tmp_path, name, "-i", INVENTORY, "--tags", "nats-server")
    assert done.returncode == 1
    assert done.stderr.startswith("--tags nats-server: ")
    assert done.stdout == ""


@pytest.mark.parametrize(("group", "status"), [("own", 0), ("all", 2)])
def test_two_inventories_of_one_environment_each_say_so(group: str, status: int, tmp_path: Path) -> None:
    """In the variables of a group of its own: of those of all, the last inventory's count for the hosts of each."""
    words = []
    for name in ("eu", "us"):
        own = name if group == "own" else group
        place = tmp_path / "inventories" / name
        (place / "group_vars").mkdir(parents=True)
        hosts = {"hosts": {f"{name}1": {"ansible_connection": "local", "bot_config_environment": "production"}}}
        (place / "hosts.yml").write_text(yaml.safe_dump({name: hosts, "rosey": {"children": {name: {}}}}))
        said = {"bot_config_environments": {"production": {"inventories": [name]}}}
        (place / "group_vars" / f"{own}.yml").write_text(yaml.safe_dump(said))
        words += ["-i", str(place)]
    done = run(tmp_path, "playbooks/contract.yml", *words)
    assert done.returncode == status, done.stdout
    assert ("expected a directory called production" in done.stdout + done.stderr) is bool(status)


def test_no_stage_follows_another_by_a_part_of_it(tmp_path: Path) -> None:
    """What watches a stage has no tag, so that the next one followed unwatched."""
    done = run(tmp_path, "playbooks/migrate.yml", "-i", INVENTORY, "--tags", "nats_server")
    assert done.returncode == 2, done.stderr
    said = f"{done.stdout}{done.stderr}"
    assert "--tags nats_server: a part of a change, which was not watched, would go to the next stage." in said
    assert "is a placeholder" not in said


UNKNOWN_TAG = "--tags nats_server: health.yml has no tags. Nothing was done. Run it without --tags."


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no host matches rosey. Nothing was done. The inventory has no host."),
        (("-i", INVENTORY, "-e", "rosey_hosts=productoin"), "Write production, if that is meant."),
        (("-i", "gone"), "The inventory {here}/gone does not exist."),
        (("-i", INVENTORY, "--tags", "nats_server"), UNKNOWN_TAG),
        (("-i", INVENTORY, "--start-at-task", "nowhere"), "production.example.invalid: was not looked at"),
        (("-i", INVENTORY, "-e", "rosey_hosts={{ 1 | gone }}"), "standard error says why"),
    ],
)
def test_whatever_keeps_nagios_from_an_answer_is_unknown(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = run(tmp_path, "playbooks/health.yml", "-e", "health_output=nagios", *words)
    assert done.returncode == 3, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.startswith("NATS UNKNOWN - ")
    assert said.format(here=tmp_path) in line


def test_others_playbooks_may_have_tags_and_plays_without_hosts(tmp_path: Path) -> None:
    """Where ours are only a part of a run, nothing is known of the rest."""
    site = tmp_path / "site.yml"
    own = [{"hosts": "nobody", "gather_facts": False, "tasks": [{"debug": {}, "tags": "own"}]}]
    site.write_text(yaml.safe_dump([*own, {"import_playbook": str(ROOT / "playbooks/contract.yml")}]))
    words = (str(site), "-i", INVENTORY, "--tags", "hidden")
    done = run(tmp_path, *words, ANSIBLE_COLLECTIONS_PATH=str(ROOT / "collections"))
    assert done.returncode == 0, done.stderr
