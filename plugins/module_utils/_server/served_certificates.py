# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate that a listener shows, beside that of its file, which the server reads only when it is told."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import system
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding, Severity
from ansible_collections.rosey.nats.plugins.module_utils._server import certificates, login
from ansible_collections.rosey.nats.plugins.module_utils._server.certificates import Certificate, CertificateError
from ansible_collections.rosey.nats.plugins.module_utils._server.tls_listener import TlsListener


@dataclass(frozen=True)
class Served:
    """What a listener shows.

    now: when that was. shown: the certificate, or why there is none. kept: that of its file, why there is none, or None
    where that is not looked at. flaw: why the server could not use its files; None where it could, or nobody looked.
    """

    listener: TlsListener
    now: datetime
    shown: Certificate | str
    kept: Certificate | str | None = None
    flaw: certificates.Problem | None = None

    @property
    def as_result(self) -> dict[str, t.Any]:
        """What is shown, as a module returns it; its times as the server writes its own."""
        shown = self.shown
        if isinstance(shown, str):
            return {"purpose": self.listener.purpose, "fault": shown}
        return {
            "purpose": self.listener.purpose,
            "subject": shown.subject,
            "issuer": shown.issuer,
            "names": list(shown.names),
            "serial": shown.serial,
            "not_before": f"{shown.not_before:%Y-%m-%dT%H:%M:%SZ}",
            "not_after": f"{shown.not_after:%Y-%m-%dT%H:%M:%SZ}",
        }

    @property
    def is_stale(self) -> bool:
        """Whether the file has another certificate than the server shows."""
        return stale(self, "") is not None

    @property
    def what(self) -> str:
        """What a finding about it is about."""
        return f"certificate for {self.listener.purpose}"


def stale(served: Served, remedy: str, severity: Severity = Severity.ERROR) -> Finding | None:
    """Tell that a listener shows another certificate than its file has; None where it does not."""
    shown, kept = served.shown, served.kept
    if not (isinstance(shown, Certificate) and isinstance(kept, Certificate)) or shown == kept:
        return None
    until = f"with serial number {kept.serial}, until {certificates.shown(kept.not_after)}"
    found = f"that the server shows another one, {shown.serial}"
    return Finding(served.what, f"that of {served.listener.cert_file}, {until}", found, remedy, severity)


def look(listener: TlsListener, *, seconds: float, files: bool = True) -> Served:
    """Look at a listener. seconds: for each step of it. files: whether its files are on this host."""
    seen = Served(listener, datetime.now(timezone.utc), _shown(listener, seconds))
    return with_files(seen) if files else seen


def unasked(listener: TlsListener) -> Served:
    """Look at the files of a listener alone, as of a server that does not run."""
    return with_files(Served(listener, datetime.now(timezone.utc), ""))


def with_files(seen: Served) -> Served:
    """Look at the files as well that a listener has its certificate from."""
    listener = seen.listener
    if listener.cert_file is None or not certificates.HAS_CRYPTOGRAPHY:
        return seen
    try:
        # a relative path begins where the server is started
        chain = system.read(Path("/", listener.cert_file))
        kept = certificates.read(chain)[0]
    except OSError as error:
        return replace(seen, kept=error.strerror or str(error))
    except CertificateError as error:
        problem = certificates.Problem(certificates.Kind.NO_CERTIFICATE, f"The certificate: {error}")
        return replace(seen, kept=str(error), flaw=problem)
    return replace(seen, kept=kept, flaw=_flaw(chain, listener.key_file, seen.now))


def _shown(listener: TlsListener, seconds: float) -> Certificate | str:
    if not certificates.HAS_CRYPTOGRAPHY:
        return certificates.MISSING
    try:
        der = login.shown_certificate(listener.url, first=listener.first, seconds=seconds)
        return certificates.read_der(der)
    except login.LoginError as end:
        return end.login.error
    except CertificateError as error:
        return str(error)


def _flaw(chain: bytes, key_file: str | None, now: datetime) -> certificates.Problem | None:
    """Say why a server could not use what stands in its files; nothing where the key is not for whoever runs this."""
    try:
        key = system.read(Path("/", key_file)) if key_file else None
    except OSError:
        return None
    found = certificates.problems(chain, key, None, (), now)
    return next((each for each in found if each.kind in certificates.UNUSABLE), None)
