"""
The ledger of a batch: the state of each message in a database, so that a crash at any moment loses
no mail and doubles none.

Theory of operation. The service has no idempotency key, so a request must not be made twice, and a
process can die between any two instructions. The ledger therefore records the intention before the
request: a row becomes *sending*, and the commit is on the disk, before the first byte leaves. After
a crash such a row becomes *unknown*. It is looked up by its unique id, and sent again only if the
user has said when a mail that is not visible was certainly never accepted.

Several workers, on several hosts, can use one ledger. Each row that a worker holds has a lease and
a fence. A worker that does not renew its lease in time loses the row, and the fence, a number that
grows with each change of owner, keeps it from writing to the row afterwards. All times are those of
the database's clock, so the clocks of the hosts need not agree.

A message is in one of these states (`State`), and `TRANSITIONS` has the steps between them:

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

The modules stand above each other: `values` and `verdicts` (no database); `schema` and `database`;
`statements`, `rate_limits` and `worker`; `payload`, `entries`, `adding` and `ledger`. Read `ledger`
first, then `worker`. A new column is a change of `schema` and a migration in `versions`; a query of
its own goes beside those that it is like, or gets a module. All of it is synchronous and knows
neither HTTP nor the client.

How it is tested: a state machine compares ledger and workers with a model (`tests/batch`), and the
real command is killed at every durable step while the sandbox counts the mails (`nox -s crash`).
"""

from __future__ import annotations

from enum import StrEnum


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
