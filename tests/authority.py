# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An authority as a deployment is given one, in texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.rosey.nats.tests.certificates import DAY, NOW, make

NAMES = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, in PEM."""

    certificate: str
    key: str
    serial: int


class Authority:
    """One who signs."""

    def __init__(self, name: str) -> None:
        self._made = make(name, authority=True)
        self.pem = self._made.pem.decode()

    def issue(self, names: Sequence[str] = NAMES, *, since: float = -1, until: float = 90) -> Pair:
        """Issue a certificate for these names and addresses. since, until: in days from now."""
        made = make("bus", self._made, names=names, since=NOW + since * DAY, until=NOW + until * DAY)
        return Pair(made.chain.decode(), made.key_pem.decode(), made.certificate.serial_number)
