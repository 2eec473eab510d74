"""Credentials, and their removal from whatever echoes them."""

from __future__ import annotations

import html
import json
import re
from operator import itemgetter

import attrs

from poweremail._response import Response
from poweremail._types.secret import MASK, Secret

__all__ = ["Credentials", "spelt"]

# A shorter token is no secret, and replacing it would garble every answer.
_SHORTEST_SECRET = 4
_BACKSLASH, _PERCENT, _AMPERSAND, _PLUS = b"\\%&+"
_value = itemgetter(1)
_JSON_ESCAPES = dict(zip("/\"\\'\b\f\n\r\t", "/\"\\'bfnrt", strict=True))


@attrs.frozen(eq=False)
class Credentials:
    """
    Who is calling: *owner_id* and *token*, members of every request (there is no Authorization
    header).

    ``json_prefix`` is how a JSON body begins that carries them. The ``redact`` methods replace the
    token by ``***``, each of its characters spelt in any way in which it may come back: plain, as
    an escape of JSON, of a URL or of HTML.
    """

    owner_id: str
    token: Secret
    json_prefix: bytes = attrs.field(init=False, repr=False)
    _plain: bytes = attrs.field(init=False, repr=False)
    _pattern: re.Pattern[bytes] | None = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        known = len(self.token.reveal()) >= _SHORTEST_SECRET
        prefix = (
            f'{{"owner_id":{json.dumps(self.owner_id)},"token":{json.dumps(self.token.reveal())}'
        )
        object.__setattr__(self, "json_prefix", prefix.encode())
        object.__setattr__(self, "_plain", self.token.reveal().encode())
        object.__setattr__(self, "_pattern", spelt(self.token.reveal()) if known else None)

    def redact_text(self, text: str) -> str:
        """Return *text* without the token."""
        return self._redact(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def redact_response(self, response: Response) -> Response:
        """Return *response* without the token; the same object where it has none."""
        text = response.body
        if 0 in text:
            # JSON may be in other encodings. All but UTF-8, in which one search is enough, have
            # zero bytes in it.
            text = text.decode(json.detect_encoding(text), "replace").encode()
        values = "\n".join(map(_value, response.headers)).encode("utf-8", "surrogatepass")
        if not self._may_be_in(b"%b\n%b" % (text, values)):
            # Nearly always.
            return response
        body = self._redact(text)
        headers = tuple((name, self.redact_text(value)) for name, value in response.headers)
        if body == response.body and headers == response.headers:
            return response
        return attrs.evolve(response, body=body, headers=headers)

    def _redact(self, text: bytes) -> bytes:
        if self._pattern is None or not self._may_be_in(text):
            return text
        return self._pattern.sub(MASK.encode(), text)

    def _may_be_in(self, text: bytes) -> bool:
        """
        Whether *text* has the token, or a mark without which no character is spelt in another than
        the plain way.
        """
        # Spelt out and by their numbers, as this is done for each answer: Python looks for bytes in
        # bytes only after it has failed to take them for a number, and the message of that failure
        # takes longer to write than the text to search.
        return (
            text.find(self._plain) >= 0
            or _BACKSLASH in text
            or _PERCENT in text
            or _AMPERSAND in text
            or _PLUS in text
        )


def spelt(secret: str) -> re.Pattern[bytes]:
    """A pattern that finds *secret*, each of its characters in any spelling."""
    return re.compile(b"".join(map(_spellings, secret)))


def _spellings(character: str) -> bytes:
    """A pattern for each way in which *character* may be spelt."""
    utf16 = character.encode("utf-16-be").hex()
    units = [utf16[at : at + 4].encode() for at in range(0, len(utf16), 4)]
    # The plain one last: it may be how another begins.
    spellings = [
        *(
            re.escape(escaped.encode())
            for escaped in [html.escape(character)]
            if escaped != character
        ),
        b"(?i:%s)" % b"".join(rb"\\u" + unit for unit in units),
        b"(?i:%s)" % b"".join(b"%%%02x" % byte for byte in character.encode()),
        b"(?i:&#(?:0*%d|x0*%x);)" % (ord(character), ord(character)),
    ]
    if character in _JSON_ESCAPES:
        spellings.append(re.escape(f"\\{_JSON_ESCAPES[character]}".encode()))
    if character == " ":
        spellings.append(rb"\+")
    return b"(?:%s)" % b"|".join((*spellings, re.escape(character.encode())))
