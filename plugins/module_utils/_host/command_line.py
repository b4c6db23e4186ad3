# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command lines that remedies name.

No host knows by which inventory it is deployed. Without one, a clone would take this machine's own: a shell refuses
what stands in its place as long as nobody has put theirs there.
"""

from __future__ import annotations

import json
import typing as t


def run(playbook: str, *options: str) -> str:
    """Give what runs a playbook of a clone, such as playbooks/rollback.yml. options: as a shell takes them."""
    return " ".join(("ansible-playbook", playbook, "-i <inventory>", *options))


def deploy(**variables: t.Any) -> str:
    """Give what deploys. variables: of that run alone, without a single quote in them."""
    return run("site.yml", *([f"-e '{json.dumps(variables)}'"] if variables else []))
