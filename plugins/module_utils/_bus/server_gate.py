# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server proves that it runs with what was meant, and keeps what it held."""

from __future__ import annotations

import time
import typing as t
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.rosey.nats.plugins.module_utils._bus import turns
from ansible_collections.rosey.nats.plugins.module_utils._bus.results import GateError, Proof
from ansible_collections.rosey.nats.plugins.module_utils._data import (
    asset_gate,
    asset_reading,
    asset_record,
    asset_watch,
    assets,
    cluster_store,
    dangers,
)
from ansible_collections.rosey.nats.plugins.module_utils._data.asset_changes import Accepted, Doing
from ansible_collections.rosey.nats.plugins.module_utils._host import (
    atomic_file,
    background,
    gate,
    process,
    service,
    system,
)
from ansible_collections.rosey.nats.plugins.module_utils._server import (
    answers,
    conf,
    conf_lexer,
    health,
    health_model,
    http_reader,
    measures,
    monitoring,
    programs,
    replicas,
    requirements,
    served_certificates,
    server_files,
    server_log,
)

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **monitoring.ARGUMENTS,
    "version": {"type": "str"},
    "config_file": {"type": "path"},
    "local_files": {"type": "bool", "default": True},
    "since": {
        "type": "dict",
        "options": {
            "config_load_time": {"type": "str", "required": True},
            "log_size": {"type": "int"},
        },
    },
    "service": {"type": "str"},
    "pid_file": {"type": "path"},
    "release_dir": {"type": "path"},
    "deploying": {"type": "bool", "default": False},
    "data": {"type": "path"},
    "restarted": {"type": "bool", "default": False},
    "accepted": {"type": "list", "elements": "str", "default": []},
    "wait": {"type": "float", "default": 30.0},
    "soak": {"type": "float", "default": 0.0},
    "memory_limit": {"type": "int"},
    "slow_consumers_limit": {"type": "int"},
    "connections_limit": {"type": "int"},
    "cluster_members": {"type": "list", "elements": "str", "default": []},
    "held_elsewhere": {"type": "list", "elements": "dict", "default": []},
}
# What the arguments ask of each other.
CONSTRAINTS: dict[str, t.Any] = {
    "required_by": monitoring.REQUIRED_BY,
    "mutually_exclusive": [("service", "pid_file")],
}
# What is a warning where the caller gave no limit of his own, as the defaults of the role health have it.
_WARNING_LIMITS = {"slow_consumers": 0, "connections": 90}
# Replicas are in step where two looks, a second apart, find them so.
_CLUSTER_SOAK = 1.0


def prove(params: Mapping[str, t.Any], run_command: service.RunCommand, *, check_mode: bool) -> Proof:
    """Wait until a server has proven itself, as ARGUMENTS ask for it; GateError where nobody can look."""
    expectation, observer = observer_of(params)
    attempts = service.Attempts(params["service"], run_command) if params["service"] else None
    outcome = look_until_proven(
        observer.look,
        expectation,
        wait=params["wait"],
        timeout=params["timeout"],
        soak=max(params["soak"], _CLUSTER_SOAK if expectation.members and params["wait"] else 0),
        is_hopeless=attempts.is_hopeless if attempts else lambda: has_ended(params["pid_file"]),
    )
    # what is only predicted to be mended is not yet, and the plan has looked at it
    if params["local_files"] and not check_mode:
        outcome = prove_files(outcome, running_of(params, run_command))
        outcome = prove_certificates(outcome, params["config_file"], seconds=params["timeout"])
        if expectation.members:
            outcome = prove_store(outcome, params["accepted"])
    if params["held_elsewhere"]:
        outcome = prove_replicas(outcome, params["held_elsewhere"])
    try:
        outcome = prove_assets(params, outcome, expectation, check_mode=check_mode)
    except http_reader.MonitoringError as error:
        finding = gate.Finding("jetstream", f"all streams at {error.url}", error.cause, error.remedy)
        outcome = with_findings(outcome, [finding])
    except atomic_file.ReleaseError as error:
        raise GateError(f"releases: what JetStream holds can't be kept: {error}") from error
    result = result_of(outcome, expectation)
    if outcome.judgement.passed:
        return Proof(result, "", tuple(map(str, outcome.judgement.findings)))
    silent = outcome.snapshot is None and params["local_files"]
    unanswered = outcome.judgement.findings[0].what == "monitoring"
    words = {
        "Its log": server_log.last_words(expectation.log_file) if silent else None,
        "The journal": attempts.last_words() if attempts and unanswered else None,
        "Its output": last_output(params["pid_file"]) if unanswered and has_ended(params["pid_file"]) else None,
    }
    return Proof(result, failure(outcome, params["monitoring_url"], params["wait"], words))


def observer_of(params: Mapping[str, t.Any]) -> tuple[health_model.Expectation, health.Observer]:
    """Give what is meant, and the one that looks; GateError."""
    if not http_reader.HAS_REQUESTS:
        raise GateError(missing_required_lib("requests"))
    if faults := [fault for name in ("wait", "soak") if (fault := gate.wait_problem(params[name], name))]:
        raise GateError("\n".join(faults))
    since = params["since"]
    if since and answers.moment(since["config_load_time"]) is None:
        raise GateError(
            f"since.config_load_time: {since['config_load_time']} is no time; expected one with its zone, such as "
            "2025-11-18T10:00:00Z; give the mark of an earlier run of this module as since"
        )
    try:
        expectation = expectation_of(params)
        return expectation, health.Observer(monitoring.connect(params), expectation)
    except OSError as error:
        raise GateError(
            f"config_file: {error.filename} can't be read: {error.strerror}; expected the configuration that the "
            "server runs with; name it, and run the module as a user who may read it"
        ) from error
    except conf_lexer.ConfError as error:
        raise GateError(
            f"config_file: {params['config_file']}: {error}; expected a configuration that nats-server reads; "
            f"correct it, nats-server -t -c {params['config_file']} tells more"
        ) from error
    except (programs.ArchiveError, http_reader.MonitoringError) as error:
        raise GateError(str(error)) from error


@dataclass(frozen=True)
class Outcome:
    """How the waiting ended; times in seconds, None for what did not happen. snapshot: of the last answer.

    lost: the server had proven itself, and then no longer did. missing: it has, but not all that it held is there.
    """

    judgement: health_model.Judgement
    snapshot: health_model.Snapshot | None
    first_answer: float | None
    passed: float | None
    lost: bool = False
    missing: bool = False


def look_until_proven(
    look: Callable[[float, Callable[[], None]], health_model.Snapshot],
    expectation: health_model.Expectation,
    *,
    wait: float,
    timeout: float,
    soak: float = 0,
    is_hopeless: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> Outcome:
    """Look until the server has proven what was meant, has refused to, or for wait seconds, at least once.

    Then go on for soak seconds as long as the same process proves it.
    look: gives a snapshot, or raises MonitoringError, within so many seconds for each answer; it calls its second
    argument as soon as the server has answered at all. is_hopeless: tells of a server that does not answer that none
    will.
    """
    snapshot: health_model.Snapshot | None = None
    proven = ""

    def judged(seconds: float, answered: Callable[[], None]) -> health_model.Judgement:
        nonlocal snapshot, proven
        try:
            snapshot = look(seconds, answered)
        except http_reader.MonitoringError as error:
            return replace(health.unanswered(error, expectation), final=is_hopeless())
        judgement = health.judge(snapshot, expectation)
        server = str(snapshot.varz["server_id"])
        if proven not in ("", server):
            return health.started_anew(judgement, proven, server)
        if judgement.passed:
            proven = server
        return judgement

    waited = gate.wait_for(
        judged,
        wait=wait,
        timeout=timeout,
        soak=soak,
        is_final=lambda judgement: judgement.final,
        clock=clock,
        pause=pause,
    )
    lost = waited.passed is not None and not waited.last.passed
    return Outcome(waited.last, snapshot, waited.first_answer, waited.passed, lost)


def result_of(outcome: Outcome, expectation: health_model.Expectation) -> dict[str, t.Any]:
    """Give the module's result."""
    judgement = outcome.judgement
    result: dict[str, t.Any] = {
        "passed": judgement.passed,
        "summary": judgement.summary,
        "findings": [finding.as_result() for finding in judgement.findings],
        "meant": judgement.meant,
        "proven": judgement.proven,
        "trusted": list(judgement.trusted),
    }
    if outcome.snapshot and outcome.first_answer is not None:
        varz = outcome.snapshot.varz
        result["server"] = {"id": varz["server_id"], "name": varz["server_name"], "version": varz["version"]}
        result["mark"] = asdict(health.mark(varz, expectation.log_file))
        result["first_answer_seconds"] = round(outcome.first_answer, 4)
        if held := held_now(outcome):
            result["held"] = held.as_result()
    if outcome.passed is not None and judgement.passed:
        result["gate_passed_seconds"] = round(outcome.passed, 4)
    return result


def failure(outcome: Outcome, url: str, wait: float, words: Mapping[str, str | None]) -> str:
    """Give the message of a server that did not prove itself. words: its last, by where it wrote them."""
    judgement = outcome.judgement
    who = f"nats-server at {url}"
    if outcome.missing:
        heading = f"{who} has proven what was meant, but not all that JetStream held is there: {judgement.summary}."
        said = "\n".join([heading, *(f"- {finding}." for finding in judgement.findings)])
    else:
        said = gate.failure(who, wait, judgement.summary, judgement.findings, lost=outcome.lost)
    return said + "".join(f"\n{place} ends with: {text}" for place, text in words.items() if text)


def read_config(path: Path) -> dict[str, t.Any]:
    """Read a configuration with the files that it includes; OSError, ConfError."""

    def read(file: Path) -> str:
        return system.read_text(file, "surrogateescape")

    return conf.parse(read(path), include=lambda included: read(path.parent / included))


def has_ended(pid_file: str | None) -> bool:
    """Say whether the process that a file names has ended; where none is named it has not."""
    pid = background.noted(Path(pid_file)) if pid_file is not None else None
    return pid is not None and process.read(pid) is None


def last_output(pid_file: str) -> str:
    """Give what a process wrote last before its log opened or as it crashed, less what looks like a secret."""
    try:
        return background.last_lines(background.output_file(Path(pid_file)))
    except OSError:
        return ""


def expectation_of(params: Mapping[str, t.Any]) -> health_model.Expectation:
    """Make the expectation from the module's parameters; ArchiveError for no version, OSError, ConfError."""
    thresholds = {}
    for name in measures.MEASURES:
        limit = params[f"{name}_limit"]
        if limit is not None:
            thresholds[name] = health_model.Threshold(limit, gate.Severity.ERROR)
        elif name in _WARNING_LIMITS:
            thresholds[name] = health_model.Threshold(_WARNING_LIMITS[name], gate.Severity.WARNING)
    return health.expect(
        read_config(Path(params["config_file"])) if params["config_file"] else {},
        version=programs.check_version(params["version"]) if params["version"] else None,
        since=health_model.Mark(**params["since"]) if params["since"] else None,
        local_files=params["local_files"],
        thresholds=thresholds,
        members=params["cluster_members"] or (),
    )


def prove_assets(
    params: Mapping[str, t.Any], outcome: Outcome, expectation: health_model.Expectation, *, check_mode: bool
) -> Outcome:
    """Add what is missing of JetStream's assets to what a server has proven, and keep what there is.

    MonitoringError, ReleaseError.
    """
    is_proven = outcome.judgement.passed
    # what is wrong otherwise may have come of what is missing
    if params["release_dir"] is None or outcome.snapshot is None or not (is_proven or params["deploying"]):
        return outcome
    book = asset_record.Book(Path(params["release_dir"]))
    words = set(params["accepted"])
    seen = book.checkpoint() if params["deploying"] else asset_record.Checkpoint()
    monitor = monitoring.connect({**params, "timeout": asset_reading.SECONDS})
    if seen.doing is Doing.RESTART and seen.after is None and not check_mode:
        data = Path(params["data"]) if params["data"] else None
        asset_watch.Watch(book, log_file=expectation.log_file, data=data).note_after(lambda: asset_reading.ask(monitor))
        seen = book.checkpoint()
    if seen.before is None and params["restarted"]:
        # nobody has looked right before the stop, as of a container
        seen = replace(seen, before=seen.observed, doing=Doing.RESTART)
    now = asset_reading.ask(monitor)
    config = read_config(Path(params["config_file"])) if params["config_file"] else {}
    accepted = dangers.accepting(words, config)
    found = [loss.finding for loss in asset_gate.losses(seen, now, accepted)]
    if is_proven and gate.passed(found) and not check_mode:
        # the way back, which accepts all, gives up nothing
        meant = dangers.accepting(words - {dangers.ALL}, config)
        there = seen.observed.streams if seen.observed else now.streams

        def given_up(stream: assets.Stream, consumer: assets.Consumer | None) -> bool:
            is_gone = "gone_streams" in words and stream.key not in there
            return is_gone or meant(stream, consumer)

        keep(book, now, given_up, anew=params["deploying"], accepted=words)
    return with_findings(outcome, found)


def prove_files(outcome: Outcome, running: process.Process | None) -> Outcome:
    """Add what the server's account may not read or write, so that it would not start again."""
    if not outcome.judgement.passed or running is None:
        return outcome
    try:
        found = server_files.look(running).findings
    except server_files.UnseenError:
        return outcome
    judgement = replace(outcome.judgement, findings=gate.errors_first([*outcome.judgement.findings, *found]))
    return replace(outcome, judgement=judgement)


def prove_certificates(outcome: Outcome, config_file: str | None, *, seconds: float) -> Outcome:
    """Add the listeners that show another certificate than their files have, as after a reload that was refused."""
    if not outcome.judgement.passed or config_file is None:
        return outcome
    listeners = requirements.tls_listeners(read_config(Path(config_file)))
    looks = (served_certificates.look(each, seconds=seconds) for each in listeners if not each.is_of_servers)
    remedy = "reload the server, and look at its log where it refuses the files"
    found = [finding for each in looks if (finding := served_certificates.stale(each, remedy))]
    return with_findings(outcome, found) if found else outcome


def prove_store(outcome: Outcome, accepted: Collection[str]) -> Outcome:
    """Add that a member runs on the store of another cluster. accepted: the words that were given."""
    if outcome.snapshot is None or not outcome.judgement.passed or turns.FOREIGN in accepted:
        return outcome
    varz = outcome.snapshot.varz
    finding = cluster_store.foreign(varz, cluster_store.peers_of(varz))
    return with_findings(outcome, [finding]) if finding else outcome


def prove_replicas(outcome: Outcome, held: Sequence[Mapping[str, t.Any]]) -> Outcome:
    """Add what this server, or one that was looked at before, lacks of a stream; GateError.

    held: what earlier runs gave as `held`, in the order of their time.
    """
    now = held_now(outcome)
    if not outcome.judgement.passed or now is None:
        return outcome
    try:
        looks = [*map(replicas.look_of, held), now]
    except (KeyError, TypeError, AttributeError):
        raise GateError(
            "held_elsewhere has what no run of this module gave; expected a list of what others returned as held, in "
            "the order of their time"
        ) from None
    return with_findings(outcome, [*replicas.findings(looks)])


def held_now(outcome: Outcome) -> replicas.Look | None:
    """Give what the server holds of streams with replicas; None where it is in no cluster."""
    sight = outcome.snapshot.cluster if outcome.snapshot else None
    return replicas.Look(str(outcome.snapshot.varz["server_name"]), sight.held) if outcome.snapshot and sight else None


def running_of(params: Mapping[str, t.Any], run_command: service.RunCommand) -> process.Process | None:
    """Give the server's process where the module's parameters lead to it."""
    try:
        if params["service"]:
            return service.look_up(params["service"], run_command).running
        return process.read(int(Path(params["pid_file"]).read_text(encoding="ascii"))) if params["pid_file"] else None
    except (OSError, ValueError, service.ServiceError):
        return None


def keep(
    book: asset_record.Book, now: assets.Assets, given_up: Accepted, *, anew: bool, accepted: Collection[str]
) -> None:
    """Keep what has been proven to be there; ReleaseError.

    anew: also where only numbers differ. accepted: the words that were given; without theirs a damaged file stays,
    since what is there now may lack what it told of.
    """
    try:
        before = book.proven()
    except atomic_file.DamagedError:
        if "gone_streams" not in accepted:
            return
        before = None
    known = asset_gate.known_from_now_on(before.assets if before else None, now, given_up)
    if anew or before is None or before.assets.names() != known.names():
        book.prove(asset_record.proven_now(known))


def with_findings(outcome: Outcome, findings: Sequence[gate.Finding]) -> Outcome:
    """Add findings to what came of the waiting; with an error among them it has not passed."""
    judgement = replace(outcome.judgement, findings=gate.errors_first([*outcome.judgement.findings, *findings]))
    return replace(outcome, judgement=judgement, missing=outcome.judgement.passed and not judgement.passed)
