# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""config_tree as a playbook meets it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.rosey.nats.plugins.doc_fragments import entries as entries_fragment
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import apply, spec

RunModule = Callable[..., dict[str, Any]]

PASSWORD = "correct-horse-battery"
OLD_PASSWORD = "staple-of-yesterday"
CONF = 'port: 4222\nauthorization {{\n  user: rosey\n  password: "{}"\n}}\n'


def host(tmp_path: Path, validate: str) -> list[dict[str, Any]]:
    return [
        {"path": f"{tmp_path}/etc/nats", "state": "directory", "mode": "0750"},
        {
            "path": f"{tmp_path}/etc/nats/nats-server.conf",
            "state": "file",
            "mode": "0640",
            "secret_content": CONF.format(PASSWORD),
            "redact": "nats_conf",
            "validate": validate,
        },
        {"path": f"{tmp_path}/etc/nats/current.conf", "state": "link", "target": "nats-server.conf"},
    ]


def test_check_mode_predicts_what_the_run_does(tmp_path: Path, run_module: RunModule, nats_server: Path) -> None:
    entries = host(tmp_path, f"{nats_server} -t -c %s")
    predicted = run_module("config_tree", check_mode=True, entries=entries)
    assert list(tmp_path.iterdir()) == []
    done = run_module("config_tree", entries=entries)
    for result in (predicted, done):
        del result["invocation"]
    assert predicted == done
    assert done["changed"]
    assert done["changes"] == [
        {
            "path": f"{tmp_path}/etc",
            "what": ["created"],
            "reasons": ["created: absent -> directory", "mode: 0755"],
        },
        {
            "path": f"{tmp_path}/etc/nats",
            "what": ["created"],
            "reasons": ["created: absent -> directory", "mode: 0750"],
        },
        {
            "path": f"{tmp_path}/etc/nats/nats-server.conf",
            "what": ["created"],
            "reasons": ["created: absent -> file", "content", "mode: 0640"],
            "validated": True,
        },
        {
            "path": f"{tmp_path}/etc/nats/current.conf",
            "what": ["created"],
            "reasons": ["created: absent -> link", "target: nats-server.conf"],
        },
    ]
    assert (tmp_path / "etc/nats/current.conf").read_text() == CONF.format(PASSWORD)
    for check_mode in (True, False):
        again = run_module("config_tree", check_mode=check_mode, entries=entries)
        assert (again["changed"], again["changes"], again["diff"]) == (False, [], [])


def test_an_empty_host_is_predicted_without_binary_and_accounts(tmp_path: Path, run_module: RunModule) -> None:
    entries = host(tmp_path, "/no/such/nats-server -t -c %s")
    change = run_module("config_tree", check_mode=True, entries=entries)["changes"][2]
    assert (change["validated"], change["not_validated_because"]) == (False, "/no/such/nats-server is not there yet")
    entries[1]["group"] = "no-such-group"
    change = run_module("config_tree", check_mode=True, entries=entries)["changes"][2]
    assert change["not_validated_because"] == "this host has no group no-such-group yet"
    assert "group: no-such-group (no such group yet)" in change["reasons"]
    failed = run_module("config_tree", entries=entries)
    assert failed["failed"]
    assert failed["msg"].startswith("This host has no group no-such-group. Nothing was touched.")
    assert list(tmp_path.iterdir()) == []


def test_a_diff_comes_only_when_asked_for(tmp_path: Path, run_module: RunModule) -> None:
    entries = [{"path": f"{tmp_path}/f", "state": "file", "content": "new\n"}]
    assert "diff" not in run_module("config_tree", diff=False, check_mode=True, entries=entries)
    assert run_module("config_tree", entries=entries)["diff"][-1]["after"] == "new\n"


@pytest.mark.parametrize("redact", ["none", "nats_conf", "all"])
@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    ("code", "accepted"),
    [("0", True), ("open(sys.argv[1]).read()", False), ("open(sys.argv[1]).read()[48:70]", False)],
    ids=["accepted", "refused with all of it", "refused with a part of it"],
)
def test_no_secret_gets_out(
    tmp_path: Path,
    run_module: RunModule,
    journal: list[str],
    *,
    redact: str,
    check_mode: bool,
    code: str,
    accepted: bool,
) -> None:
    path = tmp_path / "n.conf"
    path.write_text(CONF.format(OLD_PASSWORD))
    entry = {
        "path": str(path),
        "state": "file",
        "secret_content": CONF.format(PASSWORD),
        "redact": redact,
        "validate": f"{sys.executable} -c 'import sys; sys.exit({code})' %s",
    }
    result = run_module("config_tree", check_mode=check_mode, entries=[entry])
    told = json.dumps(result) + "".join(journal)
    for part in ("correct", "horse", "battery", "staple", "yester"):
        assert part not in told
    assert journal == [f"Invoked for {path}"]
    assert result.get("failed", False) is not accepted
    if accepted:
        assert ("rosey" in result["diff"][-1]["after"]) is (redact == "nats_conf")


VARIABLES = {"PASSWORD": PASSWORD, "SHORT": "q7", "ONE": "Z", "QUOTED": 'it\'s "x" $HOME\\', "READER": "bot"}


@pytest.mark.parametrize("given", [VARIABLES, "PASSWORD=correct-horse-battery, SHORT=q7 ONE=Z"], ids=["dict", "text"])
@pytest.mark.parametrize("check_mode", [True, False])
def test_no_variable_gets_out(
    tmp_path: Path, run_module: RunModule, journal: list[str], *, given: dict[str, str] | str, check_mode: bool
) -> None:
    path = tmp_path / "secrets.env"
    path.write_text(f"PASSWORD={OLD_PASSWORD}\nOTHER=word-of-others\n")
    entry = {"path": str(path), "state": "variables", "secret_variables": given}
    result = run_module("config_tree", check_mode=check_mode, entries=[entry])
    assert result["changed"]
    told = json.dumps(result) + "".join(journal)
    for part in ("correct", "staple", "others", "q7", "Z", "$HOME"):
        assert part not in told
    assert "PASSWORD" in result["diff"][-1]["after"]
    assert ("q7" in path.read_text()) is not check_mode


def test_a_refusal_holds_no_variable(tmp_path: Path, run_module: RunModule, journal: list[str]) -> None:
    path = tmp_path / "secrets.env"
    path.write_text(f"PASSWORD='{OLD_PASSWORD}\n")
    for value in (PASSWORD, f"{PASSWORD}\n"):
        entry = {"path": str(path), "state": "variables", "secret_variables": {"PASSWORD": value}}
        result = run_module("config_tree", entries=[entry])
        assert result["failed"]
        told = json.dumps(result) + "".join(journal)
        for part in ("correct", "staple"):
            assert part not in told


def test_a_reader_is_told(tmp_path: Path, run_module: RunModule) -> None:
    entries = [
        {"path": f"{tmp_path}/a", "state": "variables", "variables": {"USER": "bot"}, "reader": "bot"},
        {"path": f"{tmp_path}/b", "state": "file", "content": "", "reader": "server"},
        {"path": f"{tmp_path}/c", "state": "file", "content": ""},
    ]
    result = run_module("config_tree", entries=entries)
    told = {Path(change["path"]).name: change.get("reader") for change in result["changes"]}
    assert told == {"a": "bot", "b": "server", "c": None}


@pytest.mark.parametrize(
    "before",
    [
        "nats:\n  password: hunter2\n",
        "nats:\n  prefix: rosey\n  # password: hunter2\n  name: bot\n",
        "nats: {url: nats://a:hunter2@b}\n",
    ],
)
def test_a_section_by_hand_shows_no_secret(tmp_path: Path, run_module: RunModule, before: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(before)
    entry = {"path": str(path), "state": "section", "key": "nats", "content": "nats:\n  prefix: rosey.dev\n"}
    result = run_module("config_tree", entries=[entry])
    assert result["changed"]
    assert "hunter2" not in json.dumps(result)
    assert "hunter2" not in path.read_text()


def test_a_tree_with_a_manifest_is_predicted_and_put(tmp_path: Path, run_module: RunModule) -> None:
    def entries(*names: str) -> list[dict[str, Any]]:
        top = {"path": f"{tmp_path}/p", "state": "directory", "manifest": ".manifest", "reader": "bot"}
        return [top, *({"path": f"{tmp_path}/p/{name}", "state": "file", "content": name} for name in names)]

    for names, unmanaged in (("ab", []), ("bc", [f"{tmp_path}/p/by_hand"]), ("", [f"{tmp_path}/p/by_hand"])):
        predicted = run_module("config_tree", check_mode=True, entries=entries(*names))
        done = run_module("config_tree", entries=entries(*names))
        assert predicted["changes"] == done["changes"]
        assert predicted["unmanaged"] == done["unmanaged"] == unmanaged
        (tmp_path / "p" / "by_hand").write_text("")
    assert {change["path"]: change.get("reader") for change in done["changes"]} == {
        f"{tmp_path}/p/b": "bot",
        f"{tmp_path}/p/c": "bot",
        f"{tmp_path}/p/.manifest": None,
    }
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == [".manifest", "by_hand"]


@pytest.mark.parametrize(
    ("releases", "check_mode", "is_swept"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_what_a_run_that_was_cut_off_has_left_is_taken_away_under_the_lease(
    tmp_path: Path, run_module: RunModule, releases: bool, check_mode: bool, is_swept: bool
) -> None:
    left = tmp_path / ".rosey-00000000.secrets.env"
    left.touch()
    given = {"release_dir": str(tmp_path / "releases")} if releases else {}
    entries = [{"path": f"{tmp_path}/config.yaml", "state": "file", "content": "a: 1\n"}]
    run_module("config_tree", check_mode=check_mode, entries=entries, **given)
    assert left.exists() is not is_swept


def test_an_error_is_one_sentence_after_the_other(tmp_path: Path, run_module: RunModule) -> None:
    entries = [
        {"path": "relative", "state": "directory"},
        {"path": f"{tmp_path}/f", "state": "file"},
    ]
    result = run_module("config_tree", entries=entries)
    assert result["failed"]
    assert result["msg"] == (
        "path: 'relative' is not absolute. Give the whole path from the root, such as /etc/nats/nats-server.conf. "
        f"{tmp_path}/f: content is missing. A file needs content or secret_content; '' makes an empty file."
    )


class Policy:
    """AnsibleModule's SELinux side, on a host with a policy: no machine of the tests has one."""

    def __init__(self) -> None:
        self.set: list[tuple[str, list[str]]] = []

    def selinux_context(self, path: str) -> list[str]:
        return ["present", path]

    def selinux_default_context(self, path: str) -> list[str]:
        return ["default", path]

    def set_context_if_different(self, path: str, context: list[str], changed: bool) -> None:
        self.set.append((path, context))


def test_labels_are_those_of_the_place(tmp_path: Path) -> None:
    policy = Policy()
    label = apply.label_with(policy)
    there, missing, staged = tmp_path / "there", tmp_path / "missing", tmp_path / "staged"
    there.write_text("")
    label(staged, there)
    label(staged, missing)
    label(there, there)
    assert policy.set == [
        (str(staged), ["present", str(there)]),
        (str(staged), ["default", str(missing)]),
        (str(there), ["default", str(there)]),
    ]


def test_the_documentation_is_that_of_the_arguments() -> None:
    documented = yaml.safe_load(entries_fragment.ModuleDocFragment.DOCUMENTATION)["options"]["entries"]["suboptions"]
    for option in documented.values():
        assert option.pop("description")
    accepted = {
        name: {key: value for key, value in option.items() if key != "no_log"}
        for name, option in spec.ENTRY_SPEC.items()
    }
    assert documented == accepted
