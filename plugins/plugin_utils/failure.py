# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a task failed, by its result. This runs on the controller alone."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping

from ansible_collections.rosey.nats.plugins.module_utils._host import redaction

_LINES = 3
# What Python's urllib and the module get_url put around the reason.
_AROUND = re.compile(r"Request failed:? ?|<url[o]pen error (?:\[(?!SSL)[^]]*\] )?|>$|HTTP Error \d+: ")


def reason(result: Mapping[str, t.Any]) -> str:
    """Give what a task that did not end well has said; empty where it said nothing.

    Where no module answered, as without sudo, in a container that is paused or after its connection was lost, Ansible's
    own message tells of JSON alone: the reason is in what stood in its place. Of a download it names the address, too.
    """
    if result.get("censored"):
        return str(result["censored"])
    if is_of_download(result):
        return _of_download(result)
    if "module_stderr" not in result and "module_stdout" not in result:
        return str(result.get("msg") or "")
    said = [str(result.get(name) or "") for name in ("module_stderr", "module_stdout")]
    lines = next(
        (found for each in said if (found := [line.strip() for line in each.splitlines() if line.strip()])), []
    )
    told = (
        redaction.redact(" / ".join(lines[-_LINES:])) or "nothing; look whether the host and its connection are there"
    )
    status = f" (exit status {result['rc']})" if result.get("rc") is not None else ""
    return f"no module answered on the host{status}, which says: {told}"


def is_of_download(result: Mapping[str, t.Any]) -> bool:
    """Tell whether it is the result of a download that failed."""
    return bool(result.get("failed")) and {"url", "dest"} <= result.keys()


def _of_download(result: Mapping[str, t.Any]) -> str:
    said = " ".join(str(result[name]) for name in ("msg", "response") if result.get(name))
    why = _AROUND.sub("", said).strip() or "no reason given"
    status = f"HTTP status {result['status_code']}, " if result.get("status_code", -1) != -1 else ""
    return f"{redaction.redact(str(result['url']))}: {status}{redaction.redact(why)}"
