"""The numbers of the proof."""

from __future__ import annotations

BATCH = "news"
RUNNERS = 3
OUTBOX_RUNNERS = 2
CONCURRENCY = 4
SMTP_USERS = ("smtp1", "smtp2", "smtp3")
PER_MINUTE = 400
"""The limit of each SMTP user. It ends the work of a lane from time to time."""

LATENCY_SECONDS = 0.25
SLICE_SECONDS = 5.0
VISIBILITY_SECONDS = 3
"""After so long the broker delivers a message again that was not acknowledged."""

LEASE = 2.0
BEAT_SECONDS = 2
KICK_AGAIN_SECONDS = 4.0
"""The beats come faster than usual; so does another kick for one that was lost twice."""
