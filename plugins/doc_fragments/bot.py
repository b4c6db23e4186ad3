# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module that asks a bot says of it."""

from __future__ import annotations

from textwrap import indent

_HEALTH_URL = r"""health_url:
  description: The health endpoint of the bot. It takes no user or password.
  type: str
  default: http://localhost:8000/api/health
"""
_REQUIRED = r"""required:
  description:
    - What the bot has to tell at its health endpoint. What else it does not tell is a warning.
    - Those of C(nats) are not asked for in legacy mode.
  type: list
  elements: str
  choices:
    - status
    - connected
    - channel
    - uptime
    - version
    - user_count
    - requests
    - errors
    - nats.connected
    - nats.server
    - nats.subjects
  default: []
"""
_PLUGINS = r"""plugins:
  description: The plugins that are enabled.
  type: list
  elements: dict
  default: []
  suboptions:
    name:
      description: The name of the plugin.
      type: str
      required: true
    subscriptions:
      description: The subjects that it declares, with the prefix of the environment.
      type: list
      elements: str
      default: []
"""
_HOME = r"""home:
  description: The directory of the bot.
  type: path
  required: true
"""
_MODE = r"""mode:
  description: V(nats) for a bot that has to be connected to NATS, V(legacy) for one that has to run without it.
  type: str
  choices: [nats, legacy]
  default: nats
"""
_SERVERS = r"""servers:
  description:
    - The NATS URLs that the bot is configured with. What it is connected to has to be one of them.
    - They take no user or password.
  type: list
  elements: str
  default: []
"""


class ModuleDocFragment:
    """The options of a bot, of a module that is about it, and as suboptions of one that looks at more.

    They are composed, which the linters of documentation leave alone with their type.
    """

    DOCUMENTATION: str = "options:\n" + indent(_HEALTH_URL + _REQUIRED + _PLUGINS, " " * 2)

    # The bot of a module that looks at the health of a bus.
    HEALTH: str = (
        r"""
options:
  bot:
    description: The bot that was meant to be there. Without it no bot is looked at.
    type: dict
    suboptions:
"""
        + indent(_HEALTH_URL + _HOME + _MODE + _SERVERS + _REQUIRED + _PLUGINS, " " * 6)
        + r"""      optional:
        description: Whether a bot that is not installed, or has no service, is left out instead of being critical.
        type: bool
        default: false
      monitoring_url:
        description:
          - The monitoring endpoint of the server that the bot is connected to, which may be O(monitoring_url).
          - Without it what plugins hold is not looked at.
        type: str
      plugins_fault:
        description: Why it can't be told which plugins were meant. They are not judged then, which is a warning.
        type: str
        default: ""
      client_name:
        description: The C(name) of the bot's connection to NATS, as for M(rosey.nats.bot_gate).
        type: str
      service:
        description: The name of the bot's service under systemd, with or without C(.service).
        type: str
      process:
        description: The bot that runs as a process of this user, in place of its C(service).
        type: dict
        suboptions:
          command:
            description: The program as an absolute path, and its arguments.
            type: list
            elements: str
            required: true
          pid_file:
            description: The file that holds the number of its process.
            type: path
            required: true
"""
    )

    # The bot of a module that looks for causes.
    DIAGNOSIS: str = (
        r"""
options:
  bot:
    description: The bot, as it was meant. Without it there is nothing to see for V(bot), V(plugin) and V(latency).
    type: dict
    suboptions:
"""
        + indent(_HEALTH_URL + _HOME + _MODE + _SERVERS + _PLUGINS, " " * 6)
        + r"""      environment:
        description: Which environment it is of.
        type: str
        required: true
      prefix:
        description: What the subjects of its environment begin with, without a dot at the end.
        type: str
        required: true
      optional:
        description: >-
          Whether a bot that is not installed, or has no service, is left out. There is nothing to see then.
        type: bool
        default: false
      service:
        description:
          - The name of its service, with or without C(.service).
          - Without one it is a process, with a O(bot.command) and a O(bot.pid_file).
        type: str
        default: ""
      command:
        description: What it is started with, where it is a process.
        type: list
        elements: str
        default: []
      pid_file:
        description: The file that holds the number of its process.
        type: path
      account:
        description: Who runs it. Without one it is whoever runs the module.
        type: str
        default: ""
      client_name:
        description: The C(name) of the bot's connection to NATS.
        type: str
        default: ""
      monitoring_url:
        description:
          - The monitoring endpoint of the server that it is connected to. Without it it is that of O(server).
          - With an empty one what plugins hold is not looked at.
        type: str
      published:
        description: All subjects that somebody publishes. Without it nobody is missed.
        type: list
        elements: str
      clients:
        description:
          - The clients of the bus that have credentials of their own, as for M(rosey.nats.bot_gate). With them it is
            told what the server has refused to which of them, and what to declare for it.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: Its name.
            type: str
            required: true
          file:
            description: Its file of environment variables.
            type: path
            required: true
          permissions:
            description: What it may do, as C(permissions) of a user in the server's configuration.
            type: dict
            required: true
      python:
        description: The Python of its virtual environment, which sends the requests.
        type: path
      round_trip:
        description:
          - The request that is sent, to see whether a plugin answers and how soon. Without it O(bot.python) is not
            used, and nothing is known of latency.
        type: dict
        suboptions:
          subject:
            description:
              - The command's subject, with the prefix of the environment. Without one no plugin is asked, and the time
                to the server and back is measured alone.
            type: str
            default: ""
          payload:
            description: What each request carries.
            type: json
            default: '{"user": "test", "message": "!quote"}'
          limit_milliseconds:
            description: What 99 of 100 requests may take at most.
            type: float
            default: 100.0
          options:
            description: Further options of C(connect()) of nats-py, such as C(inbox_prefix).
            type: dict
            default: {}
"""
    )
