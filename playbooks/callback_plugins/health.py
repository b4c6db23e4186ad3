# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback rosey.nats.health for the playbooks that stand here: Ansible loads what it finds beside a playbook."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.rosey.nats.plugins.callback import health


class CallbackModule(health.CallbackModule):
    """Need not be enabled."""

    CALLBACK_NEEDS_ENABLED = False

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        """Leave the playbooks alone that stand beside the one that looks."""
        if Path(playbook._file_name).name == "health.yml":
            super().v2_playbook_on_start(playbook)
        else:
            self.disabled = True
