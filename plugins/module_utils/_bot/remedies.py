# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do about a bot, where several ask."""

from __future__ import annotations

UNHELD_REMEDY = (
    "look at the log of the plugin and restart the bot; where the plugin does not listen to this subject, take it out "
    "of its subscriptions"
)
