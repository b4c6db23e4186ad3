# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text format in which Prometheus reads metrics: exposition format 0.0.4."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum

_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
# Prometheus keeps names that begin with two underscores to itself.
_LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})
_LABEL_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Kind(StrEnum):
    """What the numbers of a metric are: a counter only grows, until what counts is started anew."""

    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True)
class Sample:
    """One number of a metric. labels: what tells it from the others of the metric, by name."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Metric:
    """A metric with its samples. help: what it measures, as Prometheus shows it."""

    name: str
    kind: Kind
    help: str
    samples: tuple[Sample, ...]


def render(metrics: Iterable[Metric]) -> str:
    """Give the text of metrics; one without a sample is left out. ValueError for a name that can't be one."""
    return "".join(f"{line}\n" for metric in metrics if metric.samples for line in _lines(metric))


def _lines(metric: Metric) -> Iterable[str]:
    name = _checked(metric.name, _METRIC_NAME, "metric")
    yield f"# HELP {name} {metric.help.translate(_HELP_ESCAPES)}"
    yield f"# TYPE {name} {metric.kind}"
    for sample in metric.samples:
        yield f"{name}{_labels(sample.labels)} {_number(sample.value)}"


def _labels(labels: Mapping[str, str]) -> str:
    pairs = [
        f'{_checked(name, _LABEL_NAME, "label")}="{value.translate(_LABEL_ESCAPES)}"' for name, value in labels.items()
    ]
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _checked(name: str, pattern: re.Pattern[str], what: str) -> str:
    if not pattern.fullmatch(name):
        raise ValueError(f"{name!r} can't be the name of a {what}; expected {pattern.pattern}")
    return name


def _number(value: float) -> str:
    """Write a number so that it is read as the same; infinity and no number as Go reads them."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() else repr(float(value))
