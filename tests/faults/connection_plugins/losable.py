# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory of this machine as a host that can't be reached any more once a file is there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import local

DOCUMENTATION = """
name: losable
short_description: Run on this machine, and lose hosts
description: For the tests of this collection alone. LOST_HOSTS names a directory that has a file of each lost host.
extends_documentation_fragment: [connection_pipelining]
options: {}
"""


class Connection(local.Connection):
    """Make the connection known to Ansible."""

    transport = "losable"

    def exec_command(self, *arguments: Any, **options: Any) -> Any:
        if (Path(os.environ["LOST_HOSTS"]) / self._play_context.remote_addr).exists():
            raise AnsibleConnectionFailure("No route to host")
        return super().exec_command(*arguments, **options)
