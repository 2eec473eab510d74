"""
A shop whose mails are sent by Celery's workers.

An order and its mail are one transaction of the database. Run the workers ``celery -A
celery_shop worker --queues mail`` and ``celery -A celery_shop beat``, and place an
order: ``python celery_shop.py ada@example.com``. It reads BROKER_URL, LEDGER
(``postgresql://...``) and, in the workers, the account from the environment.
"""

import os
import sys

from celery import Celery
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from poweremail import Message
from poweremail.engines import CeleryMail

app = Celery("celery_shop", broker=os.environ["BROKER_URL"])
mail = CeleryMail(app, os.environ["LEDGER"], queue="mail")


def place_order(session: Session, email: str) -> int:
    """Save an order and add its mail, in the transaction of *session*."""
    saved = session.execute(
        text("INSERT INTO orders (email) VALUES (:email) RETURNING number"),
        {"email": email},
    )
    number = saved.scalar_one()
    message = Message(
        subject=f"Order {number}",
        from_email="shop@example.com",
        to=email,
        text="Thank you!",
    )
    mail.outbox.add(session, message, key=f"order-{number}")
    return number


def main(email: str) -> None:
    """Place an order of *email*."""
    engine = create_engine(os.environ["LEDGER"].replace("://", "+psycopg://"))
    mail.outbox.create_tables()  # in a real shop a migration does it
    with Session(engine) as session, session.begin():
        table = "CREATE TABLE IF NOT EXISTS orders (number SERIAL, email TEXT)"
        session.execute(text(table))
        number = place_order(session, email)
    mail.kick()  # after the commit; if it gets lost, the next beat sends another one
    print(f"order {number}")


if __name__ == "__main__":
    main(sys.argv[1])
