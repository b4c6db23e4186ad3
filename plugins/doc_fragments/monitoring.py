# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module that asks the monitoring endpoint shares: its options and attributes."""

from __future__ import annotations


class ModuleDocFragment:
    """The options monitoring_url, timeout and those of TLS, and the attributes."""

    DOCUMENTATION = r"""
options:
  monitoring_url:
    description:
      - The monitoring endpoint of the server, such as V(http://127.0.0.1:8222).
      - Where the server has a C(http_base_path), it stands at the end.
      - It takes no user or password, since the endpoint knows none.
    type: str
    required: true
  timeout:
    description: The seconds that one whole answer may take.
    type: float
    default: 5.0
  validate_certs:
    description: Whether to check the server's certificate, with an https O(monitoring_url).
    type: bool
    default: true
requirements:
  - requests (a Python library) on the host where the module runs
attributes:
  check_mode:
    description: Can run in check mode and tell the same.
    support: full
    details:
      - This module changes nothing.
  diff_mode:
    description: Returns what changed.
    support: N/A
    details:
      - This module changes nothing.
  action_group:
    description: Use C(group/rosey.nats.monitoring) in C(module_defaults) to set the endpoint once for all modules.
    support: full
    membership:
      - rosey.nats.monitoring
"""

    LISTENERS = r"""
options:
  tls_listeners:
    description:
      - The listeners of the server that show a certificate, as P(rosey.nats.nats_requirements#filter) gives them.
        Without any, none is looked at.
      - Who looks shows no certificate of its own. A server with C(verify) notes that in its log.
    type: list
    elements: dict
    default: []
    suboptions:
      purpose:
        description: What it serves, such as V(clients).
        type: str
        required: true
      url:
        description: Where it is reached, such as V(tls://127.0.0.1:4222).
        type: str
        required: true
      cert_file:
        description: The file that the server has the certificate from.
        type: path
      key_file:
        description: The file that it has its key from.
        type: path
      first:
        description: Whether it waits for TLS. V(false) for one that presents itself before.
        type: bool
        default: true
"""

    TLS = r"""
options:
  ca_path:
    description:
      - A file, or a directory, with the certificates of the authorities to trust, on the host where the module runs.
      - Without it those that Python's C(requests) brings are trusted.
    type: path
  client_cert:
    description: A file with the certificate to show to a server that asks for one. It may hold the key too.
    type: path
  client_key:
    description: The file with the key of O(client_cert), where that does not hold it.
    type: path
"""
