# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exposition format, read back by Prometheus's own parser."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.rosey.nats.plugins.module_utils._watch import exposition
from ansible_collections.rosey.nats.plugins.module_utils._watch.exposition import Kind, Metric, Sample

NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]*", fullmatch=True)
# The reader takes what str.splitlines() and strip() take for lines and blanks as such.
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zs", "Zl", "Zp"), include_characters='\n "\\'))


def gauge(*samples: Sample, name: str = "up", text: str = "Whether it answers.") -> Metric:
    return Metric(name, Kind.GAUGE, text, samples)


def test_the_text_of_two_metrics() -> None:
    counter = Metric("lost_total", Kind.COUNTER, "What was lost.", (Sample(3), Sample(0.5, {"a": "1", "b": "2"})))
    assert exposition.render([counter, gauge(Sample(1))]) == (
        "# HELP lost_total What was lost.\n"
        "# TYPE lost_total counter\n"
        "lost_total 3\n"
        'lost_total{a="1",b="2"} 0.5\n'
        "# HELP up Whether it answers.\n"
        "# TYPE up gauge\n"
        "up 1\n"
    )


def test_a_metric_without_a_sample_is_left_out() -> None:
    assert exposition.render([gauge()]) == ""


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (-1, "-1"),
        (True, "1"),
        (1.5, "1.5"),
        (1e20, "100000000000000000000"),
        (1764186361.123456, "1764186361.123456"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_numbers(value: float, written: str) -> None:
    assert exposition.render([gauge(Sample(value))]).splitlines()[-1] == f"up {written}"


@given(st.dictionaries(NAMES, TEXTS, max_size=3), TEXTS, st.floats(allow_nan=False))
def test_what_is_written_is_read_as_the_same(labels: Mapping[str, str], text: str, value: float) -> None:
    written = exposition.render([gauge(Sample(value, labels), text=text)])
    (family,) = text_string_to_metric_families(written)
    (sample,) = family.samples
    assert (sample.name, sample.labels, sample.value) == ("up", labels, value)
    assert family.type == "gauge"
    assert family.documentation.strip() == text.strip()


@pytest.mark.parametrize("name", ["", "1up", "a-b", "a b", "up\n", "\u00fcp"])
def test_what_is_no_name_of_a_metric(name: str) -> None:
    with pytest.raises(ValueError, match="can't be the name of a metric"):
        exposition.render([gauge(Sample(1), name=name)])


@pytest.mark.parametrize("name", ["", "1up", "a-b", "a:b", "__name__", "up\n"])
def test_what_is_no_name_of_a_label(name: str) -> None:
    with pytest.raises(ValueError, match="can't be the name of a label"):
        exposition.render([gauge(Sample(1, {name: "x"}))])
