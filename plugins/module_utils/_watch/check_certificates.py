# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the check of a certificate reads out of what a listener shows and what its file has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ansible_collections.rosey.nats.plugins.module_utils._host import command_line, system
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding, Severity
from ansible_collections.rosey.nats.plugins.module_utils._server import certificates, served_certificates
from ansible_collections.rosey.nats.plugins.module_utils._server.certificates import Certificate
from ansible_collections.rosey.nats.plugins.module_utils._server.served_certificates import Served
from ansible_collections.rosey.nats.plugins.module_utils._watch.check_limits import Reading


def read(served: Served, service: str | None) -> Reading:
    """Read the days that a certificate is valid yet, and what is wrong with it. service: what runs the server."""
    shown, what = served.shown, served.what
    if isinstance(shown, str):
        is_blind = not certificates.HAS_CRYPTOGRAPHY
        install = f"install {system.PACKAGES['cryptography']} on the host"
        remedy = install if is_blind else "look in the log of the server for why"
        severity = Severity.WARNING if is_blind else Severity.ERROR
        wanted = f"a certificate at {served.listener.url}"
        return Reading(f"expected {wanted}, found {shown}", None, (Finding(what, wanted, shown, remedy, severity),))
    findings = tuple(_findings(served, shown, what, service or ""))
    days = certificates.left(shown, served.now) / timedelta(days=1)
    until = f"{shown.shown} until {certificates.shown(shown.not_after)}, {days:.1f} days"
    told = "; ".join(f"expected {each.expected}, found {each.found}" for each in findings)
    return Reading(f"{until}; {told}" if told else until, days, findings)


def _findings(served: Served, shown: Certificate, what: str, service: str) -> Iterator[Finding]:
    now = served.now
    by_the_clock = f"and it is {certificates.shown(now)} by the clock here"
    if now > shown.not_after:
        found = f"that it expired at {certificates.shown(shown.not_after)}, {by_the_clock}"
        yield Finding(what, "one that is valid", found, f"renew it: put another one there, and {_take_up(service)}")
    if now < shown.not_before:
        found = f"that it is valid from {certificates.shown(shown.not_before)} on, {by_the_clock}"
        remedy = "check the clocks of this host (timedatectl) and of who issued it, or wait"
        yield Finding(what, "one that is valid by now", found, remedy)
    if served.flaw:
        remedy = "put the certificate and the key that belong together there, before the server is started again"
        yield Finding(what, f"files that a start can use, as {served.listener.cert_file}", str(served.flaw), remedy)
    elif told := served_certificates.stale(served, f"let the server read it: {_take_up(service)}", Severity.WARNING):
        yield told


def _take_up(service: str) -> str:
    """Say what makes a server read its files anew."""
    reload = f"systemctl reload {service.removesuffix('.service')}, or " if service.endswith(".service") else ""
    return f"{reload}deploy: {command_line.deploy()}"
