# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter bus_picture."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.plugin_utils import picture, picture_mermaid, picture_svg, plugins

FORMS = MappingProxyType(
    {"svg": picture_svg.draw, "mermaid": picture_mermaid.draw, "markdown": picture_mermaid.markdown}
)


def bus_picture(
    effective: Iterable[Mapping[str, t.Any]], prefix: str, bot: Mapping[str, t.Any], form: str = "svg"
) -> str:
    """Draw who publishes and who listens on the bus of an environment, and what does not fit together."""
    if form not in FORMS:
        expected = ", ".join(FORMS)
        raise AnsibleFilterError(f"bus_picture: form: {form!r} is no form of a picture; expected one of {expected}")
    try:
        return FORMS[form](picture.describe(effective, prefix, bot))
    except plugins.PluginsError as error:
        raise AnsibleFilterError(f"bus_picture: {error}") from error


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"bus_picture": bus_picture}
