# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback rosey.nats.summary for the playbooks that stand here: Ansible loads what it finds beside a playbook."""

from __future__ import annotations

from ansible_collections.rosey.nats.plugins.callback import summary


class CallbackModule(summary.CallbackModule):
    """Need not be enabled."""

    CALLBACK_NEEDS_ENABLED = False
