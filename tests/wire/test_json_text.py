"""JSON that people write, and what is said of it where it is none."""

from __future__ import annotations

import pytest

from poweremail._wire.json import loads_text


def test_json_is_read():
    assert loads_text('{"a": [1, "x", null]}') == {"a": [1, "x", None]}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ('{"a":', "it ends too early"),
        ('{"a": "x\n', "it ends too early"),
        ("hello", "it goes wrong at character 1, 'hello'"),
        ("{'a': 1}", "it goes wrong at character 2, \"'a': 1}\""),
        ('{"a" 1}\n', "it goes wrong at character 6, '1}'"),
        ('{\n  "a": 1\n  "b": 2\n}', "it goes wrong at line 3, character 3, '\"b\": 2'"),
        (
            '{"a": 1} and so on and so forth',
            "it goes wrong at character 10, 'and so on and so for'...",
        ),
        ("\x1b[2J", "it goes wrong at character 1, '\\x1b[2J'"),
        ("[" * 100_000, "it is nested too deeply"),
        ("9" * 5_000, "it has a number with too many digits"),
    ],
)
def test_the_error_of_invalid_json_says_why(text, why):
    with pytest.raises(ValueError) as caught:
        loads_text(text)
    assert str(caught.value) == why
