# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of whole deployments may ask for: the hosts of the integration tests."""

from __future__ import annotations

from ansible_collections.rosey.nats.tests.integration import conftest as integration

deployment = integration.deployment
deployed = integration.deployed
bot_deployment = integration.bot_deployment
material = integration.material
