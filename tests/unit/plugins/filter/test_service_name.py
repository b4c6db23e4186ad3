# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.filter.service_name import FilterModule

ROLES = Path(__file__).parents[4] / "roles"
NAME = FilterModule().filters()["service_name"]
# A variable that names a service, where it is not read through the filter.
RAW = re.compile(r"\b(?:nats_server|bot_config|nats_monitoring_exporter)_service\b(?! \| rosey\.nats\.service_name)")
# There it is a tag.
TAGS = re.compile(r"^\s*- \w+$", re.MULTILINE)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("nats", "nats"),
        ("nats.service", "nats"),
        ("nats.prod", "nats.prod"),
        ("nats.prod.service", "nats.prod"),
        ("nats@eu.service", "nats@eu"),
        ("srv-nats\\x2dtest", "srv-nats\\x2dtest"),
        ("", ""),
    ],
)
def test_a_service_has_one_name(given: str, name: str) -> None:
    assert NAME(given) == name


@pytest.mark.parametrize("given", ["my nats", "nats.timer", "../nats", "nats.service\nUser=root", ".service", "nats%i"])
def test_what_is_no_service_is_refused(given: str) -> None:
    with pytest.raises(AnsibleFilterError, match="expected letters, digits and"):
        NAME(given)


def test_each_role_reads_the_name_of_a_service_so() -> None:
    files = [path for kind in ("tasks", "templates", "vars") for path in ROLES.glob(f"*/{kind}/**/*.*")]
    assert files
    assert [str(path) for path in files if RAW.search(TAGS.sub("", path.read_text()))] == []
