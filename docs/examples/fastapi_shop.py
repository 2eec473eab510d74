"""
A shop with FastAPI: one mail is sent in the request, the other one after the commit.

Run it: ``uvicorn fastapi_shop:app``. It reads the account from the environment.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from poweremail import (
    ApiError,
    AsyncPowerEmail,
    DeliveryUnknownError,
    Message,
    NotSentError,
    UsageError,
)
from poweremail.batch import AsyncBatch, AsyncOutbox

DATABASE = os.environ.get("SHOP_DATABASE", "shop.db")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
    """One client, one outbox and one engine for the life of the application."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{DATABASE}")
    async with AsyncPowerEmail.from_env() as client, AsyncOutbox(DATABASE) as outbox:
        await outbox.create_tables()
        async with engine.begin() as connection:
            await connection.execute(
                text("CREATE TABLE IF NOT EXISTS orders (email TEXT)")
            )
        yield {"mail": client, "outbox": outbox, "engine": engine}
    await engine.dispose()


def get_mail(request: Request) -> AsyncPowerEmail:
    """The client; tests override it."""
    return request.state.mail


def get_outbox(request: Request) -> AsyncOutbox:
    """The outbox."""
    return request.state.outbox


def get_engine(request: Request) -> AsyncEngine:
    """The database."""
    return request.state.engine


Mail = Annotated[AsyncPowerEmail, Depends(get_mail)]
Outbox = Annotated[AsyncOutbox, Depends(get_outbox)]
Engine = Annotated[AsyncEngine, Depends(get_engine)]

app = FastAPI(lifespan=lifespan)


class Person(BaseModel):
    """Who signs up, or orders."""

    email: str


@app.post("/sign-up", status_code=201)
async def sign_up(person: Person, mail: Mail) -> dict[str, str]:
    """Send a mail, and tell what happened to it."""
    try:
        message = Message(
            subject="Welcome",
            from_email="shop@example.com",
            to=person.email,
            text="Welcome!",
        )
        result = await mail.messages.send_mail(message)
    except (UsageError, ApiError) as error:
        raise HTTPException(422, "no mail can be sent to this address") from error
    except NotSentError as error:
        raise HTTPException(503, "not sent, try again later") from error
    except DeliveryUnknownError as error:
        # It may have been accepted, so nobody is asked to try again.
        return {"mail": "unknown", "unique_id": error.unique_id or ""}
    return {"mail": "accepted", "unique_id": result.unique_id}


@app.post("/orders", status_code=201)
async def order(
    person: Person, tasks: BackgroundTasks, mail: Mail, outbox: Outbox, engine: Engine
) -> dict[str, str]:
    """Save an order and its mail in one transaction, and send it after the response."""
    async with engine.begin() as connection:
        saved = await connection.execute(
            text("INSERT INTO orders VALUES (:email) RETURNING rowid"),
            {"email": person.email},
        )
        number = saved.scalar_one()
        message = Message(
            subject=f"Order {number}",
            from_email="shop@example.com",
            to=person.email,
            text="Thank you!",
        )
        key = await outbox.add(connection, message, key=f"order-{number}")
    tasks.add_task(send_what_is_due, mail)
    return {"order": key}


async def send_what_is_due(mail: AsyncPowerEmail) -> None:
    """
    Work on the outbox for a moment.

    If the process is killed before, or the service is away, nothing is lost: the next
    task or a worker (``poweremail batch work outbox --forever``) sends the mail.
    """
    async with AsyncBatch(mail, DATABASE, "outbox") as batch:
        await batch.work(5.0)


@app.get("/orders/{key}")
async def mail_of_order(key: str, outbox: Outbox) -> dict[str, str]:
    """Tell what became of the mail of an order."""
    record = await outbox.find(key)
    if record is None:
        raise HTTPException(404, "there is no such order")
    return {"mail": str(record.state)}
