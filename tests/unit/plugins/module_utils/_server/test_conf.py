# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration language; tests/integration/test_conf_against_server.py proves that it is the server's own."""

from __future__ import annotations

import datetime
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._host import unit_file
from ansible_collections.rosey.nats.plugins.module_utils._server import conf, conf_lexer, conf_reader, units
from ansible_collections.rosey.nats.plugins.module_utils._server.options import model, reading

PRODUCTION_TEXT = """\
# NATS Server Configuration - Production

server_name: rosey_nats_prod

# Listen on localhost only (bot and NATS on same server)
host: 127.0.0.1
port: 4222
http_port: 8222
log_file: "/var/log/nats/nats-server.log"
debug: false
logtime: true
max_connections: 200        # Higher for production
max_payload: 1048576        # 1MB max message size
ping_interval: "2m"
ping_max: 2

# JetStream (message persistence)
jetstream {
    store_dir: "/var/lib/nats"
    max_mem: 2G             # Higher memory for production
    max_file: 20G           # More storage for production
}

# Security (future enhancement - authentication)
# authorization {
#     users = [
#         {user: "rosey", password: "$2a$11$..."}  # Bcrypt hash
#     ]
# }
"""

PRODUCTION = {
    "server_name": "rosey_nats_prod",
    "host": "127.0.0.1",
    "port": 4222,
    "http_port": 8222,
    "log_file": "/var/log/nats/nats-server.log",
    "debug": False,
    "logtime": True,
    "max_connections": 200,
    "max_payload": 1048576,
    "ping_interval": "2m",
    "ping_max": 2,
    "jetstream": {"store_dir": "/var/lib/nats", "max_mem": 2_000_000_000, "max_file": 20_000_000_000},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(PRODUCTION_TEXT, PRODUCTION, id="the production configuration"),
        pytest.param("", {}, id="nothing"),
        pytest.param("a = 1; b: 2, c 3\nd {e: 4}", {"a": 1, "b": 2, "c": 3, "d": {"e": 4}}, id="separators"),
        pytest.param('{"a": {"b": [1, 2 ]}}', {"a": {"b": [1, 2]}}, id="JSON"),
        pytest.param("# x\na: 1 // y\n// z\nb: [ # u\n 2 // v\n]", {"a": 1, "b": [2]}, id="comments"),
        pytest.param(
            "a: 1k\nb: 1kb\nc: 1KiB\nd: 2G\ne: 1T",
            {"a": 1000, "b": 1024, "c": 1024, "d": 2 * 10**9, "e": 10**12},
            id="sizes",
        ),
        pytest.param("ping_interval: 2m", {"ping_interval": 2_000_000}, id="a bare duration is a number"),
        pytest.param("a: yes\nb: Off\nc: 'no'", {"a": True, "b": False, "c": "no"}, id="booleans"),
        pytest.param("a: 1.5\nb: -2", {"a": 1.5, "b": -2}, id="numbers"),
        pytest.param("a: 10.0.0.1:4222", {"a": "10.0.0.1:4222"}, id="address"),
        pytest.param(r'a: "x\t\"\\\x41\xc3\xa9"', {"a": 'x\t"\\Aé'}, id="escapes"),
        pytest.param(r"a: 'x\t'", {"a": r"x\t"}, id="single quotes know no escapes"),
        pytest.param("a (\nx # y\n  z\n)\nb: 1", {"a": "\nx # y\n  z\n", "b": 1}, id="block string"),
        pytest.param(
            "a: 2016-05-04T18:53:41Z",
            {"a": datetime.datetime(2016, 5, 4, 18, 53, 41, tzinfo=datetime.UTC)},
            id="date",
        ),
        pytest.param("a: 1\nb: 2\na: 3", {"b": 2, "a": 3}, id="the last one wins"),
        pytest.param("jetstream {a: 1}\njetstream {b: 2}", {"jetstream": {"b": 2}}, id="a second block replaces"),
        pytest.param("a: $2a$11$x/y.z", {"a": "$2a$11$x/y.z"}, id="bcrypt without quotes"),
        pytest.param("a: '$HOME'", {"a": "$HOME"}, id="no variable in quotes"),
        pytest.param('jetstream { max_mem: "2G" }', {"jetstream": {"max_mem": 2 * 2**30}}, id="quoted storage size"),
        pytest.param('jetstream { store: "2G" }', {"jetstream": {"store": "2G"}}, id="quoted, but no size"),
    ],
)
def test_parse(text: str, expected: dict[str, t.Any]) -> None:
    found = conf.parse(text)
    assert found == expected
    assert list(found) == list(expected)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: 1\nb", 2, "the last key has no value"),
        ("a: 1 b: 2", 1, "has to end with a new line"),
        ("a: 1\n: 2", 2, "not a separator"),
        ("a {\n b: 1", 2, "or its end, was expected"),
        ("a {\n b", 2, "ends inside a block"),
        ("a [\n 1\n", 3, "or its end, was expected"),
        ("a [,]", 1, "a value of the list"),
        ("a { b: , }", 1, "not a comma"),
        ("a:\n 1", 1, "a value was expected"),
        ('a: "x\n', 2, "inside quotes"),
        ("a: 'x", 1, "inside quotes"),
        (r'a: "\q"', 1, "an escape has to be one of"),
        (r'a: "\x4"', 1, "two hexadecimal digits"),
        ("a: (\nx", 1, "a line of its own"),
        ("a: 1.", 1, "a digit was expected"),
        ("a: -x", 1, "a digit was expected"),
        ("a: 2016-05-04", 1, "in full"),
        ("a: 2016-13-04T18:53:41Z", 1, "no such date"),
        ("a: 99999999999999999999", 1, "out of range"),
        ("a: 10000000000G", 1, "out of range"),
        ("a: 1kbb", 1, "no size"),
        ("include [x]", 1, "the name of a file"),
        ("include a\nport: 1\ninclude b", 3, "put the includes together"),
        ("cluster {\n include a\n include b\n port: 1\n include c\n}", 5, "put the includes together"),
        ('max_payload: "1MB"', 1, "remove the quotes"),
        ("accounts {\n X { jetstream { max_mem: '64MB' } }\n}", 2, "max_mem is a text"),
        ("max_payload: 1 GB", 1, "such as 1GB"),
        ("jetstream { max_file: 10.5G }", 1, "such as 1GB"),
        ("max_payload: 10.5GiB, port: 1", 1, "such as 1GB"),
        ("include 'x", 1, "the name of a file"),
        ("a: 1\n'$variable': 2", 2, "stands for something else"),
        ("jetstream {\n max_mem: '512MB'\n}", 2, "the quoted size of max_mem"),
        ("a: " + "[" * 101, 1, "more than 100"),
    ],
)
def test_parse_names_the_line_of_a_fault(text: str, line: int, reason: str) -> None:
    with pytest.raises(conf_lexer.ConfError) as caught:
        conf.parse(text)
    assert caught.value.line == line
    assert reason in caught.value.reason
    assert str(caught.value) == f"line {line}: {caught.value.reason}"


def test_an_error_shows_no_value() -> None:
    with pytest.raises(conf_lexer.ConfError) as caught:
        conf.parse("password: 99999999999999999999")
    assert "9999" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        pytest.param("port: $PORT", None, {"port": {"$variable": "PORT"}}, id="left as it is"),
        pytest.param("port: $PORT", {"PORT": "4222"}, {"port": 4222}, id="read as configuration"),
        pytest.param("a: $A", {"A": "yes"}, {"a": True}, id="read as a boolean"),
        pytest.param("a: $A", {"A": ""}, {"a": ""}, id="empty"),
        pytest.param("a: $A", {"A": "$B", "B": "[1, 2\n]"}, {"a": [1, 2]}, id="through another"),
        pytest.param("A: 1\nport: $A", None, {"port": 1}, id="defined in the text, and left out"),
        pytest.param("A: 1\nport: $A", {"A": "2"}, {"port": 1}, id="the text before the environment"),
        pytest.param("host: a\nserver_name: $host", None, {"host": "a", "server_name": "a"}, id="an option too"),
        pytest.param("A: 1\ncluster { A: 2\n port: $A }", None, {"A": 1, "cluster": {"port": 2}}, id="inner block"),
        pytest.param("A: $E\nport: $A", None, {"port": {"$variable": "E"}}, id="a definition by the environment"),
        pytest.param("A { name: c }\ncluster: $A", None, {"cluster": {"name": "c"}}, id="a block"),
    ],
)
def test_variables(text: str, variables: dict[str, str] | None, expected: dict[str, t.Any]) -> None:
    assert conf.parse(text, variables=variables) == expected


@pytest.mark.parametrize(
    ("text", "variables", "reason"),
    [
        ("a: 1\nb: $NO", {}, "line 2: the variable NO is not defined"),
        ("a: $A", {"A": "$A"}, "the variable A: line 1: the variable A refers to itself"),
        ("a: $A", {"A": "$B", "B": "$A"}, "refers to itself"),
        ("a: $A", {"A": '"'}, "the variable A: line 1: the last key has no value"),
        (
            "a: $2b$11$x",
            {},
            "line 1: the variable whose name is hidden: quote a text that begins with $, is not defined",
        ),
    ],
)
def test_variables_that_cannot_be_read(text: str, variables: dict[str, str], reason: str) -> None:
    with pytest.raises(conf_lexer.ConfError) as caught:
        conf.parse(text, variables=variables)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("include a.conf\nport: 1", {"$include": "a.conf", "port": 1}),
        ("port: 1\ninclude 'a b'; include \"c\"", {"port": 1, "$include": ["a b", "c"]}),
        ("cluster { include a.conf }", {"cluster": {"$include": "a.conf"}}),
        ("include: a.conf", {"include": "a.conf"}),
    ],
)
def test_includes_stay_without_a_way_to_read_them(text: str, expected: dict[str, t.Any]) -> None:
    assert conf.parse(text) == expected


def test_includes_are_read_relative_to_the_including_file() -> None:
    files = {
        "sub/a.conf": "port: 1\ninclude b.conf\ninclude ../c.conf\n",
        "sub/b.conf": "cluster { port: 2 }\n",
        "c.conf": "debug: true\n",
    }
    asked = []

    def include(path: str) -> str:
        asked.append(path)
        return files[path]

    found = conf.parse("port: 9\ninclude ./sub/a.conf\nhttp_port: $port", include=include)
    assert found == {"port": 1, "cluster": {"port": 2}, "debug": True, "http_port": 1}
    assert asked == ["sub/a.conf", "sub/b.conf", "c.conf"]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "line 2: the file x.conf cannot be read: No such file"),
        ({"x.conf": "include x.conf"}, "refers to itself"),
        ({"x.conf": "include y/z.conf", "y/z.conf": "include ../x.conf"}, "refers to itself"),
        ({"x.conf": "a: 1\nb: ["}, "line 2: the file x.conf: line 2: the next value"),
    ],
)
def test_includes_that_cannot_be_read(files: dict[str, str], reason: str) -> None:
    def include(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(2, "No such file", path)
        return files[path]

    with pytest.raises(conf_lexer.ConfError) as caught:
        conf.parse("a: 1\ninclude x.conf", include=include)
    assert reason in str(caught.value)


RENDERED = """\
# Managed by Ansible
#
# Do not edit

server_name: rosey_nats_prod
host: 127.0.0.1
listen: "[::1]:4222"
port: 4222
log_file: "/var/log/nats/nats-server.log"
debug: false
max_payload: 1MB
ping_interval: "2m"
server_tags: [
  "a b"
  prod
]

jetstream {
  store_dir: "/var/lib/nats"
  max_mem: 2G
  max_file: 20000000000
}

authorization {
  timeout: 1.5
  users: [
    {
      user: rosey
      password: "secret"
      permissions {
        publish: [
          "rosey.prod.>"
        ]
        subscribe: []
      }
    }
    {
      user: bot
      password: $BOT_PASSWORD
    }
  ]
}

cluster {}

include "a.conf"
include "b.conf"
"""


def test_render() -> None:
    config = {
        "server_name": "rosey_nats_prod",
        "host": "127.0.0.1",
        "listen": "[::1]:4222",
        "port": 4222,
        "log_file": "/var/log/nats/nats-server.log",
        "debug": False,
        "max_payload": "1MB",
        "ping_interval": "2m",
        "server_tags": ["a b", "prod"],
        "jetstream": {"store_dir": "/var/lib/nats", "max_mem": "2G", "max_file": 20_000_000_000},
        "authorization": {
            "timeout": 1.5,
            "users": [
                {
                    "user": "rosey",
                    "password": "secret",
                    "permissions": {"publish": ["rosey.prod.>"], "subscribe": []},
                },
                {"user": "bot", "password": {"$variable": "BOT_PASSWORD"}},
            ],
        },
        "cluster": {},
        "$include": ["a.conf", "b.conf"],
    }
    assert conf.render(config, header="Managed by Ansible\n\nDo not edit") == RENDERED


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("server_name", "rosey-1.example.com", "server_name: rosey-1.example.com"),
        ("listen", "127.0.0.1:4222", "listen: 127.0.0.1:4222"),
        ("listen", "localhost:4222", "listen: localhost:4222"),
        ("server_name", "true", 'server_name: "true"'),
        ("server_name", "Off", 'server_name: "Off"'),
        ("server_name", "12345", 'server_name: "12345"'),
        ("server_name", "10M", 'server_name: "10M"'),
        ("server_name", "", 'server_name: ""'),
        ("server_name", "$HOME", 'server_name: "$HOME"'),
        ("server_name", "é", 'server_name: "é"'),
        ("server_name", 'a"b\\c', 'server_name: "a\\"b\\\\c"'),
        ("server_name", "a\tb\nc\rd\0e\x7f", 'server_name: "a\\tb\\nc\\rd\\x00e\\x7f"'),
        ("server_name", "\udcff", 'server_name: "\\xff"'),
        ("max_payload", "1 MB", 'max_payload: "1 MB"'),
        ("ping_interval", "2m", 'ping_interval: "2m"'),
        ("two words", 1, '"two words": 1'),
        ('say "x"', 1, "'say \"x\"': 1"),
        ("include", 1, '"include": 1'),
        ("", 1, '"": 1'),
        ("a", 0.00001, "a: 0.00001"),
        ("a", 1e22, "a: 10000000000000000000000.0"),
        ("a", -(2**63), "a: -9223372036854775808"),
        ("a", datetime.datetime(987, 6, 5, 4, 3, 2, tzinfo=datetime.UTC), "a: 0987-06-05T04:03:02Z"),
        ("a", datetime.datetime(2024, 6, 5, 4, 3, 2), "a: 2024-06-05T04:03:02Z"),
        ("$include", "it's.conf", 'include "it\'s.conf"'),
    ],
)
def test_render_one_setting(key: str, value: t.Any, line: str) -> None:
    assert conf.render({key: value}) == f"{line}\n"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"a": {"b": [None]}}, "a.b.0: the configuration language has no way to write null; leave the option out"),
        ({"a": 2**63}, "a: the configuration language has no way to write a number of this size"),
        ({"a": float("nan")}, "a: the configuration language has no way to write a number of this size"),
        ({"a": b"x"}, "a value of type bytes"),
        ({"a": datetime.date(2024, 1, 1)}, "a value of type date"),
        ({"a": "\ud800"}, "a: the text holds half a character"),
        ({"a": {1: "x"}}, "a.1: the name of an option has to be text"),
        ({"a\0": 1}, "both kinds of quotes"),
        ({"'\"": 1}, "both kinds of quotes"),
        ({"$include": "'\""}, "both kinds of quotes"),
        ({"$include": [1]}, "the name of a file was expected"),
        ({"$include": 1}, "the name of a file was expected"),
        ({"a": {"$variable": "two words"}}, "a: the configuration language has no way to write this name"),
        ({"a": {"$variable": "2a$x"}}, "this name of a variable"),
        ({"a": {"$variable": 1}}, "this name of a variable"),
        ({"a": {"$variable": ""}}, "this name of a variable"),
    ],
)
def test_render_refuses_what_cannot_be_read_back(config: dict[str, t.Any], reason: str) -> None:
    with pytest.raises(conf_lexer.ConfError) as caught:
        conf.render(config)
    assert reason in str(caught.value)
    assert caught.value.line is None


def test_render_refuses_endless_nesting() -> None:
    config: dict[str, t.Any] = {}
    config["a"] = config
    with pytest.raises(conf_lexer.ConfError, match="more than 100 blocks"):
        conf.render(config)


@given(st.text(st.sampled_from("a\n\r\v\f\0\x1c\x85\u2028\\#{}[](): \"'")))
def test_nothing_in_a_comment_leaves_it(text: str) -> None:
    written = f"{conf.comment(text)}\nport: 1"
    assert conf.parse(written) == {"port": 1}
    assert unit_file.parse(f"{conf.comment(text)}\nUser=nats") == (unit_file.Setting("", "User", "nats"),)
    assert conf.parse(conf.render({"port": 1}, header=text)) == {"port": 1}


texts = st.text(st.characters(codec="utf-8"))
names = st.one_of(
    st.sampled_from(["port", "server_name", "max_payload", "include", "true", "users", "cluster"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0'")),
    st.text(st.characters(codec="utf-8", exclude_characters='\0"')),
).filter(lambda name: name not in (model.VARIABLE, model.INCLUDE))
scalars = st.one_of(
    texts,
    st.sampled_from(["yes", "10M", "2m", "$HOME", "$2a$x", "1.5", "-", "include", "a'b", "x#y", "(", "127.0.0.1:1"]),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.datetimes().map(lambda moment: moment.replace(microsecond=0, tzinfo=datetime.UTC)),
    st.sampled_from([{"$variable": "HOME"}]),
)
configs = st.dictionaries(
    names,
    st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4)),
    max_size=5,
)


def _meaning(value: t.Any, path: conf_reader.Path = ()) -> t.Any:
    """Give what a mapping means: its sizes in bytes."""
    if isinstance(value, dict):
        return {key: _meaning(entry, (*path, key)) for key, entry in value.items()}
    if isinstance(value, list):
        return [_meaning(entry, (*path, index)) for index, entry in enumerate(value)]
    option = reading.find(path)
    if isinstance(value, str) and option and option.kind is model.Kind.SIZE:
        try:
            return units.size(value, quoted=False)
        except units.UnitError:
            return value
    return value


@given(configs)
def test_what_is_written_is_read_with_its_meaning(config: dict[str, t.Any]) -> None:
    text = conf.render(config)
    found = conf.parse(text)
    assert found == _meaning(config)
    assert conf.render(found) == conf.render(_meaning(config))
    assert conf.render(conf.parse(conf.render(found))) == conf.render(found)


@pytest.mark.parametrize("spelling", ["1048576", "1k", "64KB", "8Mi", "2G", "1T", "-1"])
@pytest.mark.parametrize("path", [("max_payload",), ("jetstream", "max_mem"), ("JetStream", "MAX_FILE")])
def test_sizes_keep_their_spelling_and_their_meaning(spelling: str, path: tuple[str, ...]) -> None:
    config: t.Any = spelling
    for key in reversed(path):
        config = {key: config}
    text = conf.render(config)
    assert f"{path[-1]}: {spelling}\n" in text
    found: t.Any = conf.parse(text)
    for key in path:
        found = found[key]
    assert found == units.size(spelling, quoted=False)


REDACTED = [
    pytest.param(
        'authorization {\n  user: rosey  # the bot\n  password: "hunter2"\n}\n',
        'authorization {\n  user: rosey  # the bot\n  password: "********"\n}\n',
        id="quoted",
    ),
    pytest.param(
        "authorization {user: a, pass = hunter2; timeout: 2}",
        'authorization {user: a, pass = "********"; timeout: 2}',
        id="bare, by an alias, one line",
    ),
    pytest.param("AUTHORIZATION {PASSWORD: 'x y'}", 'AUTHORIZATION {PASSWORD: "********"}', id="upper case"),
    pytest.param("authorization { token: x'\n}", 'authorization { token: "********"\n}', id="ended by a quote"),
    pytest.param("authorization { token: 123 }", 'authorization { token: "********" }', id="number"),
    pytest.param("authorization { token: $2a$11$abc }", 'authorization { token: "********" }', id="bcrypt"),
    pytest.param("authorization { token: $2b$11$abc }", 'authorization { token: "********" }', id="no variable"),
    pytest.param("authorization { token: $TOKEN }", "authorization { token: $TOKEN }", id="variable"),
    pytest.param(
        "authorization { token (\none\ntwo\n)\n }\nport: 1\n",
        'authorization { token "********"\n\n\n\n }\nport: 1\n',
        id="block string keeps its lines",
    ),
    pytest.param(
        'T: "one"\nT: "two"\nN: 5\nauthorization { token: $T, timeout: $N }',
        'T: "********"\nT: "********"\nN: 5\nauthorization { token: $T, timeout: $N }',
        id="definitions",
    ),
    pytest.param(
        "A: x\nB: $A\nauthorization { token: $B }",
        'A: "********"\nB: $A\nauthorization { token: $B }',
        id="definition of a definition",
    ),
    pytest.param(
        "A { user: u, password: x }\nauthorization: $A",
        'A { user: "********", password: "********" }\nauthorization: $A',
        id="a block as definition",
    ),
    pytest.param(
        "authorization { token: one\n token: two }",
        'authorization { token: "********"\n token: "********" }',
        id="overwritten",
    ),
    pytest.param("pasword: x\nport: 1", 'pasword: "********"\nport: 1', id="unknown option"),
    pytest.param(
        '# users = [{user: "a", password: "x"}]\n// token: x y\n# the password is elsewhere\n',
        '# users = [{user: "a", password: ********\n// token: ********\n# the password is elsewhere\n',
        id="comments",
    ),
    pytest.param(
        "resolver: URL(http://u:p@h:1/)\nclient_advertise: h:1\n# nats://u:p@h\n# http://h/x",
        'resolver: "********"\nclient_advertise: h:1\n# nats********\n# http://h/x',
        id="credentials in a URL",
    ),
    pytest.param(
        "accounts { A { users [ {user: a, password: x}, {nkey: U} ] } }",
        'accounts { A { users [ {user: a, password: "********"}, {nkey: U} ] } }',
        id="in lists",
    ),
    pytest.param("jetstream { key: x, max_mem: 1 }", 'jetstream { key: "********", max_mem: 1 }', id="encryption key"),
    pytest.param(
        "cluster { routes: [\n nats://u:p@h:1\n nats://h:2\n] }",
        'cluster { routes: [\n "********"\n "********"\n] }',
        id="routes",
    ),
]


@pytest.mark.parametrize(("text", "expected"), REDACTED)
def test_redact(text: str, expected: str) -> None:
    assert conf.redact(text) == expected
    assert conf.redact(expected) == expected


@pytest.mark.parametrize("text", ["authorization { token: x", "a: 1 hunter2", "password hunter2 x"])
def test_redact_hides_what_cannot_be_read(text: str) -> None:
    assert conf.redact(text) == "(hidden: this is not a configuration that nats-server can read)\n"


SECRET = "h\u00fcnter2"
secret_settings = st.sampled_from(
    [
        f'authorization {{ token: "{SECRET}" }}',
        f"authorization {{ users: [ {{user: a, pass: {SECRET}}} ] }}",
        f"cluster {{ authorization {{ password '{SECRET}' }} }}",
        f'X: "{SECRET}"\nmqtt {{ authorization {{ token: $X }} }}',
        f"websocket {{ authorization {{ password (\n{SECRET}\n)\n }} }}",
        f"# token: {SECRET}",
        f'anything: "{SECRET}"',
    ]
)
plain_settings = st.sampled_from(
    ["port: 1", "# \u00e9", "host: 'x'", "jetstream {\n max_mem: 1G\n}", "include x", "server_tags [a, b]", ""]
)


@given(st.lists(secret_settings | plain_settings, max_size=8), st.sampled_from(["\n", "\r\n", " # note\n"]))
def test_redacting_hides_secrets_and_nothing_else(settings: list[str], end: str) -> None:
    text = "".join(setting + end for setting in settings)
    redacted = conf.redact(text)
    assert SECRET not in redacted
    assert redacted.count("\n") == text.count("\n")
    assert redacted.count("include x") == text.count("include x")
    shown = conf.parse(redacted, include=lambda _path: "")
    for key, value in conf.parse(text, include=lambda _path: "").items():
        if SECRET not in repr(value):
            assert shown[key] == value
        else:
            assert repr(shown[key]).count("********") == 1


@given(configs)
def test_redacting_what_is_written_keeps_its_lines(config: dict[str, t.Any]) -> None:
    text = conf.render(config)
    redacted = conf.redact(text)
    assert redacted.count("\n") == text.count("\n")
    assert list(conf.parse(redacted)) == list(conf.parse(text))
