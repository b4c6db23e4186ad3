# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the report of a run goes, and whether it can. This runs on the controller alone."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

BEING_WRITTEN = "ROSEY_NATS_REPORT"
"""The variable of the environment that names the report which the callback of this run writes."""


def resolve(path: str) -> Path:
    """Give the whole path of a report, as a run that is started here means it."""
    return Path(path).expanduser().absolute()


def problem(path: t.Any) -> str | None:
    """Say why this run can't write its report to such a path, None where it can."""
    if not isinstance(path, str) or not path.strip():
        return f"rosey_report is {path!r}; expected the path of a file. Give one, such as -e rosey_report=report.html"
    place = resolve(path)
    directory = place.parent
    if place.is_dir():
        return f"rosey_report is {path}, which is a directory; expected the path of a file. Add a name to it"
    if not directory.is_dir():
        return f"rosey_report is {path}; expected a directory, found no {directory}. Make it, or name another"
    if not os.access(directory, os.W_OK | os.X_OK):
        return (
            f"rosey_report is {path}; expected a directory to write to, found {directory} closed to you. Name another"
        )
    if os.environ.get(BEING_WRITTEN) != str(place):
        return (
            f"rosey_report is {path}, and nothing writes it; expected a plain path on the command line, and a playbook "
            "of this collection that is run by itself. Give -e rosey_report=report.html, or load the callback with "
            "ANSIBLE_CALLBACKS_ENABLED=rosey.nats.report"
        )
    return None
