# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter health_output."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.plugin_utils import health_output as output


def health_output(results: Mapping[str, Mapping[str, t.Any]], form: str = output.TABLE) -> str:
    """Tell a look at the health of all hosts as text."""
    if form not in output.FORMATS:
        expected = ", ".join(output.FORMATS)
        raise AnsibleFilterError(f"health_output: {form!r} is no format; expected one of {expected}")
    return output.render(results, form)


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"health_output": health_output}
