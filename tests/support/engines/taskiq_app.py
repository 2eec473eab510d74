"""The application of the proof on taskiq."""

from __future__ import annotations

from taskiq import TaskiqScheduler
from taskiq.schedule_sources import LabelScheduleSource
from taskiq_redis import RedisStreamBroker

from poweremail.engines.taskiq import TaskiqMail
from support.engines.settings import VISIBILITY_SECONDS
from support.engines.traced import BROKER, LEDGER, OPTIONS, copies, slice_of

broker = RedisStreamBroker(
    BROKER,
    queue_name="mail",
    maxlen=1000,
    idle_timeout=VISIBILITY_SECONDS * 1000,
    # Without it, one kill between the lock and its release ends all recovery.
    unacknowledged_lock_timeout=2.0,
    xread_block=500,
    xread_count=1,
)
scheduler = TaskiqScheduler(broker, [LabelScheduleSource(broker)])


class Mail(TaskiqMail):
    async def drive(self, kick):
        with slice_of(kick):
            return await super().drive(kick)

    async def send_kick(self, kick, delay):
        for _ in copies():
            await super().send_kick(kick, delay)


mail = Mail(broker, LEDGER, **OPTIONS)
