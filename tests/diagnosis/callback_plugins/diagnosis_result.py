# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the result of diagnosis_info to the file that DIAGNOSIS_RESULT names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: diagnosis_result
type: aggregate
short_description: Write the result of diagnosis_info to a file
description: Write the result of diagnosis_info to the file that DIAGNOSIS_RESULT names.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "diagnosis_result"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result: Any) -> None:
        found = result.result
        if "causes" in found:
            Path(os.environ["DIAGNOSIS_RESULT"]).write_text(json.dumps(found))
