# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._bot import plugin_files
from ansible_collections.rosey.nats.plugins.module_utils._bot.bot_expectation import Plugin
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding

QUOTES = Plugin("quotes", ("rosey.prod.commands.quote",))
FINDING = Finding("plugin quotes", "a subscription", "none", "look at the log of the plugin")
OTHER = Finding("status", "connected", "disconnected", "look at the log of the bot")


def places(home: Path) -> plugin_files.Places:
    return plugin_files.Places(home, home / "environments/production", "cytube-bot")


def test_what_is_found_of_a_plugin_names_its_file_and_logs_and_the_last_lines_once(tmp_path: Path) -> None:
    log = tmp_path / "logs/plugins/quotes.log"
    log.parent.mkdir(parents=True)
    log.write_text("one\ntwo\nTraceback\n\nlogin with hunter2 failed\npassword: swordfish\n")
    first, second, other = plugin_files.explained([FINDING, FINDING, OTHER], [QUOTES], places(tmp_path), ["hunter2"])
    assert first.found == "none; its log ends with: Traceback / login with ******** failed / password: ********"
    assert first.remedy == (
        f"look at the log of the plugin (its file is {tmp_path}/environments/production/plugins/quotes.yaml, its log "
        f"{log}, the bot's: journalctl -u cytube-bot)"
    )
    assert (second.found, second.remedy) == ("none", first.remedy)
    assert other == OTHER


def test_a_bot_that_is_a_process_has_its_output_and_a_log_need_not_be_there(tmp_path: Path) -> None:
    of_process = replace(places(tmp_path), service="", pid_file=Path("/run/bot.pid"))
    (found,) = plugin_files.explained([FINDING], [QUOTES], of_process)
    assert found.found == "none"
    assert found.remedy.endswith("the bot's: tail /run/bot.out)")
