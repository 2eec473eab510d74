"""
Values that users give and get, and the checks of them.

A kind of value has a module: addresses, files, results, the values of the account. A field that
can be wrong is checked here, when the value is made, so that nothing below the client meets a bad
one; `checks` has what several of them need. The room imports attrs, idna, the standard library,
`poweremail.errors` and `poweremail._response`, and nothing else.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import TypeVar

V = TypeVar("V")


class FrozenMapping(Mapping[str, V]):
    """
    An immutable, picklable mapping from str, in insertion order.

    With a plain dict, a frozen value could be changed after its headers were checked for CR and LF.
    ``types.MappingProxyType`` cannot be pickled.
    """

    __slots__ = ("_data",)

    def __init__(self, data: Mapping[str, V] | None = None) -> None:
        self._data: dict[str, V] = dict(data or ())

    def __getitem__(self, key: str) -> V:
        return self._data[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    # The dict's views cannot change it either, and are several times as fast as those of Mapping.
    def keys(self) -> KeysView[str]:
        """The names."""
        return self._data.keys()

    def items(self) -> ItemsView[str, V]:
        """The names and values."""
        return self._data.items()

    def values(self) -> ValuesView[V]:
        """The values."""
        return self._data.values()

    def __hash__(self) -> int:
        # As with dicts, the order does not matter; values may be unhashable.
        return hash(frozenset(self._data))

    def __repr__(self) -> str:
        return repr(self._data)
