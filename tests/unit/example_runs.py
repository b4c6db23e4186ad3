# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs as the callback records them, with results as the modules give them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from ansible_collections.rosey.nats.plugins.plugin_utils.run_record import BUS_FACT, Ending, Run, Status

Result = dict[str, Any]
Note = tuple[str, str, Status, Result]
"""A host, the action of a task, how the task ended, and its result."""

OK, CHANGED, FAILED, IGNORED, UNREACHABLE = Status
MARKUP = """<script>alert(1)</script><img src=x onerror="alert(1)">'&amp;"""
SECRET = "hunter2-is-no-password"
PLAY = "Put the NATS event bus under the bot"

INVOCATION = {
    "module_args": {
        "round_trip": {"limit_milliseconds": 100, "options": {"user_credentials": SECRET}},
        "entries": [{"secret_content": SECRET}],
    }
}
PLANNED = {
    "action": "reload",
    "reasons": ["max_payload: 1MiB -> 2MiB (reload)"],
    "changes": [{"path": "/etc/nats/nats-server.conf", "what": ["content"]}],
    "dangers": [],
    "release": {"current": "20260131T120000Z-3f2a9c", "lease": None},
    "invocation": INVOCATION,
}
BOT_PLANNED = {"installed": True, "action": "restart", "reasons": ["file: quotes.yaml -> created"], "unmanaged": []}
WRITTEN = {"changes": [{"path": "/etc/nats/nats-server.conf", "what": ["content"], "reasons": ["content"]}]}
PROVEN = {
    "passed": True,
    "summary": "14 of 15 proven, 1 taken on trust: log_max_num",
    "findings": [],
    "meant": 15,
    "proven": 14,
    "trusted": ["log_max_num"],
    "server": {"id": "NX", "name": "rosey_nats_prod", "version": "2.10.7"},
}
BOT_PROVEN = {
    "passed": True,
    "summary": "bot connected, 6 of 6 subscriptions held, round trip p50 0.8 ms, p99 2.1 ms over 200",
    "findings": [],
    "subscriptions": {"declared": 6, "held": 6},
    "round_trip": {"p50_milliseconds": 0.8, "p99_milliseconds": 2.1, "trips": 200, "skipped": False},
    "invocation": INVOCATION,
}
FINDING = {
    "what": "plugin quotes",
    "expected": "a subscription that covers rosey.prod.commands.quote",
    "found": "none on the server",
    "severity": "error",
    "remedy": "look at the log of the plugin",
}
BOT_UNPROVEN = {
    "msg": "the bot at http://localhost:8000/api/health has not proven what was meant within 4 seconds",
    "passed": False,
    "summary": "bot connected, 4 of 6 subscriptions held",
    "findings": [FINDING],
    "subscriptions": {"declared": 6, "held": 4},
}
RECORDED = {"release": "20260201T120000Z-a1b2c3", "changed": True}
WAY_BACK = {
    "releases": [],
    "damaged": [],
    "selected": {"id": "20260131T120000Z-3f2a9c", "time": "2026-01-31T12:00:00Z", "settings": {"server": SECRET}},
}
LISTED = {
    "releases": [
        {
            "id": "20260131T120000Z-3f2a9c",
            "time": "2026-01-31T12:00:00Z",
            "version": "2.10.7",
            "parts": ["bot", "plugins", "server"],
            "plan": ["server: start", "bot: start"],
            "current": True,
        }
    ],
    "damaged": [{"name": "20260130T120000Z-000000", "reason": "truncated"}],
}
CHECKED = {
    "checks": [
        {"name": "connections", "status": "ok", "summary": "3 of 200 connections", "remedy": ""},
        {"name": "plugins", "status": "critical", "summary": "5 of 6 held", "remedy": "restart the bot"},
    ]
}
DIAGNOSED = {
    "causes": [
        {
            "symptom": "plugin",
            "name": "not_enabled",
            "cause": "the plugin trivia is not enabled",
            "evidence": ["plugins/trivia.yaml has enabled: false", "no connection rosey-bot-prod-trivia"],
            "remedy": "enable it in inventories/common/plugins.yml",
            "confidence": "certain",
        },
        {
            "symptom": "latency",
            "name": "busy_host",
            "cause": "the host is busy",
            "evidence": ["load 7.9 on 2 cores"],
            "remedy": "look at what runs there",
            "confidence": "possible",
        },
    ],
    "healthy": ["server", "bot"],
}
BUS: dict[str, Any] = {
    "environment": "production",
    "prefix": "rosey.prod",
    "bot": {"publishes": ["cytube.>", "commands.>"], "subscriptions": ["cytube.chat.message"]},
    "plugins": [
        {
            "name": "quotes",
            "enabled": True,
            "subscriptions": ["rosey.prod.commands.quote"],
            "publishes": ["rosey.prod.cytube.chat.message"],
            "uses": {},
        },
        {
            "name": "trivia",
            "enabled": True,
            "subscriptions": ["rosey.prod.cytube.chat.message"],
            "publishes": ["rosey.prod.cytube.chat.message"],
            "uses": {},
        },
    ],
    "has_clients": False,
    "questions": [],
}
TOLD = {"msg": ["server: rosey_nats_prod, nats-server 2.10.7", "log: /var/log/nats/nats-server.log"]}
STORY = {"msg": "here: Gate: the bot has not proven what was meant\nhere is back at release 20260131T120000Z-3f2a9c."}


def deployed(host: str = "here") -> list[Note]:
    """Give what is noted of a host that is changed and proven."""
    return [
        (host, "ansible.builtin.set_fact", OK, {"ansible_facts": {BUS_FACT: BUS}}),
        (host, "rosey.nats.nats_plan", OK, PLANNED),
        (host, "rosey.nats.bot_plan", OK, BOT_PLANNED),
        (host, "rosey.nats.nats_release", OK, {"lease": {}}),
        (host, "rosey.nats.config_tree", CHANGED, WRITTEN),
        (host, "rosey.nats.nats_gate", OK, PROVEN),
        (host, "rosey.nats.bot_gate", OK, BOT_PROVEN),
        (host, "rosey.nats.nats_release", CHANGED, RECORDED),
        (host, "ansible.builtin.debug", OK, TOLD),
    ]


def unproven(host: str = "here") -> list[Note]:
    """Give what is noted of a host until the gate of its bot did not pass."""
    return [*deployed(host)[:6], (host, "rosey.nats.bot_gate", FAILED, BOT_UNPROVEN)]


def returned(host: str = "here") -> list[Note]:
    """Give what is noted of a host that went back."""
    return [
        *unproven(host),
        (host, "rosey.nats.nats_release_info", OK, WAY_BACK),
        (host, "rosey.nats.nats_plan", OK, PLANNED),
        (host, "rosey.nats.config_tree", CHANGED, WRITTEN),
        (host, "rosey.nats.nats_gate", OK, PROVEN),
        (host, "rosey.nats.bot_gate", OK, BOT_PROVEN),
        (host, "ansible.builtin.fail", FAILED, STORY),
    ]


def make_run(
    notes: Iterable[Note],
    *,
    failed: Iterable[str] = (),
    hosts: Iterable[str] = (),
    ending: Ending = Ending.WHOLE,
    check_mode: bool = False,
    playbook: str = "site.yml",
) -> Run:
    """Give a run that was recorded so."""
    run = Run(datetime(2026, 2, 1, 12, tzinfo=UTC), check_mode=check_mode)
    run.elapsed = lambda: 1.5 * len(run.events)
    run.add_play(playbook, [*hosts])
    for host, action, status, result in notes:
        run.note(host, status, result, play=PLAY, task=f"Step | {action.rpartition('.')[2]}", action=action)
    run.failed = set(failed)
    run.ending = ending
    run.seconds = 12.5
    return run
