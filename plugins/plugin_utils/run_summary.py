# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run in a few lines: a line for each host, and how long it took."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.rosey.nats.plugins.plugin_utils.run_record import Event, Kind, Result, Run

# What a line shows of why something failed, in characters.
_MOST = 160
_MINUTE = 60


def lines(run: Run) -> list[str]:
    """Give the lines; none of a run that deployed nothing."""
    if not any(event.kind is Kind.PLAN for event in run.events):
        return []
    labels = {host: run.outcome(host).value.label for host in run.hosts}
    names, widest = max(map(len, labels)), max(map(len, labels.values()))
    count = len(labels)
    return [
        *(f"{host:<{names}}  {label:<{widest}}  {'; '.join(_told(run, host))}" for host, label in labels.items()),
        f"{count} host{'s' if count > 1 else ''} in {took(run.seconds)}",
    ]


def took(seconds: float) -> str:
    """Give a time as people read it."""
    minutes, rest = divmod(round(seconds), _MINUTE)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _told(run: Run, host: str) -> Iterator[str]:
    events = [event for event in run.events if event.host == host]
    failures = [event for event in events if event.failed and not event.is_closing]
    if failures:
        yield _why(failures[0])
    back_to = run.back_to(host)
    if back_to:
        yield f"back at {back_to}" if failures else f"back at {back_to}, since another host failed"
        return
    for part in ("server", "bot"):
        planned = [event.facts for event in events if event.kind is Kind.PLAN and event.part == part]
        if planned and planned[-1].get("installed") is False:
            yield f"{part} not installed"
        elif planned:
            proven = any(event.kind is Kind.PROOF and event.part == part and not event.failed for event in events)
            yield f"{part} {_done(planned[0])}{', proven' if proven else ''}"
    released = [event.facts["release"] for event in events if event.kind is Kind.LEASE and event.facts.get("release")]
    known = [event.facts["release"] for event in events if event.kind is Kind.PLAN and "release" in event.facts]
    current = released[-1] if released else next((each.get("current") for each in known), None)
    if current:
        yield f"release {current}"


def _done(planned: Result) -> str:
    """Say what was done with a part, with the first reason for it."""
    action, reasons = str(planned.get("action")), planned.get("reasons") or []
    if action == "nothing":
        return "unchanged"
    more = f" and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return f"{action}{f' ({reasons[0]}{more})' if reasons else ''}"


def _why(failure: Event) -> str:
    """Say what failed: of a gate the first finding, of anything else how its message begins."""
    finding = next((line[2:] for line in failure.message.splitlines() if line.startswith("- ")), failure.message)
    said = " ".join(finding.split()) or "no reason given"
    return f"{failure.task}: {said[:_MOST]}{'...' if len(said) > _MOST else ''}"
