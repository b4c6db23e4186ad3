# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module that takes a described tree, or writes to a host, says of it."""

from __future__ import annotations

from textwrap import indent

# What describes a directory, a file, a section, variables or a link.
_ENTRY = r"""path:
  description:
    - The whole path, from the root.
    - Directories that are missing above a described directory are made. The directory of a file or a link has to
      be there, or to be described.
  type: path
  required: true
state:
  description:
    - What shall stand at the path.
    - V(section) is one top-level section of a YAML file that somebody else wrote. Everything else in the file
      stays byte for byte. It asks for PyYAML on the host (Debian's package C(python3-yaml)).
    - V(variables) are some variables of an environment file, as systemd's C(EnvironmentFile=) and a shell read
      it. All other lines stay byte for byte. Without O(entries[].mode) a new file has the mode V(0600), and no
      diff shows more than names. The diff of a section is hidden where it seems to hold a secret.
    - The file of a V(section) or of V(variables) is made where it is missing, unless there is only something to
      be removed.
    - V(owned) gives what stands there, a directory or a file of any content, the owner, group and mode. Where
      nothing stands, or a link, nothing is done.
    - V(absent) takes a directory away with all that is in it.
  type: str
  required: true
  choices: [directory, owned, file, section, variables, link, absent]
content:
  description:
    - The text of a file. One of O(entries[].content) and O(entries[].secret_content) is needed.
    - Of a V(section), its own text, from the key on; an empty one removes the section. A section that says the
      same already stays as it is, whatever its layout.
  type: str
secret_content:
  description:
    - The text of a file that holds secrets. Neither it nor the text that it replaces is ever shown.
    - Without O(entries[].mode) a new file with it has the mode V(0600).
  type: str
key:
  description: The top-level key of a V(section).
  type: str
variables:
  description:
    - The variables of an environment file with their values, which are texts. A null value removes a variable.
  type: dict
secret_variables:
  description:
    - More of them, whose values are hidden wherever they appear in the module's output.
  type: dict
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
manifest:
  description:
    - The name of a file in the directory. In it, the module keeps the list of the files that it put directly into
      the directory.
    - A file on the list that is no longer described is removed. No other file is.
  type: str
validate:
  description:
    - A command that tries a changed file before it is put into place, with V(%s) where the file goes. It refuses
      with an exit status other than 0. No shell is involved.
    - The file is tried under another name in its own directory, with its owner and mode, while all other files
      are still the old ones.
    - In check mode a private copy is tried instead.
  type: str
validate_user:
  description:
    - Who runs the command of O(entries[].validate), with all groups of that user, in the directory C(/), as
      systemd runs a service. Without it that is whoever runs the module, as it is where that is not root.
  type: str
validate_group:
  description: The group of O(entries[].validate_user), where that is another than its own.
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
shown_keys:
  description:
    - Of a YAML file with a mapping, the keys whose values may be seen in a diff. Those of all others are hidden.
    - Without it all of them may.
  type: list
  elements: str
reader:
  description:
    - Who reads it, and so has to take it up anew when it changes, in a word such as V(server) or V(bot).
    - It is handed back with the change. What a directory's O(entries[].manifest) lets go has the directory's.
    - M(rosey.nats.nats_plan) knows which files the configuration of the server names, and what takes each of them
      up. With V(server), a file that it does not name asks for a restart, for such a file, like one of
      environment variables, may be read by a new process alone.
  type: str
"""


class ModuleDocFragment:
    """The options that module_utils/entries.py holds as SPEC, and those of releases."""

    # composed, which the linters of documentation leave alone with its type
    DOCUMENTATION: str = (
        r"""
options:
  entries:
    description:
      - What shall be on the host, in any order.
      - A path may be described once. Only a directory may have described paths below it.
      - One of O(entries) and O(release) is needed.
    type: list
    elements: dict
    suboptions:
"""
        + indent(_ENTRY, " " * 6)
        + r"""  release:
    description:
      - A release that this host keeps, whose entries are taken instead of O(entries). Its secrets so never leave the
        host.
    type: dict
    suboptions:
      release_dir:
        description: The directory of M(rosey.nats.nats_release).
        type: path
        required: true
      id:
        description: The release, by its id.
        type: str
        required: true
      parts:
        description: The parts of the release whose entries are taken.
        type: list
        elements: str
        required: true
        choices: [server, bot, plugins]
"""
    )

    # What a module takes that is given the parts of a release.
    PARTS: str = r"""
options:
  parts:
    description:
      - What the host has, or is to have, by the parts of a release.
      - Where it is recorded, a part that is not given stays as the current release has it.
    type: list
    elements: dict
    suboptions:
      name:
        description: The name of the part.
        type: str
        required: true
        choices: [server, bot, plugins]
      settings:
        description: What applying the part needs beside its entries. It is shown, so no secret belongs here.
        type: dict
        default: {}
      entries:
        description: What the host has of files, directories and links, as M(rosey.nats.config_tree) takes it.
        type: list
        elements: dict
        required: true
        suboptions:
""" + indent(_ENTRY.replace("O(entries[]", "O(parts[].entries[]"), " " * 10)

    # What a module holds while it writes to the host.
    WORKING = r"""
options:
  release_dir:
    description:
      - The directory of M(rosey.nats.nats_release).
      - With it, a later deployment can see that this module is still at work, and waits for it.
    type: path
"""

    # What a module says of the releases that it found.
    OBSERVED = r"""
options:
  release_dir:
    description: The directory of M(rosey.nats.nats_release). With it, RV(release) is returned.
    type: path
  settings:
    description: The settings that a release has recorded beside the entries, to be compared with these.
    type: dict
"""

    # Whose a deployment is.
    RUN = r"""
options:
  run:
    description:
      - Whose the deployment is. The module fails, with O(release_dir), where the release of the host speaks against it.
      - Without it nothing does, as on a way back that happens by itself.
    type: dict
    suboptions:
      environment:
        description: The environment of the inventory. An empty text means that it is not known.
        type: str
        default: ""
      server:
        description: What runs the server, of which a host may have several. What is not given is not known.
        type: dict
        default: {}
        suboptions:
          runtime:
            description: One of V(systemd), V(docker) and V(process).
            type: str
          service:
            description: The name of the service under systemd.
            type: str
          container:
            description: The name of the container.
            type: str
          config_file:
            description: The configuration of a server that is a process.
            type: path
      parts:
        description: The parts of a release that the deployment applies.
        type: list
        elements: str
        choices: [server, bot, plugins]
        default: []
      accept:
        description:
          - What is accepted all the same.
          - V(other_environment) accepts that the release is of another environment.
          - V(other_instance) accepts that it is of another service, container or process.
          - V(absent_bot) accepts that the release has a bot and the host has none. The next release has none either.
          - V(unproven_bot) accepts that what the bot connects by changes for the server alone. The next release has no
            bot until it is proven with that.
          - V(mixed_runs) is for the hosts of a way back together, and accepts nothing here.
        type: list
        elements: str
        choices: [other_environment, other_instance, absent_bot, unproven_bot, mixed_runs]
        default: []
"""

    # Who deploys.
    ORIGIN = r"""
options:
  origin:
    description:
      - Who deploys, in which run, and by which commit of the inventory, as the filter
        P(rosey.nats.release_origin#filter) gives it. It is kept with the release.
      - What is empty is not known.
    type: dict
    default: {}
    suboptions:
      run:
        description: The name of the run. M(rosey.nats.bus_plan) fails where another run of the host has it.
        type: str
        default: ""
      process:
        description: What names the process of the run for good.
        type: str
        default: ""
      user:
        description: Who started the run.
        type: str
        default: ""
      commit:
        description: The commit of the inventory, with a plus behind it where something of it was not committed.
        type: str
        default: ""
"""

    # What a module that plans for a server is told beside its description.
    PLANNED = r"""
options:
  checksums:
    description: The SHA-256 sums of the archive, per architecture. Without them, any verified binary will do.
    type: dict
    default: {}
  archive_for:
    description:
      - The architectures that the archive at hand is for, as releases of nats-server name them. The module fails where
        the host is of another one and has no such binary yet. Without it, the archive is one for the host.
    type: list
    elements: str
    default: []
  store_copy:
    description:
      - Whether the deployment copies JetStream's store before another minor version starts on it.
      - It is copied, too, before a change that was accepted in O(accept) and could destroy or hide what is in it.
    type: bool
    default: true
  ran_last:
    description:
      - The version that ran last on JetStream's store, where the caller has seen it and no server answers.
      - Without it both the version that is linked and the one that was last proven count.
    type: str
  back:
    description:
      - With O(release), the copy of the store from which what is missing is brought back, as a plan names it. An empty
        text means none. Without it, that is the newest copy that was made as the host left that release.
    type: str
  accept:
    description:
      - What a change may cut off or lose. The module fails, with figures, where the running server shows that a change
        would do something else of that kind.
      - V(fewer_connections) accepts an option C(max_connections) below the number of clients that are connected.
      - V(memory_assets) accepts that a restart ends streams and consumers in memory. They can't be copied.
      - V(added_cluster) accepts that a single server that holds streams is made one of a cluster, which deletes them.
      - V(other_server_name) accepts another C(server_name) in a cluster, which takes it for a new server.
      - V(foreign_store) accepts that a server of a cluster starts on a store that seems to be of another cluster, or
        that others are restarted while it runs on one.
      - V(older_version) accepts that an older minor version starts on what only a newer one keeps.
      - V(rotated_key) accepts another encryption key beside the previous one, by which consumers are lost.
      - V(converted_streams) accepts that compressed streams are encrypted anew, by which messages are lost.
      - V(first_sequence) accepts a restart of a version that empties streams with C(first_seq).
      - V(replicated_streams) accepts that streams with several replicas are not taken up by a server without a cluster.
      - V(other_cluster) accepts that the server leaves its cluster, or that this is given another name.
      - V(other_store) accepts another C(store_dir), or one that does not hold the streams that there are.
      - V(other_key) accepts that streams which are encrypted can't be read any more.
      - V(other_account) accepts that clients no longer reach an account's streams, or come to another account.
      - V(smaller_store) accepts a limit of files below what streams reserve.
      - V(smaller_limits) accepts other limits below what streams and consumers ask for.
      - V(no_jetstream) accepts that JetStream is turned off while there are streams.
      - V(gone_streams) accepts that streams are gone which there were when the host was last proven, and that it
        can't be told which there were.
      - Where one of these destroys or hides what is kept in files and is accepted, the store is copied first.
      - V(uncopied_store) accepts that the store of a container is not copied where it would have to be.
      - V(quorum) accepts that a member of a cluster is restarted while another one is gone, so that JetStream stops.
      - V(all) accepts all of these, as going back does when a deployment failed.
    type: list
    elements: str
    choices:
      - all
      - fewer_connections
      - memory_assets
      - added_cluster
      - other_server_name
      - foreign_store
      - older_version
      - rotated_key
      - converted_streams
      - first_sequence
      - replicated_streams
      - other_cluster
      - other_store
      - other_key
      - other_account
      - smaller_store
      - smaller_limits
      - no_jetstream
      - gone_streams
      - uncopied_store
      - quorum
    default: []
"""
