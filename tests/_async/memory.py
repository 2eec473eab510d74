"""
Send one large mail, and print how many bytes the peak of the memory grew by: ``python -m
_async.memory KIND FILE URL``.

Run by the tests in a process of its own, with the server in another.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import anyio  # async only

from poweremail import AsyncPowerEmail, Attachment, Message


def chunks(path: Path):
    with path.open("rb") as file:
        while chunk := file.read(100_000):
            yield chunk


async def main(kind: str, path: Path, url: str) -> None:
    def mail(**fields) -> Message:
        return Message(
            subject="Hi", from_email="me@example.com", to="ada@example.com", text="Hello", **fields
        )

    async with AsyncPowerEmail("owner", "token", base_url=url, smtp_user_name="smtp1") as client:
        await client.messages.send_mail(
            mail(attachments=[Attachment.from_bytes(bytes(1_000_000), "warm.bin")])
        )
        with path.open("rb") as file:
            attachment = {
                "path": lambda: Attachment.from_path(path),
                "file": lambda: Attachment.from_file(file, "large.bin"),
                "stream": lambda: Attachment.from_stream(chunks(path), "large.bin"),
                "bytes": lambda: Attachment.from_bytes(path.read_bytes(), "large.bin"),
            }[kind]()
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            await client.messages.send_mail(mail(attachments=[attachment]))
    print(
        (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        * (1 if sys.platform == "darwin" else 1024)
    )


if __name__ == "__main__":
    arguments = (sys.argv[1], Path(sys.argv[2]), sys.argv[3])
    anyio.run(main, *arguments)  # async only
    # sync only: main(*arguments)
