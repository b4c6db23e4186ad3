# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of the server that is broken, as shell commands; the first of them goes to /etc/nats."""

from __future__ import annotations

from ansible_collections.rosey.nats.tests.certificates import DAY, NOW, make
from ansible_collections.rosey.nats.tests.diagnosis.ground import SECRETS

# An authority, and a certificate of it for this name.
CERTIFICATES = """
cd /etc/nats
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=authority -days 9 2>/dev/null
openssl req -newkey rsa:2048 -nodes -keyout tls.key -out tls.csr -subj /CN={name} 2>/dev/null
printf 'subjectAltName=DNS:{name}' > extensions
openssl x509 -req -in tls.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out tls.pem -days {days} -extfile extensions \
    2>/dev/null
chown nats:nats tls.*; chmod 755 .; chmod 644 ca.pem
printf 'tls {{cert_file: "/etc/nats/tls.pem", key_file: "/etc/nats/tls.key"}}\\n' >> nats-server.conf
"""
# The bot trusts it.
TRUST = f"echo SSL_CERT_FILE=/etc/nats/ca.pem >> {SECRETS}"
# The same for the same key, until another day.
RENEWAL = """
cd /etc/nats
openssl x509 -req -in tls.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out tls.pem -days 30 -extfile extensions \
    2>/dev/null
"""
ANOTHER_KEY = "openssl genrsa -out tls.key 2048 2>/dev/null"
FIRST = "sed -i 's/^tls {/tls {handshake_first: true, /' nats-server.conf"


def _tomorrow() -> str:
    """Bring a certificate that is not valid yet, which openssl of Debian 12 does not make."""
    authority = make("authority", authority=True)
    leaf = make("localhost", authority, names=["localhost"], since=NOW + DAY)
    files = {"ca.pem": authority.pem, "tls.pem": leaf.chain, "tls.key": leaf.key_pem}
    written = "".join(f"cat > {name} <<'END'\n{content.decode()}END\n" for name, content in files.items())
    tls = 'tls {cert_file: "/etc/nats/tls.pem", key_file: "/etc/nats/tls.key"}'
    last = "chown nats:nats tls.*; chmod 755 .; chmod 644 ca.pem"
    return f"\ncd /etc/nats\n{written}{last}\necho '{tls}' >> nats-server.conf\n"


TOMORROW = _tomorrow()
