# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._bus import server_gate
from ansible_collections.rosey.nats.plugins.module_utils._server import health, health_model, http_reader
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import JSZ, VARZ


class Clock:
    """Time that passes when somebody waits, and a little with each answer.

    answers: what of /varz differs after so many seconds; None where there is no answer.
    """

    def __init__(self, takes: float = 0.001) -> None:
        self.now = 1000.0
        self.takes = takes
        self.pauses: list[float] = []
        self.timeouts: list[float] = []

    def look(
        self, answers: Callable[[float], dict[str, Any] | None]
    ) -> Callable[[float, Callable[[], None]], health_model.Snapshot]:
        def look(timeout: float, answered: Callable[[], None]) -> health_model.Snapshot:
            self.timeouts.append(timeout)
            varz = answers(self.now - 1000.0)
            self.now += self.takes
            if varz is None:
                raise http_reader.MonitoringError("http://h/varz", "connection refused")
            answered()
            self.now += self.takes
            return health_model.Snapshot({**VARZ, **varz}, {"status": "ok", "errors": []}, JSZ)

        return look

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def prove(
        self, answers: Callable[[float], dict[str, Any] | None], *, wait: float, soak: float = 0
    ) -> server_gate.Outcome:
        return server_gate.look_until_proven(
            self.look(answers),
            health.expect({"max_connections": 50}),
            wait=wait,
            timeout=5,
            soak=soak,
            clock=lambda: self.now,
            pause=self.pause,
        )


OTHER = {"max_connections": 1}


def test_the_first_look_may_be_enough() -> None:
    clock = Clock()
    outcome = clock.prove(lambda _now: {}, wait=30)
    assert outcome.first_answer == pytest.approx(0.001)
    assert outcome.passed == pytest.approx(0.001)
    assert clock.pauses == []


@pytest.mark.parametrize(("wait", "looks"), [(0, 1), (-1, 1), (0.001, 1)])
def test_it_looks_at_least_once(wait: float, looks: int) -> None:
    clock = Clock()
    outcome = clock.prove(lambda _now: None, wait=wait)
    assert (len(clock.timeouts), outcome.first_answer, outcome.passed) == (looks, None, None)
    assert outcome.judgement.findings[0].what == "monitoring"


@pytest.mark.parametrize("up", [0.01, 0.1, 1, 20])
@pytest.mark.parametrize("recovery", [0, 0.02, 0.2])
def test_a_server_that_comes_up_is_seen_soon(up: float, recovery: float) -> None:
    clock = Clock()
    outcome = clock.prove(lambda now: None if now < up else OTHER if now < up + recovery else {}, wait=60)
    assert outcome.first_answer is not None and outcome.passed is not None
    assert up <= outcome.first_answer <= up + max(0.01, min(0.26, up * 0.06))
    assert outcome.passed <= recovery * 1.1 + 0.005
    assert max(clock.pauses) <= 0.25
    assert clock.pauses[0] == 0.002


def test_an_answer_counts_although_the_look_fails_after_it() -> None:
    clock = Clock()
    looks = iter([True, False])

    def look(_timeout: float, answered: Callable[[], None]) -> health_model.Snapshot:
        answered()
        clock.now += 1
        if next(looks):
            raise http_reader.MonitoringError("http://h/healthz", "no whole answer")
        return health_model.Snapshot(VARZ, {"status": "ok", "errors": []}, JSZ)

    outcome = server_gate.look_until_proven(
        look, health.expect({}), wait=30, timeout=5, clock=lambda: clock.now, pause=clock.pause
    )
    assert outcome.first_answer == 0
    assert outcome.passed == pytest.approx(2 + clock.pauses[0])


def test_it_gives_up_in_time_and_tells_what_it_saw_last() -> None:
    clock = Clock()
    outcome = clock.prove(lambda _now: OTHER, wait=3)
    assert clock.now - 1000 == pytest.approx(3, abs=0.01)
    assert not outcome.judgement.passed
    assert outcome.judgement.findings[0].what == "max_connections"
    assert len(clock.pauses) < 150


@pytest.mark.parametrize(
    ("later", "what"),
    [(None, "monitoring"), (OTHER, "max_connections"), ({"server_id": "NANOTHER"}, "server")],
)
def test_a_server_has_to_go_on_proving_itself(later: dict[str, Any] | None, what: str) -> None:
    clock = Clock()
    outcome = clock.prove(lambda now: {} if now < 2 else later, wait=30, soak=3)
    assert outcome.lost
    assert outcome.judgement.findings[0].what == what
    assert clock.now - 1000 < 4
    said = server_gate.failure(outcome, "http://h", 30, {"Its log": None})
    assert said.startswith("nats-server at http://h has proven what was meant, but not for as long as it was watched")
    assert "gate_passed_seconds" not in server_gate.result_of(outcome, health.expect({}))
    short = Clock().prove(lambda now: {} if now < 2 else later, wait=30, soak=1)
    assert short.judgement.passed and not short.lost


def test_a_server_that_will_not_answer_is_not_waited_for() -> None:
    clock = Clock()
    looks: list[float] = []

    def is_hopeless() -> bool:
        looks.append(clock.now)
        return len(looks) == 3

    outcome = server_gate.look_until_proven(
        clock.look(lambda _now: None),
        health.expect({}),
        wait=30,
        timeout=5,
        is_hopeless=is_hopeless,
        clock=lambda: clock.now,
        pause=clock.pause,
    )
    assert len(looks) == 3
    assert clock.now - 1000 < 1
    said = server_gate.failure(outcome, "http://h", 30, {"The journal": "nats-server: no licence today"})
    assert said.endswith("\nThe journal ends with: nats-server: no licence today")


def test_a_hang_does_not_take_much_longer_than_the_caller_waits() -> None:
    clock = Clock()
    clock.prove(lambda _now: None, wait=3)
    assert max(clock.timeouts) <= 3
    assert min(clock.timeouts) == 1
    assert Clock().prove(lambda _now: None, wait=0).first_answer is None
