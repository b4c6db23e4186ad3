# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill a roll through three servers at a point, deploy again, and see what has become of them."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from ansible_collections.rosey.nats.plugins.module_utils._deploy import lease, release
from ansible_collections.rosey.nats.tests.fleet import HOSTS, Fleet, memory
from ansible_collections.rosey.nats.tests.integration.conftest import Variables
from ansible_collections.rosey.nats.tests.kill import points
from ansible_collections.rosey.nats.tests.kill.ground import Outcome, is_served
from ansible_collections.rosey.nats.tests.kill.points import Point, Trace

LIMITS = ("310M", "320M")


class Roll:
    """A fleet that is rolled from one limit to the other, and back."""

    name = "roll"

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.trace = Trace(())
        self._temporary = fleet.directory / "tmp"
        self._temporary.mkdir()
        self._number = 0

    def begin(self) -> None:
        """Deploy it for the first time."""
        self.fleet.deploy(self._changes())

    def probe(self) -> Trace:
        """Roll it once as a whole."""
        code, said = self._play(self._next(), None)
        assert code == 0, said
        return self.trace

    def run(self, *kills: Point, thrice: bool) -> Outcome:
        """Kill a roll at a point, what goes on with it at the next one, and so on; then bring it to its end.

        thrice: whether a further run is seen to change nothing.
        """
        faults = []
        changes = self._next()

        def to_the_end() -> None:
            for point in kills:
                code, said = self._play(changes, point)
                if code != -signal.SIGKILL:
                    faults.append(f"{point}: it was not reached, the play ended with {code}: {said[-1500:]}")
                print(f"{self.name}: killed {point}; {len(self._silent())} servers down", flush=True)
            code, said = points.play(self.fleet.inventory(changes), self._temporary)
            if code != 0:
                faults.append(f"the same play again ended with {code}: {said[-3000:]}")

        _nothing, published = self.fleet.meanwhile(to_the_end, rate=50)
        if thrice and (said := self.fleet.deploy(changes)).count("changed=0 ") != len(HOSTS):
            faults.append(f"a further play changed something: {said[-1500:]}")
        if published.lost or published.failed:
            faults.append(f"{published.lost} of {published.acknowledged} acknowledged messages are lost: {published}")
        return Outcome(kills[-1], published.stall, published.acknowledged, (*faults, *self._look()))

    def _silent(self) -> list[str]:
        """Name the hosts whose server does not answer."""
        return [name for name, (port, *_others) in self.fleet.ports.items() if not is_served(port)]

    def _look(self) -> Iterator[str]:
        asked = int(LIMITS[self._number % 2].removesuffix("M")) * 1_000_000
        if wrong := {name: limit for name, limit in self.fleet.limits().items() if limit != asked}:
            yield f"expected {asked} everywhere, found {wrong}"
        for name in HOSTS:
            looked = lease.look(self.fleet.releases(name))
            if looked.holder or looked.damage:
                yield f"the lease of {name} was not given back: {looked}"
            listing = release.Store(self.fleet.releases(name)).listing()
            if listing.damaged or listing.current is None:
                yield f"the records of {name}: {listing}"
            routed = {route["remote_name"] for route in self.fleet.ask(name, "routez")["routes"]}
            if routed != {f"bus_{other}" for other in HOSTS if other != name}:
                yield f"{name} has routes to {routed}"
        group = self.fleet.ask(self.fleet.leader(), "jsz")["meta_cluster"]
        if behind := [each for each in group["replicas"] if not each["current"] or each.get("lag")]:
            yield f"not in step: {behind}"

    def _play(self, changes: Variables, point: Point | None) -> tuple[int, str]:
        trace = self.fleet.directory / "trace"
        environment = points.killing(trace, point)
        code, said = points.play(self.fleet.inventory(changes), self._temporary, **environment)
        self.trace = points.read(trace)
        return code, said

    def _changes(self) -> Variables:
        return memory(LIMITS[self._number % 2])

    def _next(self) -> Variables:
        self._number += 1
        return self._changes()
