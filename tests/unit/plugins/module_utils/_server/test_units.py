# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._server import units


@pytest.mark.parametrize(
    "text, expected",
    [
        ("0", 0),
        ("007", 7),
        ("1048576", 1 << 20),
        ("-1", -1),
        ("-1k", -1000),
        ("2K", 2000),
        ("2kb", 2 << 10),
        ("2Ki", 2 << 10),
        ("2KiB", 2 << 10),
        ("512M", 512_000_000),
        ("1MB", 1 << 20),
        ("2G", 2_000_000_000),
        ("2GB", 2 << 30),
        ("2gib", 2 << 30),
        ("3t", 3_000_000_000_000),
        ("3TiB", 3 << 40),
        ("1P", 10**15),
        ("1pb", 1 << 50),
        ("1e", 10**18),
        ("7EiB", 7 << 60),
        ("9223372036854775807", units.INT64_MAX),
    ],
)
def test_size_of_a_bare_number(text: str, expected: int) -> None:
    assert units.size(text, quoted=False) == expected


@pytest.mark.parametrize(
    "text, expected", [("", 0), ("2G", 2 << 30), ("512M", 512 << 20), ("1K", 1024), ("1T", 1 << 40), ("+5M", 5 << 20)]
)
def test_size_of_a_quoted_number(text: str, expected: int) -> None:
    assert units.size(text, quoted=True) == expected


@pytest.mark.parametrize(
    "text, quoted, remedy",
    [
        ("1 MB", False, "remove the space"),
        ("1.5MB", False, "write a whole number of a smaller unit"),
        ("1kbb", False, "write a number such as 1048576 or 1MB"),
        ("banana", False, "write a number such as 1048576 or 1MB"),
        ("", False, "write a number such as 1048576 or 1MB"),
        ("+5", False, "write a number such as 1048576 or 1MB"),
        ("1\u212a", False, "write a number such as 1048576 or 1MB"),
        ("512MB", True, "use K, M, G or T alone, or take the quotes away"),
        ("2g", True, "use K, M, G or T alone, or take the quotes away"),
        ("1024", True, "use K, M, G or T alone, or take the quotes away"),
        ("2 G", True, "remove the space"),
        ("G", True, "write a number such as 1048576 or 1MB"),
    ],
)
def test_text_that_is_no_size(text: str, quoted: bool, remedy: str) -> None:
    with pytest.raises(units.UnitError) as caught:
        units.size(text, quoted=quoted)
    assert (caught.value.fault, caught.value.remedy) == ("is no size", remedy)
    assert str(caught.value) == f"is no size; expected {caught.value.expected}; {remedy}"


@pytest.mark.parametrize("text", ["8EiB", "9223372036854775808", "-9EiB", "9999999999999E"])
def test_size_out_of_range(text: str) -> None:
    with pytest.raises(ValueError, match="is out of range"):
        units.size(text, quoted=False)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("0", 0),
        ("-0", 0),
        ("0s", 0),
        ("1ns", 1),
        ("3us", 3_000),
        ("3\u00b5s", 3_000),
        ("3\u03bcs", 3_000),
        ("10ms", 10_000_000),
        ("2m", 120_000_000_000),
        ("+2m", 120_000_000_000),
        ("-1s", -1_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("1.5h", 5_400_000_000_000),
        (".5s", 500_000_000),
        ("1.s", 1_000_000_000),
        ("1m1m", 120_000_000_000),
        ("1.0000000001s", 1_000_000_000),
    ],
)
def test_duration(text: str, expected: int) -> None:
    assert units.duration(text) == expected


@pytest.mark.parametrize(
    "text, remedy",
    [
        ("2", "add the unit, such as 2s for seconds"),
        ("1.5", "add the unit, such as 1.5s for seconds"),
        ("2 m", "remove the space"),
        ("1d", "write days as hours, such as 24h"),
        ("2M", "use the units h, m, s, ms, us and ns"),
        (".s", "use the units h, m, s, ms, us and ns"),
        ("", "use the units h, m, s, ms, us and ns"),
        ("banana", "use the units h, m, s, ms, us and ns"),
        ("1m-1s", "use the units h, m, s, ms, us and ns"),
        ("\u0663s", "use the units h, m, s, ms, us and ns"),
    ],
)
def test_text_that_is_no_duration(text: str, remedy: str) -> None:
    with pytest.raises(units.UnitError) as caught:
        units.duration(text)
    assert (caught.value.fault, caught.value.remedy) == ("is no duration", remedy)


def test_duration_out_of_range() -> None:
    with pytest.raises(ValueError, match="is out of range"):
        units.duration("2562048h")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("0", 0),
        ("-007", -7),
        ("+12", 12),
        (f"{5000 * '0'}1", 1),
        ("9223372036854775807", units.INT64_MAX),
        ("-9223372036854775808", units.INT64_MIN),
        ("9223372036854775808", None),
        (5000 * "9", None),
        ("", None),
        ("+", None),
        ("+-1", None),
        ("1_0", None),
        ("\u0661", None),
        ("1\n", None),
    ],
)
def test_an_integer_is_read_as_the_server_reads_it(text: str, expected: int | None) -> None:
    assert units.integer(text) == expected


@pytest.mark.parametrize(
    "nanoseconds, expected",
    [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5\u00b5s"),
        (10_000_000, "10ms"),
        (3_000_000_000, "3s"),
        (1_500_000_000, "1.5s"),
        (120_000_000_000, "2m0s"),
        (5_400_000_000_000, "1h30m0s"),
        (3_600_000_000_001, "1h0m0.000000001s"),
        (-120_000_000_000, "-2m0s"),
    ],
)
def test_duration_text(nanoseconds: int, expected: str) -> None:
    assert units.duration_text(nanoseconds) == expected


@settings(deadline=None)
@given(st.integers(min_value=units.INT64_MIN, max_value=units.INT64_MAX))
def test_duration_reads_what_duration_text_writes(nanoseconds: int) -> None:
    assert units.duration(units.duration_text(nanoseconds)) == nanoseconds


@settings(deadline=None)
@given(st.text())
def test_every_text_is_read_or_refused_with_words(text: str) -> None:
    for read in (lambda: units.duration(text), *(lambda q=q: units.size(text, quoted=q) for q in (False, True))):
        try:
            assert isinstance(read(), int)
        except units.UnitError as error:
            assert error.remedy


@pytest.mark.parametrize(
    "text, expected",
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T03:04:05.5Z", "2026-01-02T03:04:05.500000+00:00"),
        ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456+00:00"),
        ("2026-01-02T03:04:05.1234567+05:30", "2026-01-02T03:04:05.123456+05:30"),
        ("2026-01-02 03:04:05-08:00", "2026-01-02T03:04:05-08:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"),
    ],
)
def test_a_moment(text: str, expected: str) -> None:
    assert units.moment(text).isoformat() == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05,5Z",
        "2026-01-02T03:04:05.1234567890Z",
        "2026-01-02T03:04:05Z\n",
        "20260102T030405Z",
        "2026-W01-5T03:04:05Z",
        "2026-02-30T03:04:05Z",
        "2026-01-02T03:04:61Z",
        "2026-01-02T03:04:05+0530",
        "2026-01-02T03:04:05+99:00",
    ],
)
def test_a_text_that_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError):
        units.moment(text)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0"),
        (1, "1"),
        (1000, "1K"),
        (1024, "1KiB"),
        (2**20, "1MiB"),
        (2_000_000_000, "2G"),
        (10 * 2**30, "10GiB"),
    ],
)
def test_a_size_is_written_exactly(count: int, expected: str) -> None:
    assert units.size_text(count) == expected


@given(st.integers(units.INT64_MIN, units.INT64_MAX))
def test_a_size_that_is_written_is_read_as_it_was(count: int) -> None:
    assert units.size(units.size_text(count), quoted=False) == count
