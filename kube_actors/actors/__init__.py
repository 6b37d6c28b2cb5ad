"""The kernel: mailboxes, asks, supervision, time, randomness, statistics and the story. It knows no Kubernetes."""

from __future__ import annotations

from .ask import Ask, ask, serve
from .clock import VIRTUAL_EPOCH, Clock, SystemClock, VirtualClock
from .entropy import Entropy
from .errors import ActorError, ActorStopped, AskTimeout, Escalated, MailboxClosed, MailboxFull
from .idle import idle_moment
from .mailbox import KeyedMailbox, Mailbox, MailboxStatistics
from .story import Line, Story
from .supervisor import DEFAULT_POLICY, Actor, Child, RestartPolicy, Supervisor, open_supervisor
from .system import ActorStatistics, System

__all__ = [
    "DEFAULT_POLICY",
    "VIRTUAL_EPOCH",
    "Actor",
    "ActorError",
    "ActorStatistics",
    "ActorStopped",
    "Ask",
    "AskTimeout",
    "Child",
    "Clock",
    "Entropy",
    "Escalated",
    "KeyedMailbox",
    "Line",
    "Mailbox",
    "MailboxClosed",
    "MailboxFull",
    "MailboxStatistics",
    "RestartPolicy",
    "Story",
    "Supervisor",
    "System",
    "SystemClock",
    "VirtualClock",
    "ask",
    "idle_moment",
    "open_supervisor",
    "serve",
]
