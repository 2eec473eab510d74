"""
A report by cron, once a day and never twice.

In the crontab: ``5 6 * * * python nightly_report.py``. The date is the key of the mail,
so a second run on the same day, by a second host or by hand, sends nothing. A run that
was killed, or that met a service that was away, is completed by the next one. cron
mails what the program prints.

It reads the account from the environment, and REPORT_TO and REPORT_LEDGER (a file, or
``postgresql://...`` for several hosts).
"""

import os
import sys
from datetime import UTC, datetime

from poweremail import Message, PowerEmail
from poweremail.batch import Batch, Entry


def report() -> str:
    """Return the text of the report. Yours has figures."""
    return f"All is well at {datetime.now(UTC):%H:%M} UTC."


def main() -> int:
    """Send the report of today, and return the exit status."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    message = Message(
        subject=f"Report of {today}",
        from_email="reports@example.com",
        to=os.environ["REPORT_TO"],
        text=report(),
    )
    ledger = os.environ.get("REPORT_LEDGER", "reports.db")
    with PowerEmail.from_env() as client, Batch(client, ledger, "reports") as batch:
        batch.add([Entry(message=message, key=today)])
        with batch.run() as outcomes:
            failed = [
                f"{outcome.key}: {outcome.state}, {outcome.error}"
                for outcome in outcomes
                if outcome.state != "accepted"
            ]
    print("\n".join(failed), end="\n" if failed else "")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
