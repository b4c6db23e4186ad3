# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._server import subjects

LITERAL_TOKENS = ["a", "b", "*a", "a>", "ä"]


def joined(tokens: st.SearchStrategy[list[str]]) -> st.SearchStrategy[str]:
    return tokens.map(".".join)


literals = joined(st.lists(st.sampled_from(LITERAL_TOKENS), min_size=1, max_size=5))
patterns = joined(
    st.builds(
        lambda head, last: [*head, last],
        st.lists(st.sampled_from(["a", "b", "*", "*a"]), max_size=3),
        st.sampled_from(["a", "b", "*", ">", "a>"]),
    )
)
anything = st.text(st.sampled_from("ab.*> \t\nä"), max_size=8)


def replaced(pattern: str, token: str, rest: str) -> str:
    """Give a literal that the pattern matches, with ``token`` for each * and ``rest`` for >."""
    return ".".join({"*": token, ">": rest}.get(each, each) for each in pattern.split("."))


@st.composite
def widened(draw: st.DrawFn, pattern: str) -> str:
    """Give a pattern that covers this one: with * for some tokens, and > for some of the last."""
    tokens = [token if token == ">" or draw(st.booleans()) else "*" for token in pattern.split(".")]
    kept = draw(st.integers(0, len(tokens)))
    return ".".join(tokens if kept == len(tokens) else [*tokens[:kept], ">"])


def witness(one: str, other: str) -> str:
    """Give the literal that both match, if there is any: each token from the one that says more."""
    first, second = one.split("."), other.split(".")
    length = max(len(first), len(second))

    def stretched(tokens: list[str]) -> list[str]:
        return [*tokens[:-1], *["*"] * (length - len(tokens) + 1)] if tokens[-1] == ">" else tokens

    pairs = zip(stretched(first), stretched(second), strict=False)
    return ".".join("x" if mine == theirs == "*" else mine if theirs == "*" else theirs for mine, theirs in pairs)


@pytest.mark.parametrize(
    ("subject", "why"),
    [
        ("", "is empty"),
        (".", "empty token"),
        ("a.", "empty token"),
        (".a", "empty token"),
        ("a..b", "empty token"),
        ("a b", "whitespace"),
        ("a.b ", "whitespace"),
        ("a\tb", "whitespace"),
        ("a\nb", "whitespace"),
        ("a\rb", "whitespace"),
        ("a\fb", "whitespace"),
        (">.a", "goes on after >"),
        ("a.>.*", "goes on after >"),
        (">.>", "goes on after >"),
    ],
)
def test_an_invalid_subject_is_named_with_its_reason(subject: str, why: str) -> None:
    assert why in str(subjects.fault(subject))
    assert not subjects.is_valid(subject)
    assert not subjects.is_literal(subject)


@pytest.mark.parametrize(
    ("subject", "literal"),
    [
        ("a", True),
        ("rosey.prod.commands.quote", True),
        ("*", False),
        (">", False),
        ("a.*.b", False),
        ("a.>", False),
        ("*.>", False),
        ("*a", True),
        ("a*.b>", True),
        (">>.a", True),
        ("a>.b", True),
        ("$SYS.a", True),
        ("a\x0bb\u00a0c", True),
    ],
)
def test_a_valid_subject_is_literal_without_a_wildcard_token(subject: str, literal: bool) -> None:
    assert subjects.fault(subject) is None
    assert subjects.is_literal(subject) is literal
    assert subjects.has_wildcard(subject) is not literal


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.b", "A.b", False),
        ("a.*", "a.b", True),
        ("a.*", "a", False),
        ("a.*", "a.b.c", False),
        ("a.b", "a.*", False),
        ("*", "*", True),
        ("*", ">", False),
        (">", "*", True),
        ("*.>", ">", False),
        (">", "*.>", True),
        ("a.>", "a", False),
        ("a.>", "a.b.c", True),
        ("a.>", "a.*", True),
        ("a.*", "a.>", False),
        ("a.*.*", "a.*.>", False),
        ("a.>", "a.>", True),
        ("*.*", "a.>", False),
        ("*.*", "a.*", True),
        # No delivery takes the token for a wildcard, though a part of the server's own code does.
        ("*a", "b", False),
        ("a>", "a", False),
        ("a..b", "a..b", False),
        (">", "a..b", False),
        ("a b", "a b", False),
    ],
)
def test_covers(wide: str, narrow: str, expected: bool) -> None:
    assert subjects.covers(wide, narrow) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a.*", "*.b", True),
        ("a.*", "b.*", False),
        ("a.>", "*.b.c", True),
        ("a.>", "a", False),
        ("a.>", "*", False),
        (">", "*", True),
        (">", ">", True),
        ("a.*.>", "a.>", True),
        ("a.*.>", "a.*", False),
        ("*.b", "a.>", True),
        ("a.*.c", "a.b.*", True),
        ("a.*.c", "a.b.d", False),
        ("*a.b.*", "x.b.*", False),
        (">", "a..b", False),
    ],
)
def test_overlaps(one: str, other: str, expected: bool) -> None:
    assert subjects.overlaps(one, other) is expected


@pytest.mark.parametrize("literal", ["a.*", ">", "a..b", "a b"])
def test_nothing_matches_what_is_no_literal(literal: str) -> None:
    assert not subjects.matches(">", literal)


@given(patterns)
def test_a_pattern_covers_itself_and_overlaps_itself(pattern: str) -> None:
    assert subjects.covers(pattern, pattern)
    assert subjects.overlaps(pattern, pattern)


@given(patterns, st.data())
def test_covering_is_transitive_and_covers_overlap(narrow: str, data: st.DataObject) -> None:
    wider = data.draw(widened(narrow))
    widest = data.draw(widened(wider))
    for wide, below in ((wider, narrow), (widest, wider), (widest, narrow)):
        assert subjects.covers(wide, below)
        assert subjects.overlaps(wide, below)


@given(patterns, patterns)
def test_covering_in_both_directions_is_sameness(one: str, other: str) -> None:
    assert (subjects.covers(one, other) and subjects.covers(other, one)) is (one == other)


@given(patterns, patterns)
def test_a_pattern_covers_another_exactly_where_it_matches_its_fresh_literals(wide: str, narrow: str) -> None:
    fresh = [replaced(narrow, "new", rest) for rest in ("new", "new.new", "new.new.new.new.new")]
    assert subjects.covers(wide, narrow) is all(subjects.matches(wide, literal) for literal in fresh)


@given(patterns, patterns)
def test_patterns_overlap_exactly_where_both_match_a_literal(one: str, other: str) -> None:
    literal = witness(one, other)
    both = subjects.matches(one, literal) and subjects.matches(other, literal)
    assert {subjects.overlaps(*pair) for pair in ((one, other), (other, one))} == {both}


@given(patterns, literals)
def test_matching_a_literal_is_covering_and_overlapping_it(pattern: str, literal: str) -> None:
    expected = subjects.matches(pattern, literal)
    assert subjects.covers(pattern, literal) is subjects.overlaps(pattern, literal) is expected


@given(anything, anything)
def test_what_is_invalid_has_no_part_in_anything(one: str, other: str) -> None:
    assume(not (subjects.is_valid(one) and subjects.is_valid(other)))
    assert not subjects.covers(one, other)
    assert not subjects.overlaps(one, other)
    assert not subjects.matches(one, other)


@given(st.lists(patterns, max_size=8), patterns)
def test_the_index_finds_what_overlaps(used: list[str], asked: str) -> None:
    index = subjects.Index()
    for position, subject in enumerate(used):
        index.add(subject, f"{position}")
    expected = {f"{position}" for position, subject in enumerate(used) if subjects.overlaps(subject, asked)}
    assert index.overlapping(asked) == expected


def test_a_long_subject_is_no_burden() -> None:
    long = ".".join(["a"] * 5000)
    assert subjects.overlaps(long, "a.>")
    assert subjects.overlaps(long, ".".join(["*"] * 5000))


@pytest.mark.parametrize(
    ("subject", "full"),
    [
        ("commands.quote", "rosey.prod.commands.quote"),
        ("commands.>", "rosey.prod.commands.>"),
        (">", "rosey.prod.>"),
        ("roseys.x", "rosey.prod.roseys.x"),
        ("rosey.prod.commands.quote", "rosey.prod.commands.quote"),
        ("rosey.staging.commands.quote", "rosey.staging.commands.quote"),
        ("rosey.*.commands.quote", "rosey.*.commands.quote"),
        ("rosey", "rosey"),
    ],
)
def test_a_relative_subject_gets_the_prefix(subject: str, full: str) -> None:
    assert subjects.resolve(subject, "rosey.prod") == full
    assert subjects.resolve(full, "rosey.prod") == full


@pytest.mark.parametrize(
    ("subject", "path"),
    [
        ("rosey.prod.commands.quote", "commands.quote"),
        ("rosey.prod", None),
        ("rosey.production.commands.quote", None),
        ("rosey.staging.commands.quote", None),
        ("commands.quote", None),
    ],
)
def test_the_path_after_the_prefix(subject: str, path: str | None) -> None:
    assert subjects.relative(subject, "rosey.prod") == path


def test_no_environment_has_a_place_in_anothers_prefix() -> None:
    prefixes = list(subjects.PREFIXES.values())
    assert prefixes == ["rosey.dev", "rosey.staging", "rosey.prod"]
    for prefix in prefixes:
        within = subjects.resolve("commands.quote", prefix)
        assert [other for other in prefixes if subjects.relative(within, other)] == [prefix]
