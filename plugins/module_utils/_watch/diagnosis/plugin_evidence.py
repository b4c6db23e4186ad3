# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be seen of the bot's plugins: their files, processes and logs, and whether one of them answers."""

from __future__ import annotations

import typing as t
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_expectation, credentials, round_trips
from ansible_collections.rosey.nats.plugins.module_utils._bot.bot_python import BotPython
from ansible_collections.rosey.nats.plugins.module_utils._host import process, redaction, system
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import bot_evidence, refusals
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.bot_evidence import File
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.refusals import ServerLog
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import NotSeenError, attempt


@dataclass(frozen=True)
class Running:
    """A process of a plugin. state: as proc(5) writes it. age: in seconds."""

    pid: int
    state: str
    age: float


@dataclass(frozen=True)
class Plugin(bot_expectation.Plugin):
    """An enabled plugin: what it declares, and what is there of it.

    processes: those of the bot's that bear its name. said: the last lines of its log since the bot was started; added:
    those that came while it was asked.
    """

    file: File | NotSeenError
    processes: tuple[Running, ...] = ()
    said: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


@dataclass(frozen=True)
class Probe:
    """Requests that a plugin has to answer. python: of the bot. options: further ones of connect()."""

    trip: round_trips.RoundTrip
    python: str
    options: Mapping[str, t.Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """What was seen. bot_age: of the bot's process, in seconds. probed: the subject of the probe. trips: what came of
    it, None where it was not made."""

    bot: bot_evidence.Evidence
    plugins: tuple[Plugin, ...]
    log: ServerLog | NotSeenError
    bot_age: float = 0.0
    probed: str = ""
    trips: round_trips.Trips | None = None


_SECONDS = 2.0
_WINDOW = 1 << 20
_LINES = 20


def look(bot: bot_evidence.Evidence, probe: Probe | None) -> Evidence:
    """Look at the plugins, and ask the one that listens to the probe's subject."""
    described = bot.described
    pid = 0 if isinstance(bot.unit, NotSeenError) else bot.unit.number("MainPID")
    running = process.read(pid) if pid else None
    children = _children(running.pid) if running else {}
    files = {each.name: described.plugin_file(each.name) for each in described.plugins}
    logs = {each.name: described.plugin_log(each.name) for each in described.plugins}
    sizes = {name: system.size(path) for name, path in logs.items()}
    secrets = bot_evidence.secrets_of(bot_evidence.variables_of(bot.secrets))
    trips = make(bot, probe) if probe and probe.trip.subject and bot.is_connected else None

    def look_at(plugin: bot_expectation.Plugin) -> Plugin:
        path, log = files[plugin.name], logs[plugin.name]
        since = running and running.is_older_than(log)
        return Plugin(
            plugin.name,
            plugin.subscriptions,
            attempt(lambda: bot_evidence.read_file(path, running, described.account)),
            tuple(children.get(plugin.name, ())),
            _lines(log, 0, secrets) if since else (),
            _lines(log, sizes[plugin.name], secrets),
        )

    return Evidence(
        bot,
        tuple(map(look_at, described.plugins)),
        attempt(lambda: refusals.look(bot)),
        running.age if running else 0.0,
        probe.trip.subject if probe else "",
        trips,
    )


def make(bot: bot_evidence.Evidence, probe: Probe, *, seconds: float = _SECONDS) -> round_trips.Trips:
    """Ask as the bot would."""
    variables = bot_evidence.variables_of(bot.secrets)
    servers = bot_evidence.servers_of(bot_evidence.section_of(bot.section), variables, bot.described.servers)
    return round_trips.make_trips(
        probe.trip,
        python=BotPython(probe.python, bot.described.account or None, variables.get(credentials.CA_FILE_VARIABLE)),
        servers=servers,
        options=probe.options,
        credentials=credentials.options_given_by(variables),
        name=bot_evidence.CLIENT_NAME,
        timeout=seconds,
    )


def _children(pid: int) -> dict[str, list[Running]]:
    """Give the processes that a process has started, by the names in their command lines, of files without suffix."""
    found: defaultdict[str, list[Running]] = defaultdict(list)
    try:
        tasks = [task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return found
    for number in " ".join(tasks).split():
        child, state = process.read(int(number)), process.state(Path("/proc", number))
        if child is None or not state:
            continue
        for name in {Path(argument).stem for argument in child.command}:
            found[name].append(Running(child.pid, state, child.age))
    return found


def _lines(path: Path, start: int, secrets: Collection[str]) -> tuple[str, ...]:
    try:
        said = redaction.redact(system.tail(path, _WINDOW, start), secrets)
        return tuple(line for line in said.splitlines()[-_LINES:] if line.strip())
    except OSError:
        return ()
