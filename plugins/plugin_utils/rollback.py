# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether all hosts of a way back go to the same point. A choice is what nats_release_info returns as chosen."""

from __future__ import annotations

import typing as t
from collections.abc import Collection, Mapping, Sequence

Choice: t.TypeAlias = Mapping[str, t.Any]

PREVIOUS = "previous"
MIXED_RUNS = "mixed_runs"


def problem(wanted: str, chosen: Mapping[str, Choice], accept: Collection[str] = ()) -> str:
    """Say what speaks against going back, with what there is and what to do; empty for nothing.

    wanted: as rollback_to has it. chosen: by host.
    """
    barred = {host: choice["problem"] for host, choice in chosen.items() if choice["problem"]}
    if barred:
        told = f"{len(barred)} of {len(chosen)} hosts can't go there" if len(chosen) > 1 else "this host can't go there"
        others = [f"{host}: would go to {_goal(each)}" for host, each in chosen.items() if host not in barred]
        lines = [f"{host}: {why}" for host, why in barred.items()]
        return _said(f"rollback_to: {wanted}: {told}", [*lines, *others], _advice(wanted, chosen, barred))
    if wanted != PREVIOUS or not _runs(chosen)[1:] or MIXED_RUNS in accept:
        return ""
    return _said(
        "rollback_to: previous: the hosts would go back to what different runs have deployed",
        [f"{host}: {_goal(choice)}" for host, choice in chosen.items()],
        f"Name the run, such as -e rollback_to={_runs(chosen)[-1]}, or a time; -e rollback_to=list shows what there "
        f"is. Where each host is to go back on its own, set release_accept: [{MIXED_RUNS}].",
    )


def notes(wanted: str, chosen: Mapping[str, Choice]) -> list[str]:
    """Say what can't be told of a way back, a line each."""
    unknown = [host for host, choice in chosen.items() if not choice["run"]]
    if wanted != PREVIOUS or not unknown or len(chosen) == 1:
        return []
    return [
        f"{', '.join(unknown)}: whether the release before is of the same run on all hosts can't be told, since an "
        "earlier version has recorded it"
    ]


def _runs(chosen: Mapping[str, Choice]) -> list[str]:
    """Name the runs that hosts would go back to, by the times of their releases."""
    dated = sorted((choice["time"], choice["run"]) for choice in chosen.values() if choice["run"])
    return list(dict.fromkeys(run for _time, run in dated))


def _goal(choice: Choice) -> str:
    run = f" of {choice['run']}" if choice["run"] else ""
    has = ", which it has already" if choice["is_current"] else ""
    return f"{choice['release']}{run}, {choice['time']}{has}"


def _advice(wanted: str, chosen: Mapping[str, Choice], barred: Mapping[str, str]) -> str:
    there = [choice for host, choice in chosen.items() if host not in barred]
    limit = ",".join(f"!{host}" for host in barred)
    leave = f", or leave {'it' if len(barred) == 1 else 'them'} out with --limit '{limit}'"
    if times := [choice["time"] for choice in there if choice["run"] == wanted]:
        return f"To take each host to what it had when that run had ended, give -e rollback_to={max(times)}{leave}."
    if wanted in [choice["release"] for choice in there] and _runs(chosen):
        return f"An id is of one host; name its run, -e rollback_to={_runs(chosen)[-1]}{leave}."
    if wanted == PREVIOUS and _runs(chosen):
        return f"Name the run, such as -e rollback_to={_runs(chosen)[-1]}, or a time{leave}."
    return f"-e rollback_to=list shows what there is. Name what all have{leave if there else ''}."


def _said(head: str, lines: Sequence[str], advice: str) -> str:
    return "\n".join([f"{head}. Nothing was touched.", *(f"- {line}" for line in lines), advice])
