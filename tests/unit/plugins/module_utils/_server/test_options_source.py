# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of options against the names that the source of the pinned nats-server reads."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import go_build, programs
from ansible_collections.rosey.nats.plugins.module_utils._server.options import model, reading, table

MODULE = "github.com/nats-io/nats-server/v2@v2.10.7"
READING = ("opts.go", "ocsp_peer.go", "ocsp_responsecache.go")

# Where each block is read: the function, and the variable whose switch names the options.
SWITCHES = {
    "top": ("processConfigFileLine", "k"),
    "ocsp": ("processConfigFileLine", "kk"),
    "jetstream": ("parseJetStream", "mk"),
    "jetstream.limits": ("parseJetStreamLimits", "mk"),
    "authorization": ("parseAuthorization", "mk"),
    "user": ("parseUsers", "k"),
    "auth_callout": ("parseAuthCallout", "k"),
    "permissions": ("parseUserPermissions", "k"),
    "subjects": ("parseSubjectPermission", "k"),
    "allow_responses": ("parseAllowResponses", "k"),
    "cluster": ("parseCluster", "mk"),
    "compression": ("parseCompression", "mk"),
    "leafnodes": ("parseLeafNodes", "mk"),
    "leafnodes.authorization": ("parseLeafAuthorization", "mk"),
    "leafnodes.user": ("parseLeafUsers", "k"),
    "leafnodes.remote": ("parseRemoteLeafNodes", "k"),
    "tls": ("parseTLS", "mk"),
    "ocsp_peer": ("parseOCSPPeer", "mk"),
    "ocsp_cache": ("parseOCSPResponseCache", "mk"),
    "websocket": ("parseWebsocket", "mk"),
    "client_authorization": ("parseSimpleAuth", "mk"),
    "mqtt": ("parseMQTT", "mk"),
    "gateway": ("parseGateway", "mk"),
    "gateway.remote": ("parseGateways", "k"),
    "account": ("parseAccounts", "k"),
    "account.limits": ("parseAccountLimits", "k"),
    "account.jetstream": ("parseJetStreamForAccount", "mk"),
    "mapping": ("parseAccountMapDest", "k"),
    "export": ("parseExportStreamOrService", "mk"),
    "import": ("parseImportStreamOrService", "mk"),
    "import.source": ("parseAccount", "mk"),
}
# Blocks that are read by looking names up in the map of this variable.
LOOKUPS = {
    "resolver": ("processConfigFileLine", "v"),
    "latency": ("parseServiceLatency", "latency"),
}
# The function that reads a block, where it has another name than the one with the switch, or more than one.
OTHER_READERS = {
    "getTLSConfig": "tls",
    "parseAccountMappings": "mappings",
    "parseAccountImports": "import",
    "parseAccountExports": "export",
    "parseVariablePermissions": "subjects",
    "parseServiceLatency": "latency",
    "parseAccounts": "accounts",
}
# Blocks with free names, which no switch holds, and those that the server reads in place, without a function.
FREE = {"accounts", "mappings", "resolver_preload", "default_js_domain"}
READ_IN_PLACE = {"ocsp", "resolver", "resolver_preload", "default_js_domain"}

Groups = dict[tuple[str, ...], str]


@dataclass(frozen=True)
class Switch:
    """A switch over the names of a map: the function, the variable, and each case's names with its body."""

    function: str
    variable: str
    cases: Groups


def without_literals(source: str) -> str:
    """Blank out comments and texts, so that braces and keywords stand for themselves; every position stays."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|`[^`]*`|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), source)


def closing(code: str, opening: int) -> int:
    """Give the position of the brace that closes the one at ``opening``."""
    depth = 0
    for position in range(opening, len(code)):
        depth += {"{": 1, "}": -1}.get(code[position], 0)
        if depth == 0:
            return position
    raise ValueError("a brace is never closed")


def functions(source: str) -> Iterator[tuple[str, int, int]]:
    """Give each function's name, and where its body begins and ends."""
    code = without_literals(source)
    for match in re.finditer(r"^func (?:\([^)]*\) )?(\w+)\(.*\{$", code, re.MULTILINE):
        opening = match.end() - 1
        yield match[1], opening, closing(code, opening)


def key_switches(source: str) -> Iterator[Switch]:
    """Give the switches over the key of a map: over the first variable of a loop, or over the parameter ``k``."""
    code = without_literals(source)
    for function, begin, end in functions(source):
        keys = {match[1] for match in re.finditer(r"for (\w+), \w+ := range", code[begin:end])} - {"_"}
        if function == "processConfigFileLine":
            keys.add("k")
        for match in re.finditer(r"switch (?:strings\.ToLower\((\w+)\)|(\w+)) \{", code[begin:end]):
            variable = match[1] or match[2]
            if variable in keys:
                opening = begin + match.end() - 1
                yield Switch(function, variable, cases(source, code, opening))


def cases(source: str, code: str, opening: int) -> Groups:
    """Give the names, and the body without its literals, of each case of the switch whose brace is at ``opening``."""
    end = closing(code, opening)
    heads: list[tuple[int, int, tuple[str, ...]]] = []
    for match in re.finditer(r"^\t*(case .*|default):[ ]*$", code[opening:end], re.MULTILINE):
        start = opening + match.start()
        if code[opening + 1 : start].count("{") == code[opening + 1 : start].count("}"):
            names = re.findall(r'"([^"]+)"', source[start : opening + match.end(1)])
            heads.append((start, opening + match.end(), tuple(names)))
    ends = [*(head[0] for head in heads[1:]), end]
    return {names: code[stop:after] for (_start, stop, names), after in zip(heads, ends, strict=True) if names}


def looked_up(source: str, function: str, variable: str) -> set[str]:
    """Give the names that a function looks up in the map of one variable."""
    begin, end = next((begin, end) for name, begin, end in functions(source) if name == function)
    return set(re.findall(rf'ok :?= {variable}\["(\w+)"\]', source[begin:end]))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the directory of the server's source."""
    go = go_build.find_toolchain(None, programs.find_architecture(platform.machine())).go
    answer = subprocess.run(
        [go, "mod", "download", "-json", MODULE],
        cwd=tmp_path_factory.mktemp("module"),
        env={**os.environ, "GOFLAGS": "-modcacherw", "GOWORK": "off"},
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(json.loads(answer.stdout)["Dir"]) / "server"


@pytest.fixture(scope="module")
def source(server: Path) -> str:
    """Give the source files that read a configuration, as one text."""
    return "\n".join((server / name).read_text(encoding="utf-8") for name in READING)


@pytest.fixture(scope="module")
def switches(source: str) -> dict[tuple[str, str], Groups]:
    return {(switch.function, switch.variable): switch.cases for switch in key_switches(source)}


def rows(block: str) -> list[model.Option]:
    return [option for option in table.OPTIONS if option.block == block]


def inner_blocks(option: model.Option) -> set[str]:
    forms = (*option.forms, *(item for form in option.forms for item in form.items))
    return {form.block for form in forms if form.block}


@pytest.mark.parametrize("block", SWITCHES)
def test_block_has_the_names_of_the_source(block: str, switches: dict[tuple[str, str], Groups]) -> None:
    read = {frozenset(names) for names in switches[SWITCHES[block]]}
    known = {frozenset((option.name, *option.aliases)) for option in rows(block)}
    # The table takes url and urls of a gateway for two options, as the source does, and every other group for one.
    assert known == read


@pytest.mark.parametrize("block", LOOKUPS)
def test_block_has_the_names_that_the_source_looks_up(block: str, source: str) -> None:
    assert {option.name for option in rows(block)} == looked_up(source, *LOOKUPS[block])


def test_every_switch_of_the_source_belongs_to_a_block(switches: dict[tuple[str, str], Groups]) -> None:
    assert set(switches) == set(SWITCHES.values())


def test_every_block_of_the_table_is_read_by_the_source() -> None:
    assert {option.block for option in table.OPTIONS} == {*SWITCHES, *LOOKUPS, *FREE}


@pytest.mark.parametrize("block", SWITCHES)
def test_option_holds_the_block_that_the_source_reads_there(
    block: str, switches: dict[tuple[str, str], Groups]
) -> None:
    readers = {function: name for name, (function, _block) in SWITCHES.items() if name not in ("top", "ocsp")}
    readers |= OTHER_READERS
    read = {
        names: {readers[name] for name in re.findall(r"\b(\w+)\(", body) if name in readers}
        for names, body in switches[SWITCHES[block]].items()
    }
    known = {
        names: next(inner_blocks(option) for option in rows(block) if option.name in names) - READ_IN_PLACE
        for names in read
    }
    assert known == read


def settings() -> list[tuple[str, model.Option]]:
    """Give every option at every place, with its dotted path."""
    found: list[tuple[str, model.Option]] = []

    def walk(block: str, path: model.Path) -> None:
        for row in rows(block):
            here = (*path, "NAME" if row.name == model.ANY_NAME else row.name)
            option = reading.find(here)
            assert option
            found.append((".".join(map(str, here)), option))
            for inner in inner_blocks(row):
                is_list = any(form.kind is model.Kind.LIST for form in row.forms)
                walk(inner, (*here, 0) if is_list else here)

    walk("top", ())
    return found


def json_fields(source: str, name: str) -> dict[str, str]:
    """Give the type of each field of a struct by its name in JSON."""
    body = re.search(rf"^type {name} struct {{$(.*?)^}}$", source, re.MULTILINE | re.DOTALL)
    fields = re.findall(r"(\S+)\s+`json:\"(\w+)", body[1]) if body else []
    return {tag: re.sub(r"^[\[\]*]+", "", kind) for kind, tag in fields}


def test_every_field_of_varz_is_one_of_the_server(server: Path) -> None:
    source = "\n".join((server / name).read_text(encoding="utf-8") for name in ("monitor.go", "jetstream.go"))
    unknown = []
    for path, option in settings():
        for dotted in filter(None, option.varz.split("+")):
            kind = "Varz"
            for field in dotted.split("."):
                kind = kind if field.isdecimal() else json_fields(source, kind).get(field, "")
            if not kind:
                unknown.append((path, dotted))
    assert unknown == []


def test_varz_follows_a_reload_where_the_server_sets_the_field_anew(server: Path) -> None:
    source = (server / "monitor.go").read_text(encoding="utf-8")
    _name, begin, end = next(place for place in functions(source) if place[0] == "updateVarzConfigReloadableFields")
    names = dict(re.findall(r"^\t(\w+)\s+\S+\s+`json:\"(\w+)", source, re.MULTILINE))
    assigned = re.findall(r"\bv\.([\w.]+) = ", source[begin:end])
    anew = {".".join(names[part] for part in field.split(".")) for field in assigned}
    shown = {option.varz for _path, option in settings() if option.varz}
    assert {field for field in shown if model.Option("", "", (), varz=field).varz_follows_reload} == shown & anew


def test_every_line_of_a_reload_is_one_of_the_server(server: Path) -> None:
    source = (server / "reload.go").read_text(encoding="utf-8")
    formats = re.findall(r'Noticef\("(Reload[^"]*)"', source)
    known = re.compile("|".join(f"(?:{re.sub('%[vsd]', '.*', re.escape(text))})" for text in formats))
    lines = {option.log.replace("{}", "x") for _path, option in settings() if option.log}
    # A line of the table is a whole one, or the part before the colon and the value.
    whole = {line for line in lines if known.fullmatch(line) or known.fullmatch(f"{line}: x")}
    assert lines - whole == set()


def test_an_option_that_a_reload_takes_is_one_that_the_server_compares(server: Path) -> None:
    source = (server / "reload.go").read_text(encoding="utf-8")
    _name, begin, end = next(place for place in functions(source) if place[0] == "diffOptions")
    compared = set(re.findall(r'"(\w+)"', " ".join(re.findall(r"case (.*):", source[begin:end]))))
    named = {"ping_max": "maxpingsout", "server_tags": "tags", "leafnodes": "leafnode", "ocsp": "ocspconfig"}
    named |= {
        "ocsp_cache": "ocspcacheconfig",
        "resolver": "accountresolver",
        "resolver_tls": "accountresolvertlsconfig",
    }
    named |= {"max_connections": "maxconn", "tls": "tlsconfig", "mappings": "accounts"}
    # The server keeps these beside the options that it compares, and reads them anew at every reload.
    unseen = {"resolver_preload", "resolver_pinned_accounts"}
    taken = {option.name for option in rows("top") if option.reloadable} - unseen
    assert {named.get(name, name.replace("_", "")) for name in taken} <= compared


@pytest.mark.parametrize(
    "block, option, file, function",
    [
        ("tls", "cipher_suites", "ciphersuites.go", "cipherMap"),
        ("tls", "curve_preferences", "ciphersuites.go", "curvePreferenceMap"),
        ("compression", "mode", "server.go", "validateAndNormalizeCompressionOption"),
    ],
)
def test_choices_are_those_of_the_source(server: Path, block: str, option: str, file: str, function: str) -> None:
    source = (server / file).read_text(encoding="utf-8")
    begin = source.index(f"{function} =") if f"{function} =" in source else source.index(f"func {function}(")
    body = source[begin : source.index("\n}", begin)]
    read = re.findall(r'^\t+"(\w+)":', body, re.MULTILINE)
    read += re.findall(r'"([^"]+)"', " ".join(re.findall(r"case (.*):", body)))
    (row,) = (row for row in rows(block) if row.name == option)
    forms = row.forms[0].items or row.forms
    assert set(forms[0].choices) - {""} == set(read)  # an empty text asks for the default


@pytest.mark.parametrize(
    "code, expected",
    [
        ('switch strings.ToLower(k) {\n\tcase "a", "b":\n\t\tx()\n\tcase "c":\n\t}', {("a", "b"): "x()", ("c",): ""}),
        (
            'switch k {\n\tcase "a":\n\t\tswitch strings.ToLower(v) {\n\t\tcase "no":\n\t\t}\n\tdefault:\n\t\ty()\n\t}',
            {("a",): "switch strings.ToLower(v) {\n\t\tcase     :\n\t\t}"},
        ),
        ('switch strings.ToLower(other) {\n\tcase "a":\n\t}', None),
        ('// switch k {\n\tswitch k {\n\tcase "}": // "b"\n\t}', {("}",): ""}),
    ],
)
def test_the_reader_of_the_source(code: str, expected: Groups | None) -> None:
    text = f"func read(m map[string]any) {{\n\tfor k, v := range m {{\n\t{code}\n\t}}\n}}\n"
    found = [{names: body.strip() for names, body in switch.cases.items()} for switch in key_switches(text)]
    assert found == ([] if expected is None else [expected])
