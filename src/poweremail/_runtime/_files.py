"""Reading a piece of a file; the blocking part that both worlds share."""

from __future__ import annotations

from pathlib import Path

__all__ = ["read_piece"]


def read_piece(path: Path, offset: int, size: int) -> bytes:
    """Return *size* bytes from *offset* on, or fewer where the file ends. Opens it anew: no handle outlives the call."""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size)
