# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module that stops or starts a server says of the look at its streams."""

from __future__ import annotations


class ModuleDocFragment:
    """The options that module_utils/asset_watch.py holds as ARGUMENTS."""

    DOCUMENTATION = r"""
options:
  monitoring_url:
    description:
      - The monitoring endpoint of the server that runs, which is asked for its streams before it is stopped or
        reloaded.
      - What is seen is kept in O(release_dir). Without that nothing is looked at.
    type: str
  next_monitoring_url:
    description: The monitoring endpoint of the server that is started, which is asked once it is ready.
    type: str
  log_file:
    description: The log of the server that is started. It tells how many messages of each stream were taken up.
    type: path
  data:
    description:
      - The directory C(jetstream) of the C(store_dir) of the server that runs, or ran.
      - It is read after the stop, since clients may write until then, and where no server answers.
    type: path
"""
