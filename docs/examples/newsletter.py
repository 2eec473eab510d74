"""
A newsletter from a CSV file, with a link to unsubscribe in each mail.

Run it: ``python newsletter.py readers.csv news.txt``. Run it again after a crash:
nobody gets it twice. It reads the account, NEWSLETTER_URL and NEWSLETTER_KEYS from the
environment.

Serve the links: ``uvicorn newsletter:app``. Who unsubscribes is in ``suppressed.db``,
and gets no newsletter any more.
"""

import os
import sys
from pathlib import Path

from poweremail import PowerEmail
from poweremail.batch import Batch, read_csv
from poweremail.suppression import SqliteSuppressionStore
from poweremail.unsubscribe import UnsubscribeASGI, UnsubscribeLinks

STREAM = "newsletter"

store = SqliteSuppressionStore(os.environ.get("SUPPRESSED", "suppressed.db"))
links = UnsubscribeLinks(
    os.environ["NEWSLETTER_URL"],  # https://news.example.com/unsubscribe
    keys=os.environ["NEWSLETTER_KEYS"].split(","),
)
app = UnsubscribeASGI(links, store)


def main(readers: str, text: str) -> int:
    """Send the *text* to all *readers*, and return the exit status."""
    mails = read_csv(
        readers,
        subject="News",
        from_email="News <news@example.com>",
        text=Path(text).read_text(encoding="utf-8"),
        stream=STREAM,
        unsubscribe=links,
    )
    # The name of the batch is that of the issue: the same name again is the same issue.
    name = Path(text).stem
    with (
        PowerEmail.from_env(suppression=store) as client,
        Batch(client, "newsletter.db", name) as batch,
    ):
        added = batch.add(mails)
        print(f"{added.added} new, {added.known} known, {added.invalid} invalid")
        with batch.run() as outcomes:
            for outcome in outcomes:
                if outcome.state != "accepted":
                    print(outcome.key, outcome.state, outcome.error)
        status = batch.status()
    print(
        ", ".join(f"{count} {state}" for state, count in status.counts.items() if count)
    )
    return 0 if status.all_accepted else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
