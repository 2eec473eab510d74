"""
From bytes to text, even if their charset label is missing, misspelt or wrong.
"""

from __future__ import annotations

import codecs

# Labels that programs use for text of a larger charset, which is tried if the label itself does not
# fit (WHATWG Encoding, "Names and labels", and the practice of mail programs).
_WIDER = {
    "ascii": "utf-8",
    "iso8859-1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc_jp": "euc_jisx0213",
    "iso2022_jp": "iso2022_jp_ext",
    "euc_kr": "cp949",
}
# Labels that Python does not know. The suffixes -i and -e of RFC 1556 are about the layout of
# Hebrew, not about its bytes.
_ALSO_KNOWN_AS = {
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "ks_c_5601-1987": "cp949",
    "x-sjis": "cp932",
}
# Encodings of text in Python that no mail uses.
_NOT_OF_MAIL = {
    "unicode_escape",
    "raw-unicode-escape",
    "raw_unicode_escape",
    "unicode-escape",
    "idna",
    "punycode",
    "undefined",
}
_C1 = frozenset(range(0x80, 0xA0))


def decode_text(data: bytes, charset: str | None, *, errors: str = "strict") -> str:
    """
    Return *data* as text, without a byte order mark.

    *charset*: its label, None if it has none. If the label is unknown or too narrow, UTF-8 is
    tried, or the wider charset that is commonly sent under this label.
    *errors*: ``"strict"`` raises UnicodeError if nothing fits; ``"replace"`` makes the bytes that
    do not fit U+FFFD.
    """
    name = _codec(charset)
    for candidate in (name, _WIDER.get(name, "utf-8"), "utf-8"):
        if candidate == "iso8859-1" and not _C1.isdisjoint(data):
            # As control characters they make no sense; they are quotes and dashes of windows-1252.
            continue
        try:
            return data.decode(candidate).removeprefix("\ufeff")
        except UnicodeError:
            continue
    if errors == "strict":
        raise UnicodeError(f"its bytes are not {charset or 'ASCII or UTF-8'}")
    return data.decode(name, errors).removeprefix("\ufeff")


def _codec(charset: str | None) -> str:
    # A comment may follow (RFC 5322, 3.2.2).
    label = (charset or "us-ascii").partition("(")[0].strip("\"' \t").lower()
    label = _ALSO_KNOWN_AS.get(label, label)
    try:
        codec = codecs.lookup(label)
        # Some codecs decode bytes to bytes; those raise here.
        bytes(4).decode(label, "replace")
    except (LookupError, ValueError):
        return "ascii"
    return "ascii" if codec.name in _NOT_OF_MAIL else codec.name
