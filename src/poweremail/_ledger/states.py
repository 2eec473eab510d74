"""
The states of a message in a batch, and the transitions between them.

- *invalid*: the row of the source is not a valid message. It is listed with its line; nothing is
  sent.
- *planned*: to be sent, at once or from a given time on.
- *sending*: a worker holds it under a lease, and its request may have left. The state is on the
  disk before the request begins.
- *accepted*: the service accepted it: the response says so, or getMessageInfo shows the mail.
- *rejected*: the service reported an error, so it did not accept it.
- *not_sent*: it was provably never accepted, and no further attempt is made.
- *unknown*: it may have been accepted. It is looked up by its unique id, and never sent again
  unless the user allows it.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["RETRYABLE", "SETTLED", "TRANSITIONS", "State"]


class State(StrEnum):
    """The state of a message in a batch."""

    INVALID = "invalid"
    PLANNED = "planned"
    SENDING = "sending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.INVALID: frozenset(),
    # To not sent: it has expired.
    State.PLANNED: frozenset({State.SENDING, State.NOT_SENT}),
    # Back to planned: the request provably never arrived, the response was a 429, or the request
    # was never begun. To unknown: there was no trustworthy response, or the lease ended.
    State.SENDING: frozenset(
        {State.ACCEPTED, State.REJECTED, State.NOT_SENT, State.UNKNOWN, State.PLANNED}
    ),
    # To planned: by `retry`; because the user said after how many seconds a mail that is not
    # visible was never accepted; or because the batch is a rehearsal and the mail must not go out.
    State.UNKNOWN: frozenset({State.ACCEPTED, State.UNKNOWN, State.PLANNED}),
    State.REJECTED: frozenset({State.PLANNED}),
    State.NOT_SENT: frozenset({State.PLANNED}),
    State.ACCEPTED: frozenset(),
}
"""The states that may follow each state. Any other transition is rejected before it is written."""

SETTLED = frozenset({State.ACCEPTED, State.REJECTED, State.NOT_SENT, State.INVALID})
"""Rows in these states do not change by themselves."""

RETRYABLE = (State.NOT_SENT, State.REJECTED, State.UNKNOWN)
"""Rows in these states can be planned again by `retry`."""
