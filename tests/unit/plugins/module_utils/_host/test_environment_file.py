# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environment files: what is written, what a real shell reads of it, what is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._host import environment_file
from ansible_collections.rosey.nats.plugins.module_utils._host.environment_file import EnvironmentFileError, get, put

NASTY = (
    "",
    " ",
    " both ends ",
    "two  words",
    '"',
    "'",
    'it\'s "quoted"',
    "$HOME",
    "${HOME}$(id)",
    "`id`",
    "#",
    "a #b",
    "\\",
    "\\\\",
    "ends in \\",
    "\\n\\$x\\",
    "!",
    "!!ls",
    "a;b&c|d<e>f(g)*?[h]~",
    "=x=",
    "%h%%",
    "ünï 日本 🤖",
    "a\u0301\u200d\u00a0\u2028",
    "nats://rosey:p@ss@localhost:4222,nats://[::1]:4222",
)
# What both can read: any character but control characters, and what systemd refuses as no text.
VALUES = st.text(
    st.characters(
        codec="utf-8",
        exclude_categories=("Cc", "Cs"),
        exclude_characters=[
            *map(chr, range(0xFDD0, 0xFDF0)),
            *(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF)),
        ],
    )
)


def read_by(shell: str, file: Path, names: list[str]) -> list[str]:
    """Give what a shell makes of the variables; `env -i` leaves it none of its own."""
    show = " ".join(f'"${{{name}-(unset)}}"' for name in names)
    command = ["env", "-i", "/usr/bin/env", shell, "-c", f". {file} && printf '%s\\0' {show}"]
    said = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout
    return said.decode().split("\0")[:-1]


@pytest.mark.parametrize("shell", ["sh", "bash", "dash"])
def test_a_shell_reads_what_was_meant(tmp_path: Path, shell: str) -> None:
    file = tmp_path / "secrets.env"
    names = [f"V{number}" for number in range(len(NASTY))]
    file.write_bytes(put(b"", dict(zip(names, NASTY, strict=True))))
    assert read_by(shell, file, names) == list(NASTY)


def test_an_interactive_shell_expands_no_history(tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    file.write_bytes(put(b"", {"V": "a!!b!ls"}))
    command = ["bash", "--norc", "-i"]
    said = subprocess.run(
        command, input=f". {file}\nprintf '<%s>' \"$V\"\n", text=True, capture_output=True, check=True, timeout=30
    )
    assert "<a!!b!ls>" in said.stdout


def test_any_value_comes_out_of_a_shell_and_of_our_own_reading_as_it_went_in(tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"

    @settings(max_examples=40, deadline=None, database=None)
    @given(st.lists(VALUES, min_size=1, max_size=40), st.sampled_from(["sh", "bash"]))
    def check(values: list[str], shell: str) -> None:
        names = [f"V{number}" for number in range(len(values))]
        variables = dict(zip(names, values, strict=True))
        text = put(b"", variables)
        file.write_bytes(text)
        assert get(text) == variables
        assert put(text, variables) == text
        assert read_by(shell, file, names) == values

    check()


# Lines that nothing is asked of, and that no change may touch.
OTHERS = st.lists(
    st.sampled_from(
        [
            b"# a comment\n",
            b"; another\r\n",
            b"\n",
            b"   \n",
            b"# \xff latin\n",
            b"OTHER='several\nV0=lines'\n",
            b'export PATH="/usr/bin"\n',
            b"BARE=a\\\nV1=b\n",
            b"no assignment\n",
            b"CRLF=1\r\n",
        ]
    ),
    max_size=5,
)
MINE = st.lists(
    st.sampled_from(
        [b"V0=old\n", b"V1='old'\n", b"V0=$HOME\n", b"export V1=old\n", b' V0 = "a"  # b\n', b'V1="o"\r\n']
    ),
    max_size=3,
)


@settings(deadline=None, database=None)
@given(st.tuples(OTHERS, MINE, OTHERS, MINE, OTHERS), VALUES, st.none() | VALUES)
def test_all_other_lines_stay(
    parts: tuple[list[bytes], list[bytes], list[bytes], list[bytes], list[bytes]], first: str, second: str | None
) -> None:
    a, b, c, d, e = parts
    text = b"".join(a + b + c + d + e)
    variables = {"V0": first, "V1": second}
    done = put(text, variables)
    read = get(done)
    assert (read.get("V0"), read.get("V1")) == (first, second)
    assert put(done, variables) == done
    others = {name: value for name, value in get(text).items() if name not in variables}
    assert {name: value for name, value in read.items() if name not in variables} == others
    bare = put(done, {"V0": None, "V1": None}).replace(b"export V1\n", b"")
    assert bare == b"".join(a + c + e)


@pytest.mark.parametrize(
    ("before", "variables", "after"),
    [
        # New ones
        ("", {"A": "1", "B": "2"}, 'A="1"\nB="2"\n'),
        ("X=1", {"A": "1"}, 'X=1\nA="1"\n'),
        ("X=1\r\n", {"A": "1"}, 'X=1\r\nA="1"\n'),
        ("# A=1\n", {"A": "1"}, '# A=1\nA="1"\n'),
        ("AA=1\nXA=1\n", {"A": "1"}, 'AA=1\nXA=1\nA="1"\n'),
        ("\ufeffA=1\n", {"A": "1"}, '\ufeffA=1\nA="1"\n'),
        ("X='\nA=0\n'\n", {"A": "1"}, "X='\nA=0\n'\nA=\"1\"\n"),
        # In place
        ("X=1\nA=0\nY=1\n", {"A": "1"}, 'X=1\nA="1"\nY=1\n'),
        ("X=1\n\n  A=0\nY=1\n", {"A": "1"}, 'X=1\n\nA="1"\nY=1\n'),
        ("A='several\nlines'\nY=1\n", {"A": "1"}, 'A="1"\nY=1\n'),
        ("A=0", {"A": "1"}, 'A="1"\n'),
        # Unchanged in whatever quoting, as far as both read it
        ("A=1\n", {"A": "1"}, "A=1\n"),
        ("A='1 $x'  \n", {"A": "1 $x"}, "A='1 $x'  \n"),
        ('\tA="\\$\\!"\n', {"A": "$\\!"}, '\tA="\\$\\!"\n'),
        ("A=1", {"A": "1"}, "A=1"),
        ("A=\n", {"A": ""}, "A=\n"),
        # The same for systemd alone
        ("A=$x\n", {"A": "$x"}, 'A="\\$x"\n'),
        ("A=1 2\n", {"A": "1 2"}, 'A="1 2"\n'),
        ("A = 1\n", {"A": "1"}, 'A="1"\n'),
        ("A=1\r\nX=2\r\n", {"A": "1"}, 'A="1"\nX=2\r\n'),
        ("A=~\n", {"A": "~"}, 'A="~"\n'),
        ("A=i\\'t\n", {"A": "i't"}, 'A="i\'t"\n'),
        # The same for a shell alone: the comment of the guide's own example is part of the value for systemd
        ('A="1"  # why\n', {"A": "1"}, 'A="1"\n'),
        ("A='i'\\''t'\n", {"A": "i't"}, 'A="i\'t"\n'),
        ("export A=1\n", {"A": "1"}, 'export A\nA="1"\n'),
        ("X=1\nexport A='0'\nY=1\n", {"A": "1"}, 'X=1\nexport A\nA="1"\nY=1\n'),
        ("export A\nA=0\n", {"A": "1"}, 'export A\nA="1"\n'),
        # Several of one name
        ("A=0\nX=1\nA=1\nY=1\n", {"A": "1"}, "X=1\nA=1\nY=1\n"),
        ("A=1\nX=1\nA=0\nY=1\n", {"A": "1"}, 'X=1\nA="1"\nY=1\n'),
        ("A=1\nX=1\nexport A=0\n", {"A": "1"}, 'X=1\nexport A\nA="1"\n'),
        # Gone
        ("X=1\nA=0\nY=1\nA=1\n", {"A": None}, "X=1\nY=1\n"),
        ("export A=0\n", {"A": None}, ""),
        ("X=1\n", {"A": None}, "X=1\n"),
        ("X=1", {"A": None}, "X=1"),
        ("", {"A": None}, ""),
        ("export X='A=1 A=2'\n", {"A": None}, "export X='A=1 A=2'\n"),
    ],
)
def test_what_is_written(before: str, variables: dict[str, str | None], after: str) -> None:
    assert put(before.encode(), variables).decode() == after
    assert put(after.encode(), variables).decode() == after


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ('A="a b"c\n', {"A": "a bc"}),
        ("A='a' \"b\"\n", {"A": "ab"}),
        ('A="a"b"c"\n', {"A": 'ab"c"'}),
        ("A=it's\n", {"A": "it's"}),
        ("A=a  b  \n", {"A": "a  b"}),
        ("A=a\\  \n", {"A": "a "}),
        ("A=a\\\nb\n", {"A": "ab"}),
        ('A="a\\\nb\\x"\n', {"A": "ab\\x"}),
        ("A=a # b\n", {"A": "a # b"}),
        ("A= \t a\n", {"A": "a"}),
        ("  # A=1\n;B=2\n", {}),
        ("A\nB=1\n", {"B": "1"}),
        ("A=1\rB=2\r", {"A": "1", "B": "2"}),
        ("export A=1\n1A=2\n", {}),
        ("A=1\nA=2\n", {"A": "2"}),
    ],
)
def test_a_file_is_read_as_systemd_reads_it(text: str, variables: dict[str, str]) -> None:
    assert get(text.encode()) == variables


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("A", "hidden\nx", "A: character 7 of its value is a line break. Choose a value without it."),
        ("A", "hidden\r", "A: character 7 of its value is a line break"),
        ("A", "hidden\0", "A: character 7 of its value is a control character"),
        ("A", "\thidden", "A: character 1 of its value is a control character"),
        ("A", "\x9bhidden", "A: character 1 of its value is a control character"),
        ("A", "\ud800hidden", "A: character 1 of its value is none that systemd takes for text"),
        ("A", "\ufdd0hidden", "A: character 1 of its value is none that systemd takes for text"),
        ("A", "\U0001ffffhidden", "A: character 1 of its value is none that systemd takes for text"),
        ("A", 5, "A: its value is no text. Write it in quotes."),
        ("1A", "hidden", "'1A' is no name of a variable. Use letters, digits and _, no digit first."),
        ("A B", None, "'A B' is no name"),
        ("", "hidden", "'' is no name"),
        ("Ä", "hidden", "'Ä' is no name"),
    ],
)
def test_a_variable_that_cannot_be_written_is_refused(name: str, value: str | None, told: str) -> None:
    with pytest.raises(EnvironmentFileError) as caught:
        put(b"", {name: value})
    assert told in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"X=1\nB='hidden\n", "line 2: its quote is not closed. Close it."),
        (b'X=1\nB="hidden\\"\n', "line 2: its quote is not closed"),
        (b"X=1\nB=hidden\\", "line 2: it ends in a backslash, and so does the file. Remove it."),
        (b"# C:\\dir\\\nA=1\n", "line 1: the comment ends in a backslash, for which systemd before 254"),
        (b"X=1\nB=\xffhidden\n", "line 2: it is not UTF-8, for which systemd refuses the file. Correct it."),
        (b"X=1\nB=\0hidden\n", "line 2: there is a NUL character"),
        (
            b"X=1\nexport B=1 A=hidden\n",
            "line 2: only a shell can read how A is set here. Write A=... in a line of its",
        ),
        (b"export A=1 B=hidden\n", "line 1: only a shell can read how A is set here"),
        (b"readonly A=hidden\n", "line 1: only a shell can read how A is set here"),
        (b"A=1\nA+=hidden\n", "line 2: only a shell can read how A is set here"),
    ],
)
def test_a_file_that_cannot_be_changed_safely_is_refused(text: bytes, told: str) -> None:
    with pytest.raises(EnvironmentFileError) as caught:
        put(text, {"A": "1"})
    assert told in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert caught.value.__context__ is None


def test_nothing_is_written_that_would_be_read_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment_file, "_with_backslash", lambda found: found[0])
    with pytest.raises(EnvironmentFileError, match="is not read as it is meant"):
        put(b"", {"A": 'a"b"'})
