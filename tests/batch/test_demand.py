"""How many runners a batch can use now."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from poweremail import ConfigurationError, RateLimits
from poweremail._ledger.schema import batches, messages
from poweremail.batch import Batch, Demand, Ledger
from support.ledgers import fill, finish, worker


def demand(ledger: Ledger, **options) -> Demand:
    """By default a runner sends two mails a second."""
    given = {"within": 60.0, "seconds_per_mail": 0.5}
    asked = {name: options.pop(name) for name in list(options) if name in given}
    with Batch(None, ledger, "news", **{"concurrency": 1, **options}) as batch:
        return batch.demand(**given | asked)


def test_as_many_as_send_what_is_due_in_time(ledger):
    fill(ledger, 300)
    found = demand(ledger)
    assert (found.runners, found.bound_by, found.due, found.left) == (3, "due", 300, 300)
    assert demand(ledger, concurrency=2).runners == 2
    assert demand(ledger, within=600.0).runners == 1
    assert demand(ledger, seconds_per_mail=5.0).runners == 25


def test_nothing_is_due(ledger):
    batch = fill(ledger, 2)
    with ledger.database.transaction() as connection:
        connection.execute(update(messages).values(due=messages.c.added + 3600.0))
    found = demand(ledger)
    assert (found.runners, found.bound_by, found.due, found.left) == (0, "due", 0, 2)
    with ledger.database.transaction() as connection:
        connection.execute(update(messages).values(due=0.0))
    it = worker(ledger, batch)
    step = it.step((), 2)
    assert demand(ledger).runners == 1  # they are in work
    it.step(finish(step), 0)
    assert (demand(ledger).runners, demand(ledger).left) == (0, 0)


def test_a_pause_and_the_most_runners_bind(ledger):
    batch = fill(ledger, 300)
    with ledger.database.transaction() as connection:
        connection.execute(update(batches).values(runners=2))
    found = demand(ledger)
    assert (found.runners, found.bound_by) == (2, "runners")
    assert found.reason == "the batch may have 2 runners, and could use 3"
    ledger.pause(batch, "because")
    found = demand(ledger)
    assert (found.runners, found.bound_by) == (0, "paused")
    assert found.reason == "the batch is paused: because"


def test_limits_bind(ledger):
    batch = fill(ledger, 400)
    limits = RateLimits(per_minute=60, per_hour=None, per_day=100)
    found = demand(ledger, smtp_users=["a", "b"], limits=limits)
    # In a minute, each of them may send 60.
    assert (found.runners, found.bound_by, found.per_day) == (1, "limits", 200)
    assert found.reason == (
        "400 mails are due to be sent, and the limits of the SMTP users allow 120 of them in 60 "
        "seconds; they allow 200 in a day, and the 400 that are left need 4 SMTP users, or other "
        "limits"
    )
    ledger.settle_options(batch, {}, {"a": limits})
    it = worker(ledger, batch, "a", limits=limits)
    taken = 0
    while taken < 60:  # a booking that takes long on a busy machine fails
        step = it.step((), 60 - taken)
        it.step(finish(step), 0)
        taken += len(step.work)
    # Their limits are in the ledger now, and the first minute of them is used. Half a minute from
    # now it still is; a whole minute from now, the first of them may send again.
    found = demand(ledger, within=30.0)
    assert (found.runners, found.bound_by) == (0, "limits"), found.reason


def test_the_time_of_a_mail_is_measured(ledger):
    batch = fill(ledger, 3)
    assert demand(ledger, seconds_per_mail=None).seconds_per_mail == 0.5
    it = worker(ledger, batch)
    it.step(finish(it.step((), 3)), 0)
    with ledger.database.transaction() as connection:
        settled = messages.c.taken + 4.0
        connection.execute(update(messages).values(settled=settled))
    assert demand(ledger, seconds_per_mail=None).seconds_per_mail == pytest.approx(4.0)


@pytest.mark.parametrize("options", [{"within": 0.0}, {"seconds_per_mail": -1.0}])
def test_invalid_options(ledger, options):
    fill(ledger, 1)
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        demand(ledger, **options)
