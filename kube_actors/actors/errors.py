"""What can go wrong in the kernel."""

from __future__ import annotations


class ActorError(Exception):
    """Base of the kernel's exceptions."""


class MailboxFull(ActorError):
    """A post met a full mailbox; the sender decides whether to wait, drop or fail."""

    def __init__(self, name: str, capacity: int) -> None:
        super().__init__(f"mailbox {name!r} is full ({capacity} messages wait)")


class MailboxClosed(ActorError):
    """The mailbox is closed: nothing more is taken, and what waited has been given out."""

    def __init__(self, name: str) -> None:
        super().__init__(f"mailbox {name!r} is closed")


class ActorStopped(ActorError):
    """The actor that was asked stopped or crashed before it answered."""


class AskTimeout(ActorError):
    """No answer came in time."""


class Escalated(ActorError):
    """A supervisor gave up on a child that failed too often."""

    def __init__(self, supervisor: str, child: str, failures: int, cause: BaseException | None) -> None:
        why = f": {cause!r}" if cause is not None else ""
        super().__init__(f"supervisor {supervisor!r} gives up on {child!r} after {failures} failures{why}")
        self.child = child
