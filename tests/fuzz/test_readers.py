# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a host holds: every reader gives a value or an error of ours, never one of Python's.

FUZZ_CASES says how many damaged samples each reader gets, FUZZ_SEED which.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._bot import (
    bot_expectation,
    bot_health,
    client_options,
    subscriptions,
)
from ansible_collections.rosey.nats.plugins.module_utils._data import (
    asset_changes,
    asset_reading,
    asset_record,
    asset_store,
    assets,
    before_change,
    cluster_store,
    dangers,
    lost_streams,
    store,
    store_tree,
)
from ansible_collections.rosey.nats.plugins.module_utils._deploy import known, lease, release
from ansible_collections.rosey.nats.plugins.module_utils._host import (
    atomic_file,
    background,
    environment_file,
    gate,
    process,
    redaction,
    service,
    sockets,
    yaml_section,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import compare, show, spec
from ansible_collections.rosey.nats.plugins.module_utils._server import (
    answers,
    archive,
    cluster,
    cluster_reading,
    conditions,
    conf,
    conf_lexer,
    endpoints,
    health,
    health_model,
    http_reader,
    info_line,
    measures,
    monitoring,
    plan,
    programs,
    replicas,
    requirements,
    server_log,
    subjects,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.options import check, reading
from ansible_collections.rosey.nats.plugins.module_utils._watch import checks, health_snapshot
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import bot_evidence, evidence
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import NotSeenError
from ansible_collections.rosey.nats.tests.fuzz import damage, samples
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import BOT

CASES = int(os.environ.get("FUZZ_CASES", "5000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))

EXPECTED = health.expect(
    samples.CONFIG,
    version="2.10.7",
    thresholds={each: health_model.Threshold(1.0, gate.Severity.WARNING) for each in measures.MEASURES},
)

SITUATION = before_change.Situation(
    after=reading.canonical(samples.CONFIG),
    action=Action.RESTART,
    held=samples.ASSETS,
    stored=samples.ASSETS,
    proven=samples.ASSETS,
    varz=samples.VARZ,
    ran=["2.9.25"],
    version="2.10.7",
)

# The second is of an address that a variable gives.
CONFIGURATION_ERRORS = (conf_lexer.ConfError, requirements.UnknownError)

Damage = Callable[[random.Random, Any], Any]


@dataclass(frozen=True)
class Reader:
    """What reads something of a host.

    samples: what it may be given when nothing is wrong. damage: how these are damaged. read: takes what came of that,
    and a directory of its own. ours: the errors that it may raise.
    """

    samples: tuple[Any, ...]
    damage: Damage
    read: Callable[[Any, Path], object]
    ours: tuple[type[Exception], ...] = ()


def _file(directory: Path, content: bytes, name: str = "file") -> Path:
    path = directory / name
    path.write_bytes(content)
    return path


def _sealed(directory: Path, name: str, body: Any) -> None:
    """Write what another version may have written: whole, and not what this one expects."""
    text = atomic_file.canonical(
        {"format": atomic_file.FORMAT, "sha256": atomic_file.sha256(atomic_file.canonical(body)), "body": body}
    )
    path = directory / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{text}\n")
    path.chmod(0o600)


def _configuration(text: str, _directory: Path) -> None:
    """Do all that is done with the configuration that a host has."""
    conf.redact(text)
    before = conf.parse(text)
    problems = check.problems(before)
    _compared(before)
    if not problems:
        requirements.endpoints(before)
        requirements.monitoring_url(before)
        requirements.client_url(before)
        list(requirements.paths(before))
        requirements.stop(before)
        requirements.is_local(before)


def _mapping(before: Any, directory: Path) -> None:
    """Do the same with what the language can hold, whatever it says."""
    if isinstance(before, dict):
        try:
            text = conf.render(before)
        except conf_lexer.ConfError:
            return
        _configuration(text, directory)


def _compared(before: dict[str, Any]) -> None:
    plan.reasons(before, samples.CONFIG, samples.VARZ)
    health.expect(before)
    known = reading.canonical(before)
    for action in (Action.RELOAD, Action.RESTART):
        dangers.find(replace(SITUATION, action=action, before=known))


def _records(body: Any, directory: Path) -> None:
    _sealed(directory, f"releases/{samples.RELEASE}.json", body)
    atomic_file.put(directory / "current", f"{samples.RELEASE}\n")
    found = release.Store(directory)
    listing = found.listing()
    listing.previous()
    entries, settings = samples.RECORD["parts"]["server"]["entries"], samples.RECORD["parts"]["server"]["settings"]
    known.observe(directory, ["server"], settings, entries)
    found.rehearse({"server": release.Part(settings, entries)}, keep=3)


def _record_file(content: bytes, directory: Path) -> None:
    (directory / "releases").mkdir(exist_ok=True)
    _file(directory / "releases", content, f"{samples.RELEASE}.json").chmod(0o600)
    _file(directory, content[:30], "current").chmod(0o600)
    release.Store(directory).listing().previous()
    _file(directory, content, lease.NAME).chmod(0o600)
    lease.look(directory)


def _lease(body: Any, directory: Path) -> None:
    _sealed(directory, lease.NAME, body)
    claimed = lease.Claim("other-1", 1, "1")
    now = datetime(2027, 1, 1, tzinfo=UTC)
    lease.decide(lease.look(directory), claimed, seen_sequence=1, seconds=60, may_take_over=True, now=now)


def _proven(body: Any, directory: Path) -> None:
    _sealed(directory, asset_record.PROVEN, body)
    book = asset_record.Book(directory)
    try:
        proven = lost_streams.read(directory)
    except lost_streams.NotComparedError:
        book.prove(asset_record.proven_now(samples.ASSETS))
        proven = book.proven()
    if proven:
        _judged(proven.assets)


def _judged(found: assets.Assets) -> None:
    """Do all that is done with assets that were read somewhere."""
    found.counts()
    found.names()
    assets.as_table(found)
    for doing in asset_changes.Doing:
        asset_changes.losses(found, samples.ASSETS, doing)
        asset_changes.losses(samples.ASSETS, found, doing)


def _checkpoint(body: Any, directory: Path) -> None:
    _sealed(directory, "checkpoint.json", body)
    seen = asset_record.Book(directory).checkpoint()
    for each in (seen.observed, seen.before, seen.after):
        if each is not None:
            _judged(each)
            for doing in asset_changes.Doing:
                asset_changes.losses(each, samples.ASSETS, doing, restored=seen.restored or {})


def _store(content: bytes, directory: Path) -> None:
    """Damage one file of a store, and read all of it."""
    stream = directory / "$G" / "streams" / "CHAT"
    for name, good in samples.STORE.items():
        (stream / name).parent.mkdir(parents=True, exist_ok=True)
        (stream / name).write_bytes(good)
    name, _divider, rest = content.partition(b"|")
    target = {each.encode(): each for each in samples.STORE}.get(name, "meta.inf")
    (stream / target).write_bytes(rest)
    _judged(asset_store.read(directory))


def _damaged_store(luck: random.Random, sample: Any) -> bytes:
    name, content = sample
    by = damage.damaged_bytes if not name.endswith(".inf") or luck.random() < 0.3 else None
    text = by(luck, content) if by else damage.damaged_json(luck, json.loads(content))
    return name.encode() + b"|" + text


def _facts(value: Any, directory: Path) -> None:
    copy = directory / "20261126T130035Z"
    (copy / store_tree.DATA).mkdir(parents=True, exist_ok=True)
    (copy / store.FACTS).write_bytes(value)
    copies, _damaged = store.list_copies(directory)
    for each in copies:
        each.as_result()
        store.since(each, ())
        store.missed(each, samples.ASSETS)
    store.newest_of_line(copies, "2.10.7")
    store.superfluous(copies, 1)


def _verified(content: bytes, directory: Path) -> None:
    binary = archive.binary_path(directory, "2.10.7")
    binary.parent.mkdir(exist_ok=True)
    binary.write_bytes(b"\x7fELF")
    (binary.parent / archive.VERIFIED).write_bytes(content)
    archive.installed(directory, "2.10.7", None)


def _peers(content: bytes, directory: Path) -> None:
    (directory / "$SYS/_js_/_meta_").mkdir(parents=True, exist_ok=True)
    _file(directory / "$SYS/_js_/_meta_", content, "peers.idx")
    cluster_store.peers(directory, "$SYS")


def _manifest(content: bytes, directory: Path) -> None:
    (directory / "plugins").mkdir(exist_ok=True)
    _file(directory / "plugins", content, ".manifest")
    compare.look([{"path": str(directory / "plugins"), "state": "directory", "manifest": ".manifest"}])


def _section(content: bytes, directory: Path) -> None:
    yaml_section.find(content, "nats")
    path = _file(directory, content, "config.yaml")
    show.diff(compare.compare([{"path": str(path), "state": "section", "key": "nats", "content": "nats:\n  a: 1\n"}]))


def _section_of_bot(content: bytes, directory: Path) -> None:
    path = _file(directory, content, "config.yaml")
    section = bot_evidence.section_of(bot_evidence.read_file(path, None, ""))
    client_options.problems(section, "production")
    bot_evidence.servers_of(section, {}, ["nats://localhost:4222"])


def _variables(content: bytes, directory: Path) -> None:
    path = _file(directory, content, "secrets.env")
    variables = bot_evidence.variables_of(bot_evidence.read_file(path, None, ""))
    bot_evidence.secrets_of(variables)
    show.diff(compare.compare([{"path": str(path), "state": "variables", "secret_variables": {"NATS_USER": "a"}}]))


def _log(content: bytes, directory: Path) -> None:
    path = _file(directory, content, "nats.log")
    server_log.last_words(path)
    server_log.read_log(content, samples.SERVER_ID, 10)
    text = content.decode("utf-8", "replace")
    asset_changes.restored_in(text)
    redaction.redact(text)


def _stat(text: str, _directory: Path) -> None:
    process.parse_stat(text)


def _sockets(text: str, _directory: Path) -> None:
    sockets.parse_listening(text)


def _pid_file(content: bytes, directory: Path) -> None:
    path = _file(directory, content, "nats-server.pid")
    program = background.Server(directory / "binary", directory / "config", path)
    background.is_noted(program, 1)
    process.owner(path)


def _systemd(text: str, _directory: Path) -> None:
    service.look_up("nats", lambda _words: (0, text, ""))
    attempts = service.Attempts("nats", lambda _words: (0, text, ""))
    attempts.is_hopeless()
    attempts.is_hopeless()
    attempts.last_words()


def _journal(text: str, _directory: Path) -> None:
    evidence.read_journal_line(text)


def _greeting(text: str, _directory: Path) -> None:
    said = info_line.read(text)
    if said is not None:
        said.get("server_id")


def _answers(body: Any, _directory: Path) -> None:
    """Give a damaged answer at one endpoint of a monitoring endpoint, and do all that is done with it."""
    name, answer = body
    told = {**samples.ANSWERS, name: answer}
    monitor = _Monitor(told)
    given = monitor.read_each(endpoints.ENDPOINTS, detailed=("connz",))
    snapshot = health_snapshot.Snapshot(given, told=bot_health.Told(200, BOT), held=None)
    expectation = health_snapshot.Expectation(
        server_name="a", version="2.10.7", jetstream=True, cluster=True, bot=samples.BOT_EXPECTATION
    )
    for checked in checks.judge(snapshot, expectation):
        checked.as_result()
    varz, jsz, healthz = monitor.varz(), monitor.jsz(), monitor.healthz()
    health.mark(varz, None)
    with_jetstream = health.with_jetstream(varz, jsz)
    list(health.denied(samples.CONFIG, with_jetstream))
    str(health.judge(health_model.Snapshot(varz, healthz, jsz, None, {}), EXPECTED).summary)
    conditions.is_starting(healthz)
    subscriptions.held_by_name(monitor.read("connz", details=True), monitor.url)
    answers.routed_servers(monitor.read("routez"))
    cluster.standing(varz, jsz, monitor.read("routez"), MEMBERS)
    sight = cluster_reading.look(monitor, varz["server_name"], pause=lambda _seconds: None)
    "".join(map(str, cluster.findings(sight, varz, MEMBERS)))
    cluster.leaders(sight)
    looked = [replicas.Look(name, sight.held) for name in MEMBERS]
    "".join(map(str, replicas.findings([*looked, replicas.look_of(looked[0].as_result())])))
    held = asset_reading.ask(monitor)
    ran = [varz["version"]] if programs.is_version(varz["version"]) else []
    dangers.find(replace(SITUATION, before={}, held=held, varz=with_jetstream, ran=ran))
    _judged(held)


def _damaged_answer(luck: random.Random, sample: Any) -> tuple[str, bytes]:
    name, answer = sample
    return name, damage.damaged_json(luck, answer)


MEMBERS = ("rosey_nats_prod", "b", "c")


class _Monitor(monitoring.Monitor):
    """Asks nobody: the answers are given."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        super().__init__("http://127.0.0.1:8222")
        self._bodies = {
            name: answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            for name, answer in answers.items()
        }

    def _fetch(self, url: str, _query: Mapping[str, str | int], take: Callable[[bytes], object], _most: int = 0) -> int:
        take(self._bodies[url.rpartition("/")[2]])
        return 200


def _bot(answer: Any, _directory: Path) -> None:
    if isinstance(answer, dict):
        for mode in bot_expectation.Mode:
            expectation = bot_expectation.Expectation(
                mode=mode, servers=(bot_expectation.place("nats://localhost:4222"),)
            )
            judgement = bot_health.judge(bot_health.Snapshot(bot_health.Told(200, answer)), expectation)
            json.dumps(judgement.seen)
            "".join(map(str, judgement.findings))


def _table(table: Any, _directory: Path) -> None:
    found = assets.from_table(table)
    _judged(found)


def _names(subject: str, _directory: Path) -> None:
    subjects.is_valid(subject)
    subjects.fault(subject)


READERS: dict[str, Reader] = {
    "configuration": Reader(samples.CONFIGURATIONS, damage.damaged_text, _configuration, CONFIGURATION_ERRORS),
    "configuration of other values": Reader(
        (samples.CONFIG, samples.WIDE_CONFIG), damage.damaged_value, _mapping, CONFIGURATION_ERRORS
    ),
    "records": Reader((samples.RECORD,), damage.damaged_value, _records),
    "sealed files": Reader(samples.SEALED, damage.damaged_bytes, _record_file),
    "lease": Reader((samples.LEASE,), damage.damaged_value, _lease),
    "proven assets": Reader(
        ({"time": "2026-11-26T13:00:35Z", "assets": samples.TABLE},),
        damage.damaged_value,
        _proven,
        (lost_streams.NotComparedError,),
    ),
    "checkpoint": Reader((samples.CHECKPOINT,), damage.damaged_value, _checkpoint),
    "table of assets": Reader((samples.TABLE,), damage.damaged_value, _table, (ValueError,)),
    "store": Reader(tuple(samples.STORE.items()), _damaged_store, _store),
    "facts of a copy": Reader((samples.FACTS,), damage.damaged_json, _facts),
    "record of a binary": Reader((samples.VERIFIED,), damage.damaged_json, _verified),
    "peers": Reader((samples.PEERS,), damage.damaged_bytes, _peers),
    "manifest": Reader((["a.yaml", "b.yaml"],), damage.damaged_json, _manifest, (spec.StateError,)),
    "section": Reader(samples.BOT_FILES, damage.damaged_bytes, _section, (yaml_section.SpliceError, spec.StateError)),
    "section of the bot": Reader(
        samples.BOT_FILES, damage.damaged_bytes, _section_of_bot, (bot_evidence.BrokenError, NotSeenError)
    ),
    "variables": Reader(
        (samples.VARIABLES,),
        damage.damaged_bytes,
        _variables,
        (bot_evidence.BrokenError, environment_file.EnvironmentFileError, NotSeenError, spec.StateError),
    ),
    "log": Reader((samples.LOG,), damage.damaged_bytes, _log),
    "process": Reader((samples.STAT,), damage.damaged_text, _stat, (ValueError,)),
    "sockets": Reader((samples.SOCKETS,), damage.damaged_text, _sockets),
    "pid file": Reader((b"4242\n",), damage.damaged_bytes, _pid_file),
    "systemd": Reader((samples.UNIT,), damage.damaged_text, _systemd, (service.ServiceError,)),
    "journal": Reader((samples.JOURNAL,), damage.damaged_text, _journal),
    "greeting": Reader((samples.GREETING,), damage.damaged_text, _greeting),
    "monitoring": Reader(tuple(samples.ANSWERS.items()), _damaged_answer, _answers, (http_reader.MonitoringError,)),
    "bot": Reader((BOT,), damage.damaged_value, _bot),
    "subjects": Reader(("rosey.dev.commands.>",), damage.damaged_text, _names),
}


@pytest.fixture
def directory() -> Iterator[Path]:
    """Give a directory in memory where there is one: what is tested is how files are read, not how disks write."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as path:
        yield Path(path)


@pytest.mark.parametrize("name", READERS)
def test_nothing_that_is_read_raises_an_error_of_python(name: str, directory: Path) -> None:
    reader = READERS[name]
    failures: dict[str, str] = {}
    started = time.process_time()
    refused = 0
    for case in range(CASES):
        luck = random.Random(f"{SEED} {name} {case}")
        given = reader.damage(luck, luck.choice(reader.samples))
        try:
            reader.read(given, directory)
        except reader.ours as error:
            refused += bool(str(error))
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(frame.filename).name}:{frame.lineno} {type(error).__name__}: {str(error)[:100]}"
            failures.setdefault(
                f"{Path(frame.filename).name}:{frame.lineno} {type(error).__name__}",
                f"{place}\n  case {case}: {given!r:.300}",
            )
    print(f"{name}: {CASES} cases, {refused} refused, {time.process_time() - started:.1f} s")
    assert not failures, "\n".join(failures.values())
