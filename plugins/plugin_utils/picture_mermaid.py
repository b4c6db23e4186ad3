# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of the bus as text for Mermaid, which GitHub draws where a README has it. On the controller alone."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Severity
from ansible_collections.rosey.nats.plugins.plugin_utils.picture import Picture, printable

# Seen on a light and on a dark page.
_COLOURS = {Severity.ERROR: "#cf222e", Severity.WARNING: "#bf8700"}


def draw(picture: Picture) -> str:
    """Give the text of the picture."""
    return "\n".join(_lines(picture)) + "\n"


def markdown(picture: Picture) -> str:
    """Give the text of the picture as a block of a Markdown file."""
    return f"```mermaid\n{draw(picture)}```\n"


def _lines(picture: Picture) -> Iterator[str]:
    parties = {party.name: f"party{number}" for number, party in enumerate(picture.parties)}
    subjects = {subject.name: f"subject{number}" for number, subject in enumerate(picture.subjects, start=1)}
    heard = {edge.subject for edge in picture.edges if not edge.published}
    yield from ("---", f"title: {json.dumps(picture.title)}", "---", "flowchart LR")
    for party in picture.parties:
        shape = "([{}])" if party.is_bot else "[{}]"
        yield f"  {parties[party.name]}{shape.format(_label(printable(party.name)))}{_class(party.severity)}"
    for subject in picture.subjects:
        yield f"  {subjects[subject.name]}>{_label(subject.label)}]{_class(subject.severity)}"
    for edge in picture.edges:
        said = f"|{edge.severity}|" if edge.severity else ""
        ends = parties[edge.party], subjects[edge.subject]
        yield f"  {ends[0]} -->{said} {ends[1]}" if edge.published else f"  {ends[1]} -.->{said} {ends[0]}"
    for join in picture.joins:
        # in the direction of what is sent, so that a listener is drawn behind the subject that it listens to
        ends = subjects[join.wide], subjects[join.narrow]
        start, end = reversed(ends) if join.wide in heard else ends
        yield f"  {start} --- {end}"
    for severity in {finding.severity: None for finding in picture.findings}:
        style = f"stroke:{_COLOURS[severity]},stroke-width:3px"
        yield f"  classDef {severity} {style}"
        lines = [str(number) for number, edge in enumerate(picture.edges) if edge.severity is severity]
        if lines:
            yield f"  linkStyle {','.join(lines)} {style}"


def _class(severity: Severity | None) -> str:
    return f":::{severity}" if severity else ""


def _label(text: str) -> str:
    """Write a label. What means anything to Mermaid, to Markdown or to HTML stands there as its number."""
    return '"{}"'.format("".join(char if char.isalnum() or char in ".-" else f"#{ord(char)};" for char in text))
