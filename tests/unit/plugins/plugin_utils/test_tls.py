# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of TLS; tests/deployment/test_tls.py asks a server and its clients."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import certificates
from ansible_collections.rosey.nats.plugins.plugin_utils import tls
from ansible_collections.rosey.nats.tests.authority import Authority, Pair
from ansible_collections.rosey.nats.tests.certificates import make

URLS = ["tls://localhost:4222", "tls://127.0.0.1:4222"]
NOW = datetime.now(UTC)
FIRST, SECOND = Authority("first"), Authority("second")
PAIR = FIRST.issue()
ALONE = make("alone", names=["localhost", "127.0.0.1"])


def given(pair: Pair = PAIR, authorities: str = FIRST.pem, **more: Any) -> dict[str, Any]:
    return {"certificate": pair.certificate, "key": pair.key, "authorities": authorities, **more}


@pytest.mark.parametrize(
    "asked",
    [
        given(),
        given(authorities=SECOND.pem + FIRST.pem, names=["localhost"], handshake_first=False),
        {"certificate": PAIR.certificate, "key": PAIR.key},
        # what is on a host is judged there
        {"certificate_file": "/a", "key_file": "/b", "names": ["anything"]},
    ],
)
def test_what_clients_take_is_no_problem(asked: dict[str, Any]) -> None:
    assert tls.problems(asked, URLS, NOW) == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "neither: expected certificate and key, or certificate_file and key_file"),
        ({"certificate": "x"}, "certificate alone: expected certificate and key, or certificate_file and key_file"),
        ({**given(), "key_file": "/x"}, "certificate, key, key_file: expected certificate and key, or"),
        ({"certificate_file": "/a", "key_file": "b"}, "key_file is no absolute path"),
        (given(verify=True), "verify: it has no such option; expected some of certificate, key, "),
        (given(Pair("", PAIR.key, 0)), "certificate is no text; expected PEM"),
        (given(authorities=" "), "authorities is no text; expected PEM"),
        (given(handshake_first="no"), "handshake_first is 'no'; expected true or false"),
        (given(names="bus"), "names is no list of names"),
        (given(names=[""]), "names is no list of names"),
        (given(names=["bus.example.org"]), "expected that it is for bus.example.org as well"),
        (given(FIRST.issue(["localhost"])), "expected that it is for 127.0.0.1 as well"),
        (given(authorities=SECOND.pem), "second"),
        (given(FIRST.issue(since=-9, until=-1)), "expired at"),
        (given(FIRST.issue(since=1)), "is valid from"),
        (
            {"certificate": ALONE.pem.decode(), "key": ALONE.key_pem.decode()},
            "the certificate of CN=alone is signed by itself, and authorities names nobody",
        ),
        (given(Pair(PAIR.certificate, FIRST.issue().key, 0)), "is not that of the certificate"),
    ],
)
def test_what_no_client_takes_is_one_sentence(asked: dict[str, Any], said: str) -> None:
    (problem,) = tls.problems(asked, URLS, NOW)
    assert said in problem
    assert not problem.endswith(".")
    assert "PRIVATE KEY-----\n" not in problem


def test_without_the_library_it_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "HAS_CRYPTOGRAPHY", False)
    (problem,) = tls.problems(given(), URLS, NOW)
    assert "no library cryptography" in problem


def test_a_certificate_is_for_what_clients_use() -> None:
    assert certificates.reached_by(URLS, ["bus", "localhost"]) == ["localhost", "127.0.0.1", "bus"]
