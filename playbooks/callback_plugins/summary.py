# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback rosey.nats.summary for the playbooks that stand here: Ansible loads what it finds beside a playbook."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.rosey.nats.plugins.callback import summary


class CallbackModule(summary.CallbackModule):
    """Need not be enabled."""

    CALLBACK_NEEDS_ENABLED = False

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        """Leave alone what ends with words of its own."""
        if Path(playbook._file_name).name == "remove.yml":
            self.disabled = True
        else:
            super().v2_playbook_on_start(playbook)
