# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookup wrong_kinds."""

from __future__ import annotations

DOCUMENTATION = r"""
name: wrong_kinds
author: Rosey-Robot Team (@rosey-robot)
version_added: 0.2.0
short_description: Name variables of a role that are text where a list or a mapping is expected
description:
  - Ansible makes text of what stands behind C(-e name=), and of much that an INI inventory has, also where it looks
    like a list or a mapping. A role would read it letter by letter, or fail with words that name nothing.
  - Variables are looked at as they are written. No template is evaluated, and no vault is opened.
options:
  _terms:
    description: The names of roles of this collection, without its own.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show which variables of the server can't be read
  ansible.builtin.debug:
    msg: "{{ query('rosey.nats.wrong_kinds', 'nats_server') }}"
"""

RETURN = r"""
_list:
  description: One sentence for each such variable, with what to write. It has nothing of the value.
  type: list
  elements: str
"""

import typing as t

from ansible.plugins.lookup import LookupBase

from ansible_collections.rosey.nats.plugins.plugin_utils import variables as known_variables


class LookupModule(LookupBase):
    """Make the lookup known to Ansible."""

    def run(self, terms: t.Sequence[str], variables: t.Mapping[str, t.Any], **kwargs: t.Any) -> list[str]:
        """Give the sentences. variables: those of the host, as they are written."""
        self.set_options(var_options=variables, direct=kwargs)
        return [said for role in terms for said in known_variables.wrong_kinds(role, variables)]
