# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.rosey.nats.plugins.module_utils._bus import bot_gate
from ansible_collections.rosey.nats.plugins.module_utils._bus.results import GateError


def params_of(**given: Any) -> dict[str, Any]:
    validated = ArgumentSpecValidator(bot_gate.ARGUMENTS, **bot_gate.CONSTRAINTS).validate(given)
    assert validated.error_messages == []
    return dict(validated.validated_parameters)


def test_what_is_secret_is_told_before_anything_can_fail(tmp_path: Path) -> None:
    variables = tmp_path / "environment"
    variables.write_text("NATS_USER=rosey\nNATS_PASSWORD=hunter2\n")
    params = params_of(
        servers=["nats://me:s3cret@h"],
        environment_file=str(variables),
        round_trip={"subject": "a"},
        python="/bot/python",
        health_url="http://127.0.0.1:1/api/health",
    )
    hidden: set[str] = set()
    with pytest.raises(GateError, match="servers: h has a user or password before it"):
        bot_gate.prove(params, hidden.update)
    assert {"s3cret", "hunter2"} <= hidden
    assert params["credentials"] is None
