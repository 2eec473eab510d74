"""
An alarm with trio: tell everybody on duty at the same time, within thirty seconds.

Run it: ``python trio_alarm.py "The disk is full"``. It reads the account and ON_DUTY
(addresses with commas between) from the environment, and ends with status 1 if somebody
got no mail for certain.
"""

import os
import sys

import trio

from poweremail import AsyncPowerEmail, DeliveryUnknownError, Message, PowerEmailError

SECONDS = 30


async def tell(client: AsyncPowerEmail, address: str, text: str) -> bool:
    """Send one mail. Return whether it was accepted."""
    message = Message(
        subject=f"Alarm: {text}", from_email="alarm@example.com", to=address, text=text
    )
    try:
        try:
            await client.messages.send_mail(message)
        except DeliveryUnknownError as error:
            # It may have been accepted: ask, and do not send twice.
            await client.messages.reconcile(error, visibility=10)
    except PowerEmailError as error:
        print(f"{address}: {error}")
        return False
    print(f"{address}: accepted")
    return True


async def main(addresses: list[str], text: str) -> int:
    """Tell all *addresses*, and return the exit status."""
    told: set[str] = set()

    async def tell_one(address: str) -> None:
        if await tell(client, address, text):
            told.add(address)

    with trio.move_on_after(SECONDS):
        async with AsyncPowerEmail.from_env() as client, trio.open_nursery() as nursery:
            for address in addresses:
                nursery.start_soon(tell_one, address)
    return 0 if told == set(addresses) else 1


if __name__ == "__main__":
    sys.exit(trio.run(main, os.environ["ON_DUTY"].split(","), " ".join(sys.argv[1:])))
