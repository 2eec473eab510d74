"""One mail in the caller's transaction."""

from __future__ import annotations

import asyncio
import random
import threading
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from poweremail import Attachment, ConfigurationError, UsageError
from poweremail.batch import AsyncOutbox, Batch, Ledger, LedgerError, Outbox
from poweremail.sandbox import Sandbox
from support.messages import message

LATER = datetime.now(UTC) + timedelta(days=1)
EARLIER = datetime.now(UTC) - timedelta(days=1)


def url(place: str, driver: str = "") -> str:
    if "://" not in place:
        return f"sqlite{driver}:///{place}"
    found = place.replace("postgresql://", f"postgresql{driver or '+psycopg'}://")
    if driver == "+asyncpg":  # it has its own name for the search path
        found = found.partition("?")[0]
    return found


@pytest.fixture
def outbox(place):
    with Outbox(place) as outbox:
        # SQLite: a request waits while a worker writes, for long on a busy machine.
        patient = {} if "://" in place else {"timeout": 60}
        engine = create_engine(url(place), connect_args=patient)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE orders (number INTEGER)"))
        outbox.create_tables()
        outbox.engine = engine
        yield outbox
        engine.dispose()


def send(place: str, **options) -> list[str]:
    """Run the outbox, and return the recipients of the mails that the service got."""
    with Sandbox() as sandbox, sandbox.client(smtp_user_name="smtp1") as client:
        with Batch(client, place, "outbox", **options) as batch, batch.run() as outcomes:
            list(outcomes)
        return sorted(mail.recipients[0].email for mail in sandbox.outbox)


def test_a_mail_exists_if_its_transaction_is_committed(place, outbox):
    with outbox.engine.begin() as connection:
        assert outbox.add(connection, message(to="kept@example.com"), key="kept") == "kept"
        assert outbox.find("kept") is None
        assert outbox.find("kept", within=connection).state == "planned"
    with outbox.engine.connect() as connection:
        outbox.add(connection, message(to="undone@example.com"), key="undone")
        connection.rollback()
    assert outbox.find("undone") is None
    assert outbox.find(" kept ").recipients == ("kept@example.com",)
    assert send(place) == ["kept@example.com"]
    assert outbox.find("kept").state == "accepted"


@pytest.mark.parametrize("kind", ["session", "scoped session"])
def test_a_session_of_sqlalchemy_is_a_transaction(outbox, kind):
    session = Session(outbox.engine)
    transaction = session if kind == "session" else scoped_session(lambda: session)
    with session.begin():
        session.execute(text("INSERT INTO orders VALUES (1)"))
        outbox.add(transaction, message(), key="kept")
    with session:
        session.execute(text("INSERT INTO orders VALUES (2)"))
        outbox.add(transaction, message(), key="undone")
        session.rollback()
    assert [outbox.find(key) is not None for key in ("kept", "undone")] == [True, False]
    with outbox.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM orders")) == 1


@pytest.mark.parametrize("kind", ["connection", "session", "scoped session"])
@pytest.mark.parametrize("driver", ["+aiosqlite", "+asyncpg", "+psycopg"])
def test_an_async_transaction_of_sqlalchemy(request, tmp_path, driver, kind):
    place = str(tmp_path / "app.db")
    if driver != "+aiosqlite":
        place = request.getfixturevalue("postgresql")
    options = {}
    if driver == "+asyncpg":
        schema = place.rpartition("%3D")[2]
        options["connect_args"] = {"server_settings": {"search_path": schema}}

    async def main():
        engine = create_async_engine(url(place, driver), **options)
        async with AsyncOutbox(place) as outbox:
            await outbox.create_tables()
            for key, commits in (("kept", True), ("undone", False)):
                async with engine.connect() as connection:
                    session = AsyncSession(connection)
                    scoped = async_scoped_session(
                        sessionmaker(class_=AsyncSession, bind=connection), lambda: 1
                    )
                    given = {"connection": connection, "session": session}.get(kind, scoped)
                    file = Attachment("prices.txt", b"1.00")
                    assert await outbox.add(given, message(attachments=[file]), key=key) == key
                    assert await outbox.add(given, message(), key=key) == key
                    await (connection.commit if commits else connection.rollback)()
                    await session.close()
            assert (await outbox.find("kept")).state == "planned"
            assert await outbox.find("undone") is None
            async with engine.begin() as connection:
                assert await outbox.cancel("kept", within=connection)
            with pytest.raises(UsageError, match="goes to `Outbox`"):
                await outbox.add("default", message())
        await engine.dispose()

    asyncio.run(main())


def test_the_same_key_is_one_mail(place, outbox):
    with outbox.engine.begin() as connection:
        for text_ in ("one", "two"):
            outbox.add(connection, message(text=text_), key="order-1")
    with outbox.engine.begin() as connection:
        outbox.add(connection, message(text="three"), key=" order-1")
    assert send(place) == ["ada@example.com"]


def test_a_mail_without_a_key_has_its_unique_id_or_its_content(outbox):
    with outbox.engine.begin() as connection:
        assert outbox.add(connection, message(unique_id="u1")) == "u1"
        first = outbox.add(connection, message())
        assert outbox.add(connection, message()) == first
        assert outbox.add(connection, message(text="other")) != first


@pytest.mark.parametrize("commits", [True, False])
def test_a_key_that_another_transaction_is_adding_is_waited_for(outbox, commits):
    """After the commit of the first it is known; after its rollback the second adds it."""
    second = threading.Thread(target=lambda: add("second@example.com"))

    def add(to: str) -> None:
        with outbox.engine.begin() as connection:
            outbox.add(connection, message(to=to), key="k")

    with outbox.engine.connect() as connection:
        outbox.add(connection, message(to="first@example.com"), key="k")
        second.start()
        second.join(0.3)
        assert second.is_alive()
        (connection.commit if commits else connection.rollback)()
    second.join()
    expected = "first@example.com" if commits else "second@example.com"
    assert outbox.find("k").recipients == (expected,)


BAD = {
    "naive": {"expires": datetime(2030, 1, 1)},  # noqa: DTZ001  the subject of the test
    "number": {"not_before": 5.0},
    "order": {"not_before": LATER, "expires": LATER},
    "key": {"key": ""},
    "NUL": {"key": "\0"},
    "surrogate": {"key": "\ud800"},
    "long": {"key": random.Random(1).randbytes(1_001).hex()},
}


def test_an_invalid_mail_leaves_the_transaction_usable(outbox):
    with outbox.engine.begin() as connection:
        for bad in BAD.values():
            with pytest.raises(UsageError):
                outbox.add(connection, message(), **bad)
        with pytest.raises(UsageError, match="cannot read"):
            outbox.add(connection, message(attachments=[Attachment.from_path("gone.pdf")]))
        outbox.add(connection, message(), key="good")
    assert outbox.find("good").state == "planned"


def test_a_mail_is_sent_no_earlier(place, outbox):
    with outbox.engine.begin() as connection:
        outbox.add(connection, message(to="now@example.com"), key="now", not_before=EARLIER)
        outbox.add(connection, message(), key="later", not_before=LATER, expires=None)
    with Ledger(place).database.reading() as connection:
        due = connection.execute(
            text("SELECT due FROM poweremail_messages WHERE key = 'later'")
        ).scalar_one()
    assert due == pytest.approx(LATER.timestamp())


def test_a_planned_mail_can_be_cancelled(place, outbox):
    with outbox.engine.begin() as connection:
        for key in ("a", "b", "c"):
            outbox.add(connection, message(to=f"{key}@example.com"), key=key)
    assert outbox.cancel("a")
    assert not outbox.cancel("a")
    assert not outbox.cancel("unheard of")
    with outbox.engine.connect() as connection:
        assert outbox.cancel("b", within=connection)
        connection.rollback()
    assert send(place) == ["b@example.com", "c@example.com"]
    assert not outbox.cancel("c")
    record = outbox.find("a")
    assert (record.state, record.error_kind) == ("not_sent", "Cancelled")
    with outbox.engine.begin() as connection:
        outbox.add(connection, message(), key="a")
    with Batch(None, place, "outbox") as batch:
        assert batch.retry() == 0  # who has cancelled a mail does not want it


def test_tables_that_are_missing_are_named(place):
    engine = create_engine(url(place))
    with Outbox(place) as outbox, engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (number INTEGER)"))
        with pytest.raises(LedgerError, match=r"are missing.*create_tables"):
            outbox.add(connection, message())
        connection.execute(text("INSERT INTO orders VALUES (1)"))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM orders")) == 1
    engine.dispose()


def test_a_ledger_is_not_put_beside_other_tables_unasked(tmp_path):
    place = str(tmp_path / "app.db")
    engine = create_engine(f"sqlite:///{place}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (number INTEGER)"))
    engine.dispose()
    with Batch(None, place, "news") as batch, pytest.raises(LedgerError, match="create_tables"):
        batch.add([])


def test_tables_of_another_version_are_named(place, outbox):
    with outbox.engine.begin() as connection:
        connection.execute(text("UPDATE poweremail_ledger SET version = 99"))
    with outbox.engine.begin() as connection, pytest.raises(LedgerError, match="version 99"):
        outbox.add(connection, message())


def test_other_databases_are_refused():
    engine = create_engine("sqlite://")
    engine.dialect.name = "mysql"
    with Outbox("unused.db") as outbox, engine.connect() as connection:
        with pytest.raises(ConfigurationError, match=r"not in mysql.*batch\.add"):
            outbox.add(connection, message())
    engine.dispose()


@pytest.mark.parametrize("kind", [None, 5, "engine", "autocommit"])
def test_what_has_no_transaction_is_refused(kind):
    engine = create_engine("sqlite://")
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    target = {"engine": engine, "autocommit": connection}.get(kind, kind)
    with Outbox("unused.db") as outbox, pytest.raises(UsageError, match="connection: "):
        outbox.add(target, message())
    connection.close()
    engine.dispose()


@pytest.mark.parametrize("bad", [{"name": ""}, {"bulk_share": 0}, {"bulk_share": 1.5}], ids=str)
def test_invalid_options_are_refused(bad):
    with pytest.raises(ConfigurationError):
        Outbox("unused.db", **bad)


def test_a_key_is_a_text(outbox):
    for call in (outbox.find, outbox.cancel):
        with pytest.raises(UsageError, match="must be a string, not 5") as caught:
            call(5)
        assert caught.value.field == "key"


def test_the_share_of_other_batches_can_be_changed(place, outbox):
    with outbox.engine.begin() as connection:
        outbox.add(connection, message(), key="k")
    with Batch(None, place, "outbox") as batch:
        batch.set_options(bulk_share=0.5)
        assert batch.status().options == {"bulk_share": 0.5}
        batch.set_options(bulk_share=None)
        assert batch.status().options == {}
        for wrong in (0, 1.5, "half"):
            with pytest.raises(ConfigurationError, match="bulk_share"):
                batch.set_options(bulk_share=wrong)


def test_an_outbox_is_no_batch(place, outbox):
    with Batch(None, place, "news") as batch:
        batch.add([message()])
    with Outbox(place, name="news") as other, outbox.engine.begin() as connection:
        with pytest.raises(ConfigurationError, match="'news' is a batch"):
            other.add(connection, message())
        outbox.add(connection, message(), key="good")
    assert outbox.find("good").state == "planned"


def test_a_schema_has_the_tables(postgresql):
    ledger = Ledger(postgresql, schema="mail box")
    engine = create_engine(url(postgresql))
    with Outbox(ledger) as outbox, engine.begin() as connection:
        with pytest.raises(LedgerError, match="are missing"):
            outbox.add(connection, message())
        outbox.create_tables()
        connection.execute(text("CREATE TABLE orders (number INTEGER)"))
        outbox.add(connection, message(), key="k")
        assert connection.scalar(text('SELECT key FROM "mail box".poweremail_messages')) == "k"
    engine.dispose()
    assert send(ledger) == ["ada@example.com"]
    assert outbox.find("k").state == "accepted"
    ledger.close()
    with pytest.raises(ConfigurationError, match="SQLite has no schemas"):
        Ledger("file.db", schema="mail")


@given(requests=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=20))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_first_committed_mail_of_each_key_is_there(tmp_path, requests):
    place = str(tmp_path / f"{uuid.uuid4().hex}.db")
    engine = create_engine(url(place))
    expected: dict[str, str] = {}
    with Outbox(place) as outbox:
        outbox.create_tables()
        for number, (key, commits) in enumerate(requests):
            with engine.connect() as connection:
                outbox.add(connection, message(to=f"user{number}@example.com"), key=f"k{key}")
                (connection.commit if commits else connection.rollback)()
            if commits:
                expected.setdefault(f"k{key}", f"user{number}@example.com")
        for key in range(6):
            found = outbox.find(f"k{key}")
            assert (found and found.recipients[0]) == expected.get(f"k{key}")
    engine.dispose()


def test_web_requests_beside_workers(place, outbox):
    """200 requests, of which every tenth is rolled back: the others' mails are sent, once each."""
    numbers = iter(range(200))  # shared: each number goes to one thread
    over = threading.Event()

    def serve() -> None:
        for number in numbers:
            with outbox.engine.connect() as connection:
                # SQLite: a transaction that reads first may not write later.
                key = outbox.add(connection, message(to=f"u{number}@example.com"), key=f"o{number}")
                connection.execute(text("INSERT INTO orders VALUES (:n)"), {"n": number})
                assert key == f"o{number}"
                (connection.rollback if number % 10 == 0 else connection.commit)()

    def work(client) -> None:
        while True:
            is_last = over.is_set()
            with Batch(client, place, "outbox") as batch:
                try:
                    with batch.run() as outcomes:
                        list(outcomes)
                except ConfigurationError:  # no mail was added yet
                    pass
            if is_last:
                return

    with Sandbox() as sandbox, sandbox.client(smtp_user_name="smtp1") as client:
        web = [threading.Thread(target=serve) for _ in range(4)]
        workers = [threading.Thread(target=work, args=(client,)) for _ in range(2)]
        for thread in (*web, *workers):
            thread.start()
        for thread in web:
            thread.join()
        over.set()
        for thread in workers:
            thread.join()
        sent = Counter(mail.recipients[0].email for mail in sandbox.outbox)
    assert sent == {f"u{number}@example.com": 1 for number in range(200) if number % 10}
    with outbox.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM orders")) == 180
