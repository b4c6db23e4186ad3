# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option table against the real server: what the one accepts, ``nats-server -t`` accepts, and the other way round.

Hypothesis makes configurations from the table, sound ones around each option and broken ones for each kind of value.
AGREEMENT_CASES says how many (2,000); with more than that, each run draws other ones. For ``-t`` only the problems of
Stage.CHECK count. What passes is started, on ports and in directories that are there: it has to come up where the table
has nothing against it, and to fail where the table has a problem of Stage.START. Stage.RUN promises neither.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import re
import subprocess
import typing as t
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need
from ansible_collections.rosey.nats.plugins.module_utils._server import conf, conf_reader
from ansible_collections.rosey.nats.plugins.module_utils._server.options import check, lookup, model, reading
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import (
    ANY_NAME,
    INCLUDE,
    Form,
    Format,
    Kind,
    Option,
    Relation,
    Stage,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.options.table import OPTIONS, RULES
from ansible_collections.rosey.nats.tests.integration.material import (
    ACCOUNT,
    CURVE,
    EXPORTED,
    EXPORTER,
    OPERATOR,
    PARENTS,
    ROWS,
    SETTABLE,
    TOP,
    USER,
    Config,
    Material,
    Name,
    make_material,
    nkey,
)
from ansible_collections.rosey.nats.tests.integration.starting import Starter

DEFAULT_CASES = 2000
CASES = int(os.environ.get("AGREEMENT_CASES", DEFAULT_CASES))
SOUND_SHARE, BROKEN_SHARE, RELATED_SHARE = 0.5, 0.45, 0.05  # at least; each option has its rounds
LEAST_ACCEPTED = 5  # cases for each option
LEAST_REJECTED = 20  # cases for each kind of value
STARTED_SHARE = 0.3  # at least
TRIES_FOR_A_PORT = 3  # another program may take it
TRIES = 60  # for a configuration whose faults the server may notice or not
BATCH = 20  # cases that hypothesis draws at once, so that they can be tried at the same time

Draw = st.DrawFn
Values = st.SearchStrategy[t.Any]

# Texts that only the server can judge, for it reads a file or checks a signature: always real ones.
REAL_FORMATS = frozenset({Format.FILE, Format.ACCOUNT_JWT})
REAL_OPTIONS = frozenset({("resolver", "dir"), ("leafnodes.remote", "credentials")})


# Values

words = st.from_regex(r"[a-z][a-z0-9_-]{0,11}", fullmatch=True)
free_texts = st.one_of(words, st.text(st.characters(codec="utf-8"), max_size=12), st.sampled_from(["$HOME", "a b"]))
tokens = st.from_regex(r"[a-z0-9_$-]{1,6}", fullmatch=True)
subjects = st.builds(
    lambda names, end: ".".join([*names, *end]),
    st.lists(tokens | st.just("*"), min_size=1, max_size=3),
    st.sampled_from([[], ["*"], [">"]]),
)
hosts = st.sampled_from(["127.0.0.1", "localhost", "::1", "bus.example.com", ""])
addresses = st.builds(
    lambda host, port: f"[{host}]:{port}" if ":" in host else f"{host}:{port}", hosts, st.integers(-1, 65535)
)
urls = st.builds(
    lambda scheme, user, host, port, path: f"{scheme}://{user}{host}{port}{path}",
    st.sampled_from(["nats", "nats-route", "tls", "ws"]),
    st.sampled_from(["", "rosey@", "rosey:secret@", "rosey:p%40ss@"]),
    st.sampled_from(["127.0.0.1", "[::1]", "bus.example.com"]),
    st.sampled_from(["", ":6222"]),
    st.sampled_from(["", "/", "/a?b=c#d"]),
)


def _public_keys(prefix: int) -> Values:
    return st.binary(min_size=32, max_size=32).map(functools.partial(nkey, prefix))


FORMATS: dict[Format, Values] = {
    Format.ADDRESS: addresses,
    Format.HOST: hosts,
    Format.ADVERTISED: addresses.filter(lambda text: not text.startswith(":")),
    Format.DOMAIN: words,
    Format.BASE_PATH: st.from_regex(r"/?[a-z]{0,4}(/[a-z0-9._~-]{1,4})?", fullmatch=True),
    Format.URL: urls,
    Format.SUBJECT: subjects,
    Format.DESTINATION: st.one_of(words, words, st.sampled_from(["to.$1", "to.{{wildcard(1)}}"])),
    Format.PERMISSION: st.one_of(subjects, st.builds("{} {}".format, subjects, words)),
    Format.USER_KEY: _public_keys(USER),
    Format.ACCOUNT_KEY: _public_keys(ACCOUNT),
    Format.OPERATOR_KEY: _public_keys(OPERATOR),
    Format.CURVE_KEY: _public_keys(CURVE),
    Format.ACCOUNT_NAME: words.map(str.upper),
    Format.FINGERPRINT: st.from_regex(r"[A-Fa-f0-9]{64}", fullmatch=True),
    Format.LEAFNODE_VERSION: st.sampled_from(["2.8.0", "2.9.23", "v2.10.7", "3.0.0"]),
    Format.RESOLVER: st.sampled_from(["MEMORY", "mem", "URL(http://localhost:9090/jwt/v1/accounts/)"]),
    Format.PERCENTAGE: st.integers(0, 100).map("{}%".format),
    Format.SAMPLING: st.one_of(st.integers(1, 100).map("{}%".format), st.just("headers")),
    Format.PASSWORD: free_texts,
}

# Options whose values have to fit the files of the test, or other options.
SPECIAL: dict[Name, t.Callable[[Material], Values]] = {
    ("tls", "cert_file"): lambda m: st.just(m.certificates[0]),
    ("tls", "key_file"): lambda m: st.just(m.keys[0]),
    ("tls", "ca_file"): lambda m: st.just(m.certificates[0]),
    ("top", "operator"): lambda m: st.sampled_from([m.operator_file, m.operator_jwt]),
    ("resolver_preload", ANY_NAME): lambda m: st.just(m.account_jwts[0]),
    ("resolver", "dir"): lambda m: st.just(str(m.directory / "resolver")),
    ("resolver", "limit"): lambda _: st.integers(1, 1000),
    ("leafnodes.remote", "credentials"): lambda m: st.just(str(m.directory / "bot.creds")),
    ("import.source", "account"): lambda _: st.just(EXPORTER),
    ("import.source", "subject"): lambda _: tokens.map("events.{}".format),
    ("import", "to"): lambda _: tokens.map("local.{}".format),
    ("import", "prefix"): lambda _: words,
    ("export", "stream"): lambda _: st.sampled_from(["own.*", "own.*.>"]),
    ("export", "service"): lambda _: st.sampled_from(["own.*", "own.*.>"]),
    ("export", "account_token_position"): lambda _: st.sampled_from([0, 2]),
    ("export", "accounts"): lambda _: st.sampled_from([[], [EXPORTER]]),
    ("export", "latency"): lambda _: tokens.map("latency.{}".format),
    ("latency", "subject"): lambda _: tokens.map("latency.{}".format),
    ("mapping", "weight"): lambda _: st.sampled_from([0, 20, "20%", "33"]),
}

# Options that make sense only beside others.
COMPANIONS: dict[Name, Config] = {
    ("resolver", "ttl"): {"type": "cache", "dir": ...},
    ("resolver", "interval"): {"type": "full", "dir": ...},
    ("resolver", "allow_delete"): {"type": "full", "dir": ...},
    ("resolver", "hard_delete"): {"type": "full", "dir": ..., "allow_delete": True},
    ("resolver", "type"): {"dir": ...},
    ("resolver", "limit"): {"type": "full", "dir": ...},
    ("resolver", "timeout"): {"type": "full", "dir": ...},
    ("export", "response_type"): {"service": ...},
    ("export", "latency"): {"service": ..., "response_type": "single"},
}
ALONE = frozenset({"resolver"})  # blocks in which further options would mostly contradict


def _texts(form: Form) -> Values:
    if form.choices:
        chosen = st.sampled_from(form.choices)
        return chosen if form.exact else chosen.flatmap(lambda text: st.sampled_from([text, text.upper()]))
    if form.format:
        return FORMATS[form.format]
    return free_texts.filter(len) if form.minimum else free_texts


def _scalars(form: Form) -> Values:
    low, high = form.minimum, form.maximum
    match form.kind:
        case Kind.BOOLEAN:
            return st.just(True) if form.choices else st.booleans()
        case Kind.INTEGER:
            return st.integers(-1 if low is None else low, 100_000 if high is None else high)
        case Kind.NUMBER:
            return st.one_of(st.integers(0, 100), st.floats(0, 100, allow_subnormal=False))
        case Kind.SIZE | Kind.STORAGE_SIZE:
            spelled = st.sampled_from(["0", "64", "1k", "64KB", "1MB", "8Mi", "1GiB", "1g"])
            return st.one_of(st.integers(0, 2**30), spelled)
        case Kind.DURATION:
            seconds = st.integers(0 if low is None else math.ceil(low / 10**9), 100_000).map("{}s".format)
            longer = ["30s", "2m", "1h30m", "1.5h", "90000ms"]
            return st.one_of(seconds, st.sampled_from([*longer, "5ms", "-1s", "0"] if low is None else longer))
    return _texts(form)


class Maker:
    """Draws sound configurations from the table."""

    def __init__(self, draw: Draw, material: Material) -> None:
        self.draw = draw
        self.material = material

    def around(self, row: Option, value: t.Any, beside: Config | None = None) -> Config:
        """Make a configuration that holds this option with this value, at one of its places, and more beside it."""
        block, name = row.block, row.name
        while block != TOP:
            places = [parent for parent in PARENTS[block] if name not in parent.without]
            parent = self.draw(st.sampled_from(places))
            inner = self.block(block, {name: value}, parent.without) | (beside or {})
            block, name, value, beside = parent.row.block, parent.row.name, [inner] if parent.in_list else inner, None
        return self.block(TOP, {name: value}) | (beside or {})

    def value(self, row: Option) -> t.Any:
        """Draw a sound value of an option."""
        special = SPECIAL.get((row.block, row.name))
        forms = [form for form in row.forms if form.kind is Kind.BLOCK] if special else list(row.forms)
        if special and self.draw(st.integers(0, len(forms))) == 0:
            return self.draw(special(self.material))
        return self.of_form(self.draw(st.sampled_from(forms)))

    def of_form(self, form: Form) -> t.Any:
        if form.kind is Kind.BLOCK:
            return self.block(form.block, {}, form.without)
        if form.kind is not Kind.LIST:
            return self.draw(_scalars(form))
        count = self.draw(st.integers(form.minimum or 0, 2))
        items = [self.of_form(self.draw(st.sampled_from(form.items))) for _item in range(count)]
        return list(dict.fromkeys(items)) if form.unique else items

    def block(self, block: str, given: Config, without: tuple[str, ...] = ()) -> Config:
        """Draw a block: the given options, what they need, and a few others that do not contradict."""
        beside = {key: value for name in given for key, value in COMPANIONS.get((block, name), {}).items()}
        wanted = dict.fromkeys([*given, *beside])
        free = sorted(name for name, row in ROWS[block].items() if row.forms and name not in without)
        others = [] if block in ALONE else self.draw(st.lists(st.sampled_from(free), max_size=2, unique=True))
        for name in others:
            if not _contradicts(block, name, wanted):
                wanted.setdefault(name)
        for name in _needed(block, wanted):
            wanted.setdefault(name)
        values = {name: value for name, value in beside.items() if value is not ...} | given
        rows = [ROWS[block][name] for name in wanted]
        config = {self.key(row): values[row.name] if row.name in values else self.value(row) for row in rows}
        return config | {EXPORTER: EXPORTED} if block == "accounts" else config

    def key(self, row: Option) -> str:
        """Draw one of the names of an option, in any case that the server takes."""
        if row.name == ANY_NAME:
            if row.block == "resolver_preload":
                return self.material.account_keys[0]
            return str(self.draw(FORMATS[row.key_format] if row.key_format else words))
        name: str = self.draw(st.sampled_from([row.name, *row.aliases]))
        return name if row.case_sensitive else self.draw(st.sampled_from([name, name, name.upper(), name.title()]))


def _contradicts(block: str, name: str, wanted: t.Iterable[str]) -> bool:
    chosen = set(wanted)
    for rule in RULES:
        if rule.block == block and rule.relation is Relation.EXCLUDES:
            first, *others = rule.options
            if (name == first and chosen & set(others)) or (name in others and first in chosen):
                return True
    return False


def _needed(block: str, wanted: t.Iterable[str]) -> list[str]:
    needed: list[str] = []
    for rule in RULES:
        if rule.block != block:
            continue
        chosen = {*wanted, *needed}
        first, *others = rule.options
        match rule.relation:
            case Relation.NEEDS if first in chosen and not chosen & set(others):
                needed += [name for name in others if not _contradicts(block, name, chosen)][:1]
            case Relation.NEEDS_ALWAYS:
                needed += rule.options
            case Relation.NEEDS_ONE if not chosen & set(rule.options):
                needed += [name for name in rule.options if not _contradicts(block, name, chosen)][:1]
    return needed


# Values that are mostly wrong: of other kinds, out of bounds, nearly right.
NEAR_MISSES = [
    *["", " ", "banana", "4222", "-1", "1.5", "true", "yes", "on", "null", "\0", "\u00e9", "a\nb"],
    *["'", '"', "\\", "#", "//", "$", "$HOME", "include", "{", "[", "("],
    *["1MB", "1 MB", "1mb", "2G", "2g", "2GB", "1.5G", "10X", "G", "9E", "9223372036854775808", "0x10", "1_000", "+5"],
    *["2m", "2 m", "m", "2", "-2s", "1d", "1h30", "30s ", "29s", "1e3s", ".5s", "1.s", "9999999h", "0", "5\u00b5s"],
    *["127.0.0.1", ":4222", "127.0.0.1:", "127.0.0.1:x", "::1:4222", "[::1]:4222", "[::1", "a:b:c", "localhost:99999"],
    *["nats://", "nats://a b", "nats://[::1", "nats://a:x", "%zz", ":nats", "nats://u:p@h:1/%2", "http://h/\x7f"],
    *["//h:1", "nats://u:p p@h", "nats://h:1?%zz", "nats://h#%zz", "nats:h", "a b://h", "1nats://h", "/x:y", "?", "#"],
    *["a..b", ".a", "a.", "a.>.b", ">", "*", "a b c", "a b", "a\t.b", "a.> q", "a.*b", "$1", "a.{{wildcard(1)}}"],
    *["0%", "100%", "101%", "%", "5 %", "headers", "enabled", "disabled", "auto", "always", "aes", "full", "MEMORY"],
    *["$2a$11$short", "STANDARD", "X25519", "TLS_AES_128_GCM_SHA256", "2.8.0", "2.7.9", "2.8", "v2", "$G", "$SYS"],
    *["A" * 56, "UAAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB63NN", "0" * 64, "a.b.c", "URL(x y)", "URL()"],
]
odd_names = st.sampled_from([text for text in NEAR_MISSES if "\0" not in text])
plain_junk = st.one_of(
    st.sampled_from(NEAR_MISSES),
    st.booleans(),
    st.sampled_from([0, 1, -1, 2, 29, 101, 255, 256, 65536, 2**31 - 1, 2**31, 2**62, -(2**63)]),
    st.sampled_from([0.0, 1.5, -0.5, 1e9]),
    free_texts,
)
junk = st.one_of(
    plain_junk,
    plain_junk,
    st.lists(plain_junk, max_size=2),
    st.dictionaries(words, plain_junk, max_size=2),
    st.lists(st.dictionaries(words, plain_junk, max_size=1), max_size=2),
)


UNKNOWN, VALUELESS = "unknown option", "option without a value"
TAMPERED = [*map(str, Kind), UNKNOWN, VALUELESS]
JUDGED = [
    row
    for row in OPTIONS
    if (row.block, row.name) not in REAL_OPTIONS and REAL_FORMATS.isdisjoint(form.format for form in row.forms)
]


@dataclass(frozen=True)
class Case:
    """A configuration and, where it was made to be wrong, the kind of value that was tampered with."""

    config: Config
    tampered: str = ""


@st.composite
def sound_cases(draw: Draw, row: Option, material: Material) -> Case:
    maker = Maker(draw, material)
    config = maker.around(row, maker.value(row))
    if draw(st.integers(0, 9)) == 0:
        config[INCLUDE] = "included.conf"
    return Case(config)


@st.composite
def broken_cases(draw: Draw, material: Material) -> Case:
    maker = Maker(draw, material)
    kind = draw(st.sampled_from(TAMPERED))
    if kind == UNKNOWN:
        row = draw(st.sampled_from([row for row in JUDGED if row.forms]))
        if row.name == ANY_NAME:  # any name may be known there, if it is well formed
            return Case(maker.around(row, maker.value(row), {draw(odd_names): maker.value(row)}), kind)
        misspelled = draw(st.sampled_from([f"{row.name}s", row.name[:-1], f"x{row.name}", "max_memory", "a b", ""]))
        return Case(maker.around(row, maker.value(row), {misspelled: draw(plain_junk)}), kind)
    of_kind = [row for row in JUDGED if (row.kind or VALUELESS) == kind]
    checked = [row for row in of_kind if not row.unchecked]
    row = draw(st.sampled_from([*checked, *checked, *of_kind]))
    return Case(maker.around(row, draw(junk)), kind)


RELATED = "values that have to fit each other"
patterns = st.sampled_from(["a", "a.b", "a.*", "*.b", "*.*", "a.>", "*.>", ">", "a.*.b"])
targets = st.one_of(
    patterns, st.sampled_from(["t", "t.$1", "t.$2", "t.$2.$1", "t.{{wildcard(1)}}.>", "t.*.$1", "a b", "", "t..u"])
)
response_types = st.sampled_from(["single", "Singleton", "stream"])
renamings = st.one_of(
    st.just({}), st.builds(lambda to: {"to": to}, targets), st.builds(lambda prefix: {"prefix": prefix}, targets)
)


@st.composite
def related_cases(draw: Draw) -> Case:
    """Draw subjects that are mapped, exported, measured, imported and renamed, in accounts that know each other."""
    kinds = st.sampled_from(["stream", "service"])
    exports: list[Config] = [{draw(kinds): draw(patterns)} for _export in range(draw(st.integers(1, 3)))]
    if draw(st.booleans()):
        exports.append({"service": draw(patterns), "latency": draw(targets), "response_type": draw(response_types)})
    if draw(st.booleans()):
        exports[0]["account_token_position"] = draw(st.integers(0, 3))
    imports = [
        {draw(kinds): {"account": "OUT", "subject": draw(patterns)}} | draw(renamings)
        for _import in range(draw(st.integers(0, 2)))
    ]
    weighted = st.builds(
        lambda target, weight: {"destination": target, "weight": weight}, targets, st.sampled_from([0, 50, "60%", 100])
    )
    mappings = draw(st.dictionaries(patterns, st.one_of(targets, st.lists(weighted, max_size=2)), max_size=2))
    return Case({"accounts": {"OUT": {"exports": exports}, "IN": {"imports": imports, "mappings": mappings}}}, RELATED)


# The comparison


@dataclass
class Tally:
    """What the table and the server said about all cases."""

    accepted: int = 0
    rejected: int = 0
    accepted_with: Counter[Name] = field(default_factory=Counter)
    rejected_for: Counter[str] = field(default_factory=Counter)
    disagreements: list[str] = field(default_factory=list)

    def take(self, case: Case, problems: str, complaint: str) -> None:
        """Compare what the table and the server have against one case."""
        if bool(problems) != bool(complaint):
            who = "server" if problems else "table"
            self.disagreements.append(f"{who} accepts:\n{conf.render(case.config)}{problems}{complaint}")
        elif problems:
            self.rejected += 1
            self.rejected_for[case.tampered] += 1
        else:
            self.accepted += 1
            self.accepted_with.update(_options_in(case.config))

    def summary(self) -> str:
        option = min(SETTABLE, key=lambda row: self.accepted_with[row.block, row.name])
        kind = min(TAMPERED, key=lambda kind: self.rejected_for[kind])
        return (
            f"agreement: {self.accepted + self.rejected} cases, {self.accepted} accepted, {self.rejected} rejected; "
            f"least-used option {option.block}.{option.name} {self.accepted_with[option.block, option.name]}; "
            f"least-rejected kind {kind} {self.rejected_for[kind]}"
        )


def _options_in(config: t.Any, path: conf_reader.Path = ()) -> set[Name]:
    entries = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    found = {name for key, value in entries for name in _options_in(value, (*path, key))}
    option = reading.find(path)
    return found | {(option.block, option.name)} if option else found


# What the server says of its host and not of its configuration.
OF_THE_HOST = re.compile("no such host|connection refused|cannot assign requested address|no issuers found")
OF_THE_MACHINE = "insufficient"


@dataclass
class Ground:
    """Makes of a configuration one that starts on this machine, if nothing in it keeps the server from it."""

    material: Material
    free_port: t.Callable[[], int]

    def of(self, config: Config) -> Config:
        """Give each port that is listened on a free one for it, each path that is written to a place, and so on."""
        ports: dict[int, int] = {}

        def port(number: t.Any, path: model.Path) -> t.Any:
            # 0 is the default one of clients, and none of any other block
            is_one = isinstance(number, int) and (1 < number < 1 << 16 or (number == 0 and len(path) == 1))
            return ports.setdefault(number, self.free_port()) if is_one else number

        def put(value: t.Any, path: model.Path) -> t.Any:
            option = reading.find(path) if path else None
            if isinstance(value, dict):
                return {name: put(each, (*path, name)) for name, each in value.items()}
            if isinstance(value, list):
                return [put(each, (*path, place)) for place, each in enumerate(value)]
            if isinstance(value, str):
                value = value.replace("bus.example.com", "127.0.0.2")
            if option is not None and option.unit is model.Unit.ADDRESS and isinstance(value, str):
                host, number = value.rsplit(":", 1)
                value = f"{host}:{port(int(number), path)}"
            elif option is not None and option.name in PORTS:
                value = port(value, path)
            elif option is not None and option.need in (Need.PARENT, Need.DIRECTORY):
                value = f"made-{path[-1]}"
            return self.material.operator_jwt if option is not None and option.name == "operator" else value

        whole = reading.canonical(config)
        whole.pop(INCLUDE, None)
        whole.pop("ocsp", None)  # asks who made the certificate
        if not {"listen", "port"} & set(whole):
            whole["port"] = 4222
        return t.cast("Config", put(whole, ()))

    def is_known(self, config: Config, complaint: str) -> bool:
        """Tell whether a complaint is about the configuration, and not about the machine."""
        if OF_THE_MACHINE in complaint:
            block = config.get("jetstream")
            return isinstance(block, dict) and {"max_mem", "max_file"} <= set(block)
        return OF_THE_HOST.search(complaint) is None


PORTS = frozenset({"listen", "port", "http", "https", "http_port", "https_port", "prof_port"})


class Server:
    """The real server, which checks configurations."""

    def __init__(self, binary: Path, directory: Path) -> None:
        self.binary = binary
        self.directory = directory
        self.numbers = itertools.count()

    def complaint(self, config: Config) -> str:
        """Give what ``nats-server -t`` says against a configuration; empty where it accepts."""
        file = self.directory / f"{next(self.numbers)}.conf"
        file.write_text(conf.render(config))
        checked = subprocess.run(
            [self.binary, "-t", "-c", file], capture_output=True, text=True, check=False, errors="replace"
        )
        file.unlink()
        return checked.stderr if checked.returncode else ""


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return make_material(tmp_path_factory.mktemp("material"))


def test_table_and_server_agree(
    nats_server: Path, material: Material, free_port: t.Callable[[], int], capsys: pytest.CaptureFixture[str]
) -> None:
    tally, starts = Tally(), Tally()
    server, starter = Server(nats_server, material.directory), Starter(nats_server, material.directory)
    ground = Ground(material, free_port)

    def started(case: Case) -> tuple[Case, str, str] | None:
        """Give the configuration as it was started, and what the table and the server have against it; None for RUN."""
        for _attempt in range(TRIES_FOR_A_PORT):
            config = ground.of(case.config)
            found = check.problems(config)
            if any(problem.stage is not Stage.START for problem in found):
                return None
            clustered = "cluster" in {listener.purpose for listener in lookup.listeners(reading.canonical(config))}
            said = starter.complaint(conf.render(config), clustered=clustered)
            if "address already in use" not in said or found:
                break
        if said and not found and not ground.is_known(config, said):
            return None
        return Case(config, case.tampered), "\n".join(map(str, found)), said

    def verdicts(case: Case) -> tuple[str, str]:
        """Give what the table and the server have against a configuration.

        Some faults the server notices only when it happens to read the options of a block in a certain order. The table
        may call such a fault one of the check or one of the start.
        """
        found = check.problems(case.config)
        checked = [str(problem) for problem in found if problem.stage is Stage.CHECK]
        complaints = (server.complaint(case.config) for _attempt in range(TRIES if found else 1))
        heard = ""
        for heard in complaints:
            if bool(heard) == bool(checked):
                break
        return "\n".join(checked), heard

    def compare(cases: t.Sequence[Case]) -> None:
        passed = []
        for case, (problems, complaint) in zip(cases, pool.map(verdicts, cases), strict=True):
            tally.take(case, problems, complaint)
            passed += [] if problems or complaint else [case]
        for outcome in pool.map(started, passed):
            if outcome:
                starts.take(*outcome)

    def run(count: int, *cases: st.SearchStrategy[Case]) -> None:
        settings(
            max_examples=count,
            derandomize=CASES <= DEFAULT_CASES,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )(given(st.tuples(*cases))(compare))()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        sound_rounds = max(LEAST_ACCEPTED + 3, math.ceil(CASES * SOUND_SHARE / len(SETTABLE)))
        for start in range(0, len(SETTABLE), BATCH):
            run(sound_rounds, *(sound_cases(row, material) for row in SETTABLE[start : start + BATCH]))
        broken = broken_cases(material)
        run(math.ceil(CASES * BROKEN_SHARE / BATCH), *[broken] * BATCH)
        run(math.ceil(CASES * RELATED_SHARE / BATCH), *[related_cases()] * BATCH)

    with capsys.disabled():
        print(f"\n{tally.summary()}; started {starts.accepted}, start refused {starts.rejected}")
    assert not tally.disagreements, "\n\n".join(tally.disagreements[:20])
    assert not starts.disagreements, "\n\n".join(starts.disagreements[:20])
    assert starts.accepted >= CASES * STARTED_SHARE
    assert tally.accepted + tally.rejected >= CASES
    names = [(row.block, row.name) for row in SETTABLE]
    assert [name for name in names if tally.accepted_with[name] < LEAST_ACCEPTED] == []
    assert {kind: tally.rejected_for[kind] for kind in TAMPERED if tally.rejected_for[kind] < LEAST_REJECTED} == {}
