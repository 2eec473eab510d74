"""The application of the proof on Celery."""

from __future__ import annotations

import os

from celery import Celery

from poweremail.engines.celery import CeleryMail
from support.engines.settings import VISIBILITY_SECONDS
from support.engines.traced import BROKER, LEDGER, OPTIONS, copies, slice_of

app = Celery("proof", broker=BROKER)
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": VISIBILITY_SECONDS,
        # Else kombu looks for messages whose time is over every 100 seconds only.
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
        "socket_timeout": 5,
    },
)


class Mail(CeleryMail):
    def drive(self, kick):
        with slice_of(kick):
            return super().drive(kick)

    def send_kick(self, kick, delay):
        for _ in copies():
            super().send_kick(kick, delay)


mail = Mail(app, LEDGER, queue="mail", **OPTIONS)
if os.environ["ENGINES_HOST"] == "b":
    # Not what the module sets: a kick that lasts longer than the visibility comes again.
    app.tasks["poweremail.drive"].acks_late = True
