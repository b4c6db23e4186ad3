# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module that takes a described tree says of it."""

from __future__ import annotations


class ModuleDocFragment:
    """The options that module_utils/state.py holds as ENTRY_SPEC."""

    DOCUMENTATION = r"""
options:
  entries:
    description:
      - What shall be on the host, in any order.
      - A path may be described once. Only a directory may have described paths below it.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description:
          - The whole path, from the root.
          - Directories that are missing above a described directory are made. The directory of a file or a link has to
            be there, or to be described.
        type: path
        required: true
      state:
        description:
          - What shall stand at the path.
          - V(absent) takes a directory away with all that is in it.
        type: str
        required: true
        choices: [directory, file, link, absent]
      content:
        description: The text of a file. One of O(entries[].content) and O(entries[].secret_content) is needed.
        type: str
      secret_content:
        description:
          - The text of a file that holds secrets. Neither it nor the text that it replaces is ever shown.
          - Without O(entries[].mode) a new file with it has the mode V(0600).
        type: str
      target:
        description: What a link leads to. It need not be there.
        type: str
      owner:
        description:
          - The user that it shall belong to, a name or a number. Where it is left out, the owner stays.
          - Below a directory with O(entries[].recurse), that directory's owner is the default.
        type: str
      group:
        description: The group that it shall belong to, likewise.
        type: str
      mode:
        description: The mode of a directory or a file, octal with its leading zero and in quotes, such as V('0640').
        type: str
      recurse:
        description: Whether everything below the directory shall have its owner and group too.
        type: bool
        default: false
      validate:
        description:
          - A command that tries a changed file before it is put into place, with V(%s) where the file goes. It refuses
            with an exit status other than 0. No shell is involved.
          - The file is tried under another name in its own directory, with its owner and mode, while all other files
            are still the old ones.
          - In check mode a private copy is tried instead.
        type: str
      redact:
        description:
          - How much of the file may be seen in a diff, and in what a validating command says.
          - V(nats_conf) hides the secret options of a configuration of nats-server; V(all) shows only that the content
            differs.
          - O(entries[].secret_content) is treated as V(all) unless this is V(nats_conf).
        type: str
        default: none
        choices: [none, nats_conf, all]
"""
