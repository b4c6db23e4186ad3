# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the releases of a host say against a run, before anything is touched.

A release belongs to an environment, and to an instance, which is what runs the server. It has a bot or none, and was
proven as a whole. A run that is of another environment or instance, that finds no bot where the release has one, or
that changes for the server alone what the bot connects by, is refused unless its word is given.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from ansible_collections.rosey.nats.plugins.module_utils._deploy import history, release
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file
from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum

OPTION = "release_accept"
BOT_PARTS = ("bot", "plugins")
# What a second instance needs beside its releases: these have all that a server writes, its pid file among them.
_OF_ITS_OWN = ("nats_server_config_dir", "nats_server_data_dir", "nats_server_log_dir")


class Word(StrEnum):
    """What accepts a refusal, in the option release_accept."""

    OTHER_ENVIRONMENT = "other_environment"
    OTHER_INSTANCE = "other_instance"
    ABSENT_BOT = "absent_bot"
    UNPROVEN_BOT = "unproven_bot"
    # of the hosts of a run together, which none of them can know: the filter rollback_problem
    MIXED_RUNS = "mixed_runs"


ARGUMENT: dict[str, t.Any] = {
    "type": "dict",
    "options": {
        "environment": {"type": "str", "default": ""},
        "server": {
            "type": "dict",
            "default": {},
            "options": {
                "runtime": {"type": "str"},
                "service": {"type": "str"},
                "container": {"type": "str"},
                "config_file": {"type": "path"},
            },
        },
        "parts": {"type": "list", "elements": "str", "choices": list(release.PARTS), "default": []},
        "accept": {"type": "list", "elements": "str", "choices": list(Word), "default": []},
    },
}


@dataclass(frozen=True)
class Instance:
    """What runs a server, of which a host may have several. name: as a directory may be called."""

    what: str
    name: str

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True)
class Run:
    """Who asks. environment: empty where it is not known; instance: likewise None. parts: of a release, applied."""

    environment: str = ""
    instance: Instance | None = None
    parts: tuple[str, ...] = ()
    accept: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Verdict:
    """What comes of a run. refusals: whole sentences. drops: the parts that the release to be recorded lacks."""

    refusals: tuple[str, ...] = ()
    drops: tuple[str, ...] = ()


def run_of(run: Mapping[str, t.Any] | None) -> Run:
    """Read ARGUMENT; without it nothing is known of the run, and nothing speaks against it."""
    if run is None:
        return Run()
    return Run(
        environment=run["environment"],
        instance=instance(run["server"]),
        parts=tuple(run["parts"]),
        accept=frozenset(run["accept"]),
    )


def check_name(directory: Path, origin: history.Origin) -> None:
    """Make sure that a run can have its name, which no other one of this host has; ReleaseError."""
    if not origin.run:
        return
    if problem := history.name_problem(origin.run):
        raise atomic_file.ReleaseError(problem)
    turns = release.Store(directory).listing().turns
    other = next(
        (each for each in turns if each.origin.run == origin.run and each.origin.process != origin.process), None
    )
    if other:
        raise atomic_file.ReleaseError(
            f"{history.OPTION}: {origin.run} is the name of another run, which brought this host to "
            f"{other.release or 'no release'} at {other.time}: {history.told(other.origin, other.controller)}. Nothing "
            f"was touched; give this run a name of its own, such as {origin.run}-2."
        )


def consult(
    params: Mapping[str, t.Any], *, no_bot: str = "", access: Sequence[str] = (), files: Sequence[str] = ()
) -> tuple[str, ...]:
    """Ask the releases of this host about the run of a module that plans, and give the parts to be dropped.

    ReleaseError, with all that speaks against it. params: the module's parameters releases, release and run. files:
    the names of what else the run writes into that directory.
    """
    directory = Path(params["release_dir"])
    store = release.Store(directory)
    if params["run"] is not None:
        # a way back that happens by itself is not held up by what it has to write
        store.check_places(files)
    # a release that is damaged lets nobody in
    latest = store.latest()
    applied = store.find(params["release"]["id"]) if params["release"] else latest
    verdict = judge(run_of(params["run"]), directory, applied, latest, no_bot=no_bot, access=access)
    # a way back that happens by itself says nothing of a run, and is not held up
    if verdict.refusals and params["run"] is not None:
        raise atomic_file.ReleaseError("\n".join(verdict.refusals))
    return verdict.drops if params["run"] is not None else ()


def instance(settings: Mapping[str, t.Any]) -> Instance | None:
    """Give the instance of a server's settings, also of those that a release recorded; None where they don't say it."""
    runtime, service = settings.get("runtime"), str(settings.get("service") or "").removesuffix(".service")
    container, config_file = settings.get("container"), settings.get("config_file")
    if runtime == "systemd" and service:
        return Instance(f"the service {service}", service)
    if runtime == "docker" and container:
        return Instance(f"the container {container}", str(container))
    if runtime == "process" and config_file:
        return Instance(f"the process with {config_file}", PurePath(str(config_file)).parent.name)
    return None


def of_another(directory: Path, current: release.Record | None, settings: Mapping[str, t.Any]) -> str:
    """Say that the releases in a directory are of another server than the one with these settings; empty else."""
    own, server = instance(settings), current.parts.get("server") if current else None
    owner = instance(server.settings) if server else None
    if own is None or owner is None or own == owner:
        return ""
    return f"the releases in {directory} are of {owner}, not of {own}"


def environments(record: release.Record) -> tuple[str, ...]:
    """Name the environments of a release's parts; none where only a part says so that does not know its own."""
    named = (part.settings.get("environment") for part in record.parts.values())
    return tuple(dict.fromkeys(str(each) for each in named if each))


def judge(
    run: Run,
    directory: Path,
    applied: release.Record | None,
    current: release.Record | None,
    *,
    no_bot: str = "",
    access: Sequence[str] = (),
) -> Verdict:
    """Say what speaks against a run.

    directory: of the releases. applied: what is compared with the run: the release that it goes back to, or else the
    current one, None where there is none. no_bot: why the host has no bot, empty where it has one, or nobody looked.
    access: what of the server's configuration changes by which the bot of the current release connects.
    """
    objections: dict[Word, str] = {}
    if applied:
        objections |= dict(_strangers(run, directory, applied))
        if no_bot and has_bot(applied):
            objections[Word.ABSENT_BOT] = (
                f"The release of this host, {applied.id}, has a bot, and {no_bot}. Bring it back, such as by mounting "
                "what is missing; where the bot is gone for good"
            )
    if current and access and leaves_bot_out(run, current):
        objections[Word.UNPROVEN_BOT] = (
            f"{', '.join(access)}: it changes, and the bot of release {current.id}, which this run leaves out, "
            "connects by it. Deploy both at once, without --tags, so that both are proven; where the bot is to be left "
            "alone, and is to be in no release until it is proven"
        )
    drops = BOT_PARTS if {Word.ABSENT_BOT, Word.UNPROVEN_BOT} & objections.keys() else ()
    refused = ((word, why) for word, why in objections.items() if word not in run.accept)
    return Verdict(tuple(f"{why}, set {OPTION}: [{word}]. Nothing was touched." for word, why in refused), drops)


def _strangers(run: Run, directory: Path, record: release.Record) -> Iterator[tuple[Word, str]]:
    others = [each for each in environments(record) if run.environment and each != run.environment]
    if others:
        yield (
            Word.OTHER_ENVIRONMENT,
            f"The release of this host, {record.id}, is of {others[0]}, and this run is of {run.environment}. Take the "
            f"inventory of {others[0]}; where both are to be on the host, set release_dir: "
            f"{directory}-{run.environment}, and what else each needs of its own; where the host is to change from one "
            "to the other",
        )
    server = record.parts.get("server")
    owner = instance(server.settings) if server else None
    if owner and run.instance and owner != run.instance:
        yield (
            Word.OTHER_INSTANCE,
            f"The releases in {directory} are of {owner}, and this run is of {run.instance}, so that each would go "
            f"back to what the other had. Set release_dir: {directory}-{run.instance.name}, and a "
            f"{', '.join(_OF_ITS_OWN[:-1])} and {_OF_ITS_OWN[-1]} of its own; where this one takes the place of that "
            "one",
        )


def has_bot(record: release.Record | None) -> bool:
    """Say whether a release has a bot."""
    return record is not None and "bot" in record.parts


def has_legacy_bot(record: release.Record | None) -> bool:
    """Say whether a release has a bot that runs without NATS."""
    return record is not None and "bot" in record.parts and record.parts["bot"].settings.get("mode") == "legacy"


def leaves_bot_out(run: Run, current: release.Record | None) -> bool:
    """Say whether a run applies the server alone, though there is a bot that goes over it."""
    if current is None or "server" not in run.parts or "bot" in run.parts:
        return False
    return has_bot(current) and not has_legacy_bot(current)
