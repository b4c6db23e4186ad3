# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One section of a YAML file: what stays byte for byte, what is refused."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import yaml
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._host import yaml_section
from ansible_collections.rosey.nats.plugins.module_utils._host.yaml_section import SpliceError, cut, find, put

SECTION = b'nats:\n  servers:\n    - "nats://localhost:4222"\n  name: "rosey-bot"\n  prefix: "rosey.prod"\n'
DATA = {"servers": ["nats://localhost:4222"], "name": "rosey-bot", "prefix": "rosey.prod"}

# What is before the section, the section itself, what is after it.
THERE = {
    "alone": ("", "nats:\n  prefix: rosey.dev\n", ""),
    "first": ("", "nats:\n  prefix: rosey.dev\n", "bot:\n  name: rosey\n"),
    "middle": ("bot:\n  name: rosey\n", "nats:\n  prefix: rosey.dev\n", "log:\n  level: info\n"),
    "last": ("bot:\n  name: rosey\n", "nats:\n  prefix: rosey.dev\n", ""),
    "the guide's": (
        "# The bot\nchannel: mychannel\n\n",
        "nats:\n  # Connection URL\n  servers:\n    - nats://other:4222\n\n  # Credentials\n  # user: rosey\n"
        '  prefix: "rosey.dev"             # All subjects start with rosey.dev.*\n',
        "\n# The database\ndatabase: x.db\n",
    ),
    "comments everywhere": (
        "# top\n\na: 1 # one\n# before\n",
        "nats: # here\n  # inside\n  x: 1 # end\n",
        "# after\nb: 2\n# last\n",
    ),
    "comments indented deeper after it": ("a: 1\n", "nats:\n  x: 1\n", "    # deep\n  # less\n\n# none\nb: 2\n"),
    "blank lines around it": ("a: 1\n\n\n", "nats:\n  x: 1\n", "\n \n   \nb: 2\n\n\n"),
    "CRLF": ("a: 1\r\n# c\r\n", "nats:\r\n  x: 1\r\n", "\r\nb: 2\r\n"),
    "CRLF without a last line break": ("a: 1\r\n", "nats:\r\n  x: 1\r\n", "b: 2"),
    "CR alone": ("a: 1\r", "nats:\r  x: 1\r", "b: 2\r"),
    "mixed line ends": ("a: 1\n", "nats:\r\n  x: 1\r\n", "b: 2\r\n"),
    "no last line break after it": ("", "nats:\n  x: 1\n", "b: 2"),
    "BOM before the section": ("\ufeff", "nats:\n  x: 1\n", "b: 2\n"),
    "BOM before another": ("\ufeffa: 1\n", "nats:\n  x: 1\n", ""),
    "anchors elsewhere": ("a: &a {x: 1}\nb: &b [1]\n", "nats:\n  x: 1\n", "c: *a\nd:\n  <<: *a\n  e: *b\n"),
    "an alias to an anchor elsewhere": ("a: &a {x: 1}\n", "nats:\n  <<: *a\n  y: *a\n", "c: *a\n"),
    "an alias as its value": ("a: &a {x: 1}\n", "nats: *a\n", "c: *a\n"),
    "an anchor for itself": ("a: 1\n", "nats: &n\n  x: &x 1\n  y: *x\n", "b: 2\n"),
    "an anchor on its key": ("a: 1\n", "&k nats:\n  x: 1\n", "b: 2\n"),
    "a merge without it": ("base: &base {log: 1}\n<<: *base\n", "nats:\n  x: 1\n", "b: 2\n"),
    "the word in a block of text": (
        "help: |\n  Write:\n  nats:\n    x: 1\nmore: >-\n  nats: y\n",
        "nats:\n  x: 1\n",
        "text: |+\n  nats:\n\n\nend: 1\n",
    ),
    "nested keys of that name": (
        "a:\n  nats:\n    x: 1\n",
        "nats:\n  nats:\n    nats: 1\n",
        "b:\n  - nats: 2\n  - {nats: 3}\n",
    ),
    "the word as a value": ("a: nats\nb: 'nats:'\n", "nats:\n  x: 1\n", "c:\n- nats\n# nats: 1\nnatsy: 1\n"),
    "flow": ("a: 1\n", "nats: {x: 1, y: [1, 2]} # c\n", "b: 2\n"),
    "flow over lines": ("a: 1\n", "nats: {\n  x: 1, # c\n\n  y: [1,\n2]\n}\n", "\n# c\nb: {\n}\n"),
    "a double-quoted key": ("a: 1\n", '"nats":\n  x: 1\n', "'b': 2\n"),
    "a single-quoted key": ("a: 1\n", "'nats' :\n  x: 1\n", "b: 2\n"),
    "a complex key": ("? a\n: 1\n", "? nats\n# c\n: x: 1\n", "? [b, c]\n: 2\n"),
    "a tagged key": ("a: 1\n", "!!str nats:\n  x: 1\n", "b: 2\n"),
    "no value": ("a: 1\n", "nats:\n", "b: 2\n"),
    "null": ("a: 1\n", "nats: ~ # none\n", "# c\nb: 2\n"),
    "empty values at its end": ("a: 1\n", "nats:\n  x:\n    y:\n", "  # c\nb: 2\n"),
    "a list at the margin": ("a:\n- 1\n", "nats:\n- x\n- y:\n  - z\n-\n", "# c\nb:\n- 2\n"),
    "a plain text over lines": (
        "a: one\n  two\n\n  three\n",
        "nats: one\n  two\n\n   three\n",
        "# c\nb: four\n  five\n",
    ),
    "a quoted text over lines": ("a: 'one\n\n  # two'\n", 'nats: "one\n\n  # two\\\n   "\n', "b: 'three\n\n  '\n"),
    "a block of text": ("a: 1\n", "nats: |\n  one\n  # no comment\n", "\n\n# c\nb: 2\n"),
    "a block of text that keeps its end": ("a: 1\n", "nats:\n  x: |+ # c\n    one\n\n\n", "b: 2\n"),
    "a block of text that ends in blanks": ("a: 1\n", "nats:\n  x: >-\n    one\n      \n\n", "# c\nb: 2\n"),
    "an empty block of text": ("a: 1\n", "nats: |\n", "\n\nb: 2\n"),
    "a start and an end": ("%YAML 1.1\n---\na: 1\n", "nats:\n  x: 1\n", "b: 2\n...\n# c\n"),
    "a start with a remark": ("--- # c\n", "nats:\n  x: 1\n", "...\n"),
    "a tagged top level": ("--- !!map\na: 1\n", "nats:\n  x: 1\n", ""),
    "own tags": (
        "a: !vault |\n  $ANSIBLE_VAULT;1.1\n  3132\nb: !env HOME\n",
        "nats:\n  x: !env NATS\n",
        "c: !x [!y {a: 1}]\n",
    ),
    "unicode": ("ä: ü\n# 日本 🤖\n", "nats:\n  ñ: '🤖' # é\n", "日: 本\n# \u2028b: 2\n"),
    "tabs in values": ("a: 'x\ty' # z\tz\n", 'nats:\n  x: "1\t2" #\t\n', "b: |\n  \tc\n"),
    "other duplicates": ("a: 1\na: 2\n", "nats:\n  x: 1\n  x: 2\n", "a: 3\n"),
    "odd values elsewhere": ("a: 2024-99-99\n? {b: 1}\n: 2\n", "nats: 0x\n", "=: 1\n"),
    "a secret after it": ("", "nats:\n  x: 1\n", "token: 's3cr3t'\n"),
}

ABSENT = {
    "empty": ("", ""),
    "a comment alone": ("# nothing yet\n", ""),
    "a comment without a line break": ("# nothing yet\n", ""),
    "blank lines": ("\n\n", ""),
    "a BOM alone": ("\ufeff", ""),
    "a start alone": ("---\n", ""),
    "a start and an end alone": ("--- # c\n", "...\n"),
    "another": ("a: 1\n", ""),
    "comments at the end": ("a:\n  b: 1\n\n  # c\n# d\n\n", ""),
    "CRLF": ("a: 1\r\n", ""),
    "an end": ("a: 1\n# c\n", "... # d\n# e\n"),
    "a text that keeps its end": ("a: |+\n  x\n\n\n", ""),
    "nested": ("a:\n  nats: 1\n", ""),
    "a list at the margin": ("a:\n- 1\n", ""),
    "a flow over lines": ("a: {\nb: 1}\n", ""),
    "a merge without it": ("base: &base {log: 1}\n<<: *base\n", ""),
}


def with_line_ends(before: str, section: bytes = SECTION) -> str:
    """Give the section with the line ends of what is around it."""
    for line_end in ("\r\n", "\r"):
        if line_end in before and "\n" not in before.replace("\r\n", ""):
            return section.decode().replace("\n", line_end)
    return section.decode()


@pytest.mark.parametrize("parts", THERE.values(), ids=THERE)
def test_a_section_is_replaced_and_nothing_else(parts: tuple[str, str, str]) -> None:
    before, section, after = parts
    text = "".join(parts).encode()
    assert find(text, "nats") == section.encode()
    done = put(text, "nats", SECTION)
    assert done.decode() == before + with_line_ends(before + section) + after
    assert find(done, "nats") == with_line_ends(before + section).encode()
    assert put(done, "nats", SECTION) == done


@pytest.mark.parametrize("parts", THERE.values(), ids=THERE)
def test_a_section_is_cut_out_and_nothing_else(parts: tuple[str, str, str]) -> None:
    before, _section, after = parts
    done = cut("".join(parts).encode(), "nats")
    assert done.decode() == before + after
    assert cut(done, "nats") == done
    assert find(done, "nats") is None


@pytest.mark.parametrize("parts", ABSENT.values(), ids=ABSENT)
def test_a_new_section_comes_to_the_end(parts: tuple[str, str]) -> None:
    before, after = parts
    text = (before + after).encode()
    assert find(text, "nats") is None
    assert cut(text, "nats") == text
    done = put(text, "nats", SECTION)
    assert done.decode() == before + with_line_ends(before) + after
    assert cut(done, "nats") == text


@pytest.mark.parametrize(
    ("text", "done"),
    [
        (b"a: 1", b"a: 1\n" + SECTION),
        (b"# c", b"# c\n" + SECTION),
        (b"---", b"---\n" + SECTION),
        (b"a: 1\r\nb: 2", b"a: 1\r\nb: 2\r\n" + SECTION.replace(b"\n", b"\r\n")),
        (b"a: 1\n   ", b"a: 1\n   \n" + SECTION),
        # A section in the place of one without a line break
        (b"a: 1\nnats:\n  x: 1", b"a: 1\n" + SECTION[:-1]),
        (b"nats:", SECTION[:-1]),
    ],
)
def test_a_missing_last_line_break(text: bytes, done: bytes) -> None:
    assert put(text, "nats", SECTION) == done
    assert put(done, "nats", SECTION) == done


def test_a_text_at_the_end_keeps_its_line_break() -> None:
    section = b"nats:\n  x: |\n    one\n"
    assert put(b"a: 1\nnats: 1", "nats", section) == b"a: 1\n" + section


@pytest.mark.parametrize(
    "text",
    [
        "nats: {prefix: rosey.prod, servers: ['nats://localhost:4222'], name: rosey-bot}\n",
        "# c\n'nats':   # c\n    name: >-\n        rosey-bot\n    # c\n    servers:\n    - nats://localhost:4222\n"
        '    prefix:\n      "rosey.\\\n      prod"',
        "a: &a\n  name: rosey-bot\nb: &b rosey.prod\n"
        "nats:\n  <<: *a\n  servers: [nats://localhost:4222]\n  prefix: *b\n",
        "{a: 1, nats: {prefix: rosey.prod, servers: ['nats://localhost:4222'], name: rosey-bot}}",
        "  nats: {prefix: rosey.prod, servers: ['nats://localhost:4222'], name: rosey-bot}",
        "nats: &n {prefix: rosey.prod, servers: ['nats://localhost:4222'], name: rosey-bot}\nb: *n\n",
    ],
)
def test_a_section_that_says_the_same_is_left_alone(text: str) -> None:
    assert yaml.safe_load(text).get("nats") == DATA
    assert put(text.encode(), "nats", SECTION) == text.encode()


@pytest.mark.parametrize(
    ("there", "wanted"),
    [("1", "true"), ("1", "1.0"), ("1", "'1'"), ("[1]", "[true]"), ("null", "''"), ("{1: a}", "{'1': a}"), ("a", "b")],
)
def test_other_data_are_other_data(there: str, wanted: str) -> None:
    section = f"nats:\n  x: {wanted}\n".encode()
    assert put(f"nats:\n  x: {there}\n".encode(), "nats", section) == section


@pytest.mark.parametrize(("there", "wanted"), [("0x10", "16"), ("yes", "true"), (".NaN", ".nan"), ("'a'", "a")])
def test_equal_data_are_equal_data(there: str, wanted: str) -> None:
    text = f"nats:\n  x: {there}\n".encode()
    assert put(text, "nats", f"nats:\n  x: {wanted}\n".encode()) == text


REFUSED = [
    (b"nats: 1\na: 2\nnats: 3\n", "line 3: nats is there a second time. Remove one of the two."),
    (b"nats: 1\n'nats': 3\n", "line 2: nats is there a second time"),
    (b'nats: 1\n? "nats"\n: 3\n', "line 2: nats is there a second time"),
    (b"a: &k nats\nnats: 1\n*k : 2\n", "line 3: nats is there a second time"),
    (
        b"nats: &n\n  x: 1\n\nb: *n\n",
        "line 4: the anchor n, which is defined in nats, is used here. Define it where it is used.",
    ),
    (b"nats:\n  x: [&n 1]\nb:\n  - <<: {c: *n}\n", "line 4: the anchor n, which is defined in nats, is used here"),
    (b"nats: &n 1\na: 1\n*n : 2\n", "line 3: the anchor n"),
    (b"nats: 1\n---\nb: 2\n", "line 2: a second document begins here. Keep one document in the file."),
    (b"---\nnats: 1\n---\n", "line 3: a second document begins here"),
    (b"a: 1\n...\n---\nb: 2\n", "line 3: a second document begins here"),
    (b"a:\n  b: 1\n\tc: 2\n", "line 3: a tab is not allowed here. Use spaces."),
    (b"\tnats: 1\n", "line 1: a tab is not allowed here"),
    (b"a: 1\n\t# c\n", "line 2: a tab is not allowed here"),
    (b"# c\n- a\n", "line 2: the file is no mapping. Its top level has to consist of keys with values."),
    (b"text\n", "line 1: the file is no mapping"),
    (b"--- null\n", "line 1: the file is no mapping"),
    (b"--- ''\n", "line 1: the file is no mapping"),
    (b"--- &a\n", "line 1: the file is no mapping"),
    (b"# c\n{nats: 1}\n", "line 2: the top level is written in braces. Write each of its keys in a line of its own."),
    (b"--- {a: 1,\n nats: 2}\n", "line 1: the top level is written in braces"),
    (b"# c\n  nats: 1\n  a: 2\n", "line 2: the top level is indented. Move it to the left margin."),
    (b"a: 1\n?\n  nats\n: x\n", "line 3: the key does not begin its line. Write it at the left margin."),
    (b"a: 1\nb: [hidden\nc: 2\n", "line 3: this is no YAML: "),
    (b"a: *hidden\n", "line 1: this is no YAML: found undefined alias"),
    (b"a: 1\nb: hidden: 2\n", "line 2: this is no YAML: mapping values are not allowed here. Correct it."),
    (b"a: 1\r\nb: \x01hidden\r\n", "line 2: the character U+0001 is not allowed in YAML. Remove it."),
    (b"a: 1\n# \xe9 hidden\n", "line 2: the file is not UTF-8. Save it in UTF-8."),
    ("nats: 1\n".encode("utf-16"), "line 1: the file is not UTF-8"),
    (b"base: &b {nats: 1}\n<<: *b\n", "line 2: the merged mapping holds nats too. Take nats out of it."),
    (b"c: &c {'nats': 1}\nb: &b {<<: *c}\n<<: [{x: 1}, *b]\nnats: 2\n", "line 3: the merged mapping holds nats too"),
    (b"a: 1\na: &x 1\nb: &x 2\n", "line 3: this is no YAML: found duplicate anchor"),
    (b"a: " + b"[" * 1200 + b"]" * 1200, "The file is nested too deeply. Make it simpler."),
]


@pytest.mark.parametrize(("text", "told"), REFUSED)
@pytest.mark.parametrize("change", [lambda text: put(text, "nats", SECTION), lambda text: cut(text, "nats")])
def test_what_cannot_be_spliced_safely_is_refused(change: Any, text: bytes, told: str) -> None:
    with pytest.raises(SpliceError) as caught:
        change(text)
    assert told in str(caught.value)
    assert "hidden" not in str(caught.value).replace("alias 'hidden'", "")
    # PyYAML's own error would carry the text of the file.
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("change", "text"),
    [
        # The comment would become a part of the text before it.
        (lambda text: cut(text, "nats"), b"a: |\n  text\nnats:\n  x: 1\n  # comment\nb: 2\n"),
        # So would the blank lines.
        (lambda text: cut(text, "nats"), b"a: |+\n  text\nnats: 1\n\nb: 2\n"),
        # The text at the end would get a line break.
        (lambda text: put(text, "nats", SECTION), b"a: |\n  text"),
        # The comment would become a part of the new text.
        (lambda text: put(text, "nats", b"nats:\n  x: |\n    a\n"), b"nats: 1\n     # comment\nb: 2\n"),
    ],
)
def test_what_would_change_something_else_is_refused(change: Any, text: bytes) -> None:
    with pytest.raises(SpliceError, match=r"^nats can't be changed without changing what is around it: a comment"):
        change(text)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        (b"", "The new text is not nats alone. Begin it with nats: and end it with its value."),
        (b"bot: 1\n", "is not nats alone"),
        (b"nats: 1\nbot: 2\n", "is not nats alone"),
        (b"# c\nnats: 1\n", "is not nats alone"),
        (b"nats: 1\n# c\n", "is not nats alone"),
        (b"---\nnats: 1\n", "is not nats alone"),
        (b"\xef\xbb\xbfnats: 1\n", "is not nats alone"),
        (b"{nats: 1}\n", "the top level is written in braces"),
        (b"nats: 1", "The new text of nats does not end with a line break. Add it."),
        (b"nats: [&a 1]\n", "The new text of nats has an anchor or an alias. Write the values out."),
        (b"nats: !x 1\n", "The new text of nats has a tag that plain YAML does not know. Leave it out."),
    ],
)
def test_a_section_that_is_none_is_refused(section: bytes, told: str) -> None:
    with pytest.raises(SpliceError) as caught:
        put(b"a: 1\n", "nats", section)
    assert told in str(caught.value)


def test_without_the_library_it_can_be_imported_and_tells() -> None:
    code = (
        "import sys; sys.modules['yaml'] = None\n"
        "from ansible_collections.rosey.nats.plugins.module_utils._host import yaml_section\n"
        "print(yaml_section.HAS_YAML)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="collections", check=True)
    assert (done.stdout, yaml_section.HAS_YAML) == ("False\n", True)


# Properties

KEYS = st.sampled_from(["a", "b", "natsy", "ключ", "on", "1", "~"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=12)
    | st.sampled_from(["nats:", "nats: 1\n", "# no comment", " x\n\n", "a\n  b\n", "---", "...", "\tx"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS | st.just("nats"), below, max_size=3),
    max_leaves=6,
)
BETWEEN = st.lists(st.sampled_from(["", "# c", "#", "  # deeper", "      # deep", "   ", "# nats: 1"]), max_size=3)


@st.composite
def dumped(draw: st.DrawFn, key: str) -> str:
    """Write one key with its value in one of PyYAML's styles."""
    styles = {
        "default_flow_style": draw(st.sampled_from([None, True, False])),
        "default_style": draw(st.sampled_from([None, None, '"', "'", "|", ">"])),
        "indent": draw(st.sampled_from([2, 4])),
        "allow_unicode": draw(st.booleans()),
        "width": draw(st.sampled_from([20, 80])),
    }
    return str(yaml.safe_dump({key: draw(VALUES)}, **styles))


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Write a file of several keys, the section maybe among them, with comments between."""
    keys = draw(st.lists(KEYS | st.just("nats"), unique=True, max_size=4))
    lines = draw(BETWEEN)
    for key in keys:
        text = draw(dumped(key))
        # A top level in braces has its own tests.
        assume(not text.startswith("{"))
        lines += [text.removesuffix("\n"), *draw(BETWEEN)]
    text = "\n".join(lines) + draw(st.sampled_from(["\n", ""]))
    text = draw(st.sampled_from(["", "", "\ufeff", "---\n"])) + text
    return text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n"]))).encode()


def rest(text: bytes) -> dict[str, Any]:
    data = yaml.safe_load(text.decode()) or {}
    return {key: value for key, value in data.items() if key != "nats"}


def test_splicing_never_changes_the_rest() -> None:
    outcomes = set()

    @settings(max_examples=100, deadline=None, database=None)
    @given(files(), dumped("nats"))
    @example(b"a: 1\nnats: 2\n", "nats: 3\n")
    @example(b"a: |\n  x", "nats: 3\n")
    def check(text: bytes, section: str) -> None:
        try:
            before = rest(text)
        except (yaml.YAMLError, LookupError, ValueError):
            # A comment between two keys was taken for a part of the first one's text.
            return
        wanted = section.encode()
        try:
            done = put(text, "nats", wanted)
            without = cut(done, "nats")
        except SpliceError:
            outcomes.add("refused")
            return
        outcomes.add("put")
        assert repr(rest(done)) == repr(before) == repr(rest(without))
        assert "nats" not in (yaml.safe_load(without.decode()) or {})
        assert repr(yaml.safe_load(done.decode())["nats"]) == repr(yaml.safe_load(section)["nats"]) or done == text
        assert put(done, "nats", wanted) == done
        found = find(done, "nats")
        assert found is not None
        if done != text:
            assert found.replace(b"\r\n", b"\n").rstrip(b"\n") == wanted.rstrip(b"\n")
        # The same words may stand elsewhere too, deeper.
        places = [at for at in range(len(done)) if done.startswith(found, at)]
        assert without in [done[:at] + done[at + len(found) :] for at in places]

    check()
    assert outcomes == {"refused", "put"}
