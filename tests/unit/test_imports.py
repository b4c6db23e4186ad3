# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A filter loads what it needs and nothing else of the collection.

No import stands within a function (ruff's PLC0415), so that what is loaded with a filter is all that its use needs.
ansible-core loads the files of all filters when it looks for one (Jinja2Loader.get_with_context, 2.19): what a single
filter loads is paid for by every process that uses any.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILTERS = sorted(path.stem for path in (ROOT / "plugins" / "filter").glob("*.py"))
PREFIX = "ansible_collections.rosey.nats.plugins."
# What costs time to load, and is not of the collection.
HEAVY = ("bcrypt", "requests", "urllib3", "yaml")

OPTIONS = {"_server/options", "_server/subjects", "_server/units", "_host/needed_path", "_host/python"}
LANGUAGE = {*OPTIONS, "_server/conf", "_server/conf_lexer", "_server/conf_reader", "_server/conf_writer"}
BOT = {"_bot/credentials"}
PLUGINS = {"plugins", "bot_yaml", "jetstream_rights", "yaml", "_server/subjects"}
CONTRACT = {"contract", "text_table", *PLUGINS}
GATE = {"_host/gate", "_host/python"}
FAILURE = {"failure", "_host/redaction"}
ORIGIN = {"_deploy/lease", "_host/atomic_file", "_host/figures", "_host/system", "_host/typed"}
OUTCOME = {
    "_bus/turns",
    "outcome",
    *FAILURE,
    *ORIGIN,
    "_bus/decisions",
    "_bus/part_arguments",
    "_deploy/history",
    "_host/action",
    "_host/command_line",
    "_host/python",
}
# The most that a filter may load: files of plugin_utils, files and packages of module_utils, and what is heavy.
MOST = {
    "bot_environment": BOT,
    "bus_clients": {
        "clients",
        "derived",
        "_server/nkeys",
        "permissions",
        "authorization",
        "bcrypt",
        *BOT,
        *PLUGINS,
        "text_table",
        "_host/environment_file",
    },
    "bus_permissions": {"permissions", "text_table", *BOT, *PLUGINS},
    "bot_plugin_entries": PLUGINS,
    "bot_plugin_problems": PLUGINS,
    "bot_plugins": PLUGINS,
    "bot_section_problems": {"environments", *BOT, "_bot/client_options", "_server/subjects"},
    "environment_problem": {"environments", "_server/subjects"},
    "migration_plan": {"environments", "stages", "_server/subjects"},
    "bus_picture": {"picture", "picture_layout", "picture_mermaid", "picture_svg", *CONTRACT, *GATE},
    "failure_reason": FAILURE,
    "from_nats_conf": {*LANGUAGE, "_host/redaction"},
    "health_output": {
        "health_output",
        *FAILURE,
        *GATE,
        "_bot/remedies",
        "_server/measures",
        "_watch/check_limits",
        "_watch/check_table",
        "_watch/exposition",
    },
    "lease_claim": {"controller", "_host/process", "_host/figures", "_host/system"},
    "unknown_variables": {"variables", "yaml"},
    "nats_authorization": {"authorization", "bcrypt", *BOT},
    "nats_doors": {"doors", *OPTIONS},
    "nats_config_problems": {*OPTIONS, "_host/redaction", "_server/requirements", "_server/tls_listener"},
    "nats_credentials_problems": BOT,
    "nats_tls_problems": {
        "tls",
        "bcrypt",
        "_host/python",
        "_server/certificates",
        "_server/x509_fields",
        "_host/figures",
        "_host/system",
    },
    "nats_cluster": {
        "cluster",
        "derived",
        "_server/options/model",
        "_server/options",
        "_host/needed_path",
        "_host/python",
    },
    "nats_requirements": {*OPTIONS, "_server/requirements", "_server/tls_listener"},
    "nats_merge": {*OPTIONS, "_server/requirements", "_server/tls_listener"},
    "nats_metrics": {"server_metrics", "_host/python", "_server/answers", "_server/units", "_watch/exposition"},
    "redact_nats_conf": {*LANGUAGE, "_host/redaction"},
    "release_ending": {*OUTCOME, "_server/subjects"},
    "release_failure": {*OUTCOME, "_server/subjects"},
    "release_gates": {*OUTCOME, "_server/subjects"},
    "release_origin": {"origin", "controller", *ORIGIN, "_host/process", "yaml"},
    "release_report": {*OUTCOME, "_server/subjects"},
    "release_story": {*OUTCOME, "_server/subjects"},
    "release_turns": {"_bus/turns", "_host/action", "_host/python"},
    "release_unpredicted": {*OUTCOME, "_server/subjects"},
    "released_archive": {
        "_host/architecture",
        "_host/python",
        "_host/atomic_file",
        "_host/figures",
        "_host/system",
        "_server/archive",
        "_server/programs",
    },
    "report_problem": {"report_file"},
    "rollback_verdict": {"rollback"},
    "service_name": {"_host/figures", "_host/system", "_host/unit_file"},
    "service_hardening": {
        "_host/hardening",
        "_host/needed_path",
        "_host/python",
        "_host/figures",
        "_host/system",
        "_host/unit_file",
    },
    "subject_contract": {"environments", *CONTRACT, *GATE},
    "subject_prefix": {"environments", "_server/subjects"},
    "systemd_word": {"_host/figures", "_host/system", "_host/unit_file"},
    "to_bot_yaml": {"bot_yaml", "yaml"},
    "to_comment": {*LANGUAGE, "_host/redaction"},
    "to_nats_conf": {*LANGUAGE, "_host/redaction"},
}

# A process that has loaded no more than every filter has to, and forks for each, so that none sees what another loaded.
LOOK = """
import importlib, json, os, sys
import ansible.errors
for name in sys.argv[1:]:
    if not (child := os.fork()):
        before = set(sys.modules)
        importlib.import_module(f"ansible_collections.rosey.nats.plugins.filter.{name}")
        print(json.dumps([name, sorted(set(sys.modules) - before)]), flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{name} can't be loaded")
"""


def short(module: str) -> str:
    """Give the table's name of a module, "" for one that the table does not hold."""
    kind, _dot, rest = module.removeprefix(PREFIX).partition(".") if module.startswith(PREFIX) else ("", "", module)
    if kind in {"plugin_utils", "module_utils"}:
        return rest.replace(".", "/")
    return rest if not kind and rest in HEAVY else ""


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """Give what each filter loads that the table may name."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *FILTERS], cwd=ROOT / "collections", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = dict(json.loads(line) for line in done.stdout.splitlines())
    names = {name: {short(module) for module in modules} - {""} for name, modules in found.items()}
    # A package is loaded with each of its files, and is none of them.
    return {
        name: {each for each in all_of if not (each.startswith("_") and "/" not in each)}
        for name, all_of in names.items()
    }


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_loads_what_it_needs(name: str, loaded: dict[str, set[str]]) -> None:
    print(f"{name}: {', '.join(sorted(loaded[name]))}")
    may = MOST.get(name, set())
    assert {each for each in loaded[name] if not {each, each.rpartition("/")[0]} & may} == set()


def test_the_table_names_what_is_there() -> None:
    assert set(MOST) == set(FILTERS)


def test_each_filter_is_looked_at_by_itself(loaded: dict[str, set[str]]) -> None:
    # what the one needs and the other does not: so a filter is not given what was loaded before it
    assert "_server/options/table" in loaded["nats_merge"]
    assert loaded["report_problem"] == {"report_file"}
