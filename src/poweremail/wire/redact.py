"""Credentials, and their removal from whatever echoes them."""

from __future__ import annotations

import json
import re
from urllib.parse import quote, quote_plus

import attrs

from poweremail.response import Response
from poweremail.types.secret import MASK, Secret

__all__ = ["Credentials"]

# A shorter token is no secret, and replacing it would garble every answer.
_SHORTEST_SECRET = 4
_ESCAPE = re.compile(r"(?<=%)[0-9A-Fa-f]{2}|(?<=\\u)[0-9A-Fa-f]{4}")


@attrs.frozen(eq=False)
class Credentials:
    """
    Who is calling: *owner_id* and *token*, members of every request (there is no Authorization header).

    ``json_prefix`` is how a JSON body begins that carries them. The ``redact`` methods replace the token by ``***`` in every form
    in which it travels: plain, URL-encoded and JSON-escaped.
    """

    owner_id: str
    token: Secret
    json_prefix: Secret = attrs.field(init=False)
    _forms: tuple[Secret, ...] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(
            self,
            "json_prefix",
            Secret(f'{{"owner_id":{json.dumps(self.owner_id)},"token":{json.dumps(self.token.reveal())}'),
        )
        object.__setattr__(self, "_forms", tuple(Secret(form) for form in sorted(_forms(self.token), key=len, reverse=True)))

    def redact_text(self, text: str) -> str:
        """Return *text* without the token."""
        for form in self._forms:
            text = text.replace(form.reveal(), MASK)
        return text

    def redact_response(self, response: Response) -> Response:
        """Return *response* without the token; the same object where it has none."""
        body = response.body
        for form in self._forms:
            body = body.replace(form.reveal().encode(), MASK.encode())
        headers = tuple((name, self.redact_text(value)) for name, value in response.headers)
        if body == response.body and headers == response.headers:
            return response
        return attrs.evolve(response, body=body, headers=headers)


def _forms(token: Secret) -> set[str]:
    if len(token.reveal()) < _SHORTEST_SECRET:
        return set()
    forms = {encode(token.reveal()) for encode in (str, quote, quote_plus, lambda text: quote(text, safe=""))}
    forms |= {json.dumps(token.reveal(), ensure_ascii=ascii)[1:-1] for ascii in (True, False)}
    # PHP escapes the solidus in JSON; others write the digits of an escape in the other case.
    forms |= {form.replace("/", "\\/") for form in forms}
    return forms | {_ESCAPE.sub(lambda found: found[0].swapcase(), form) for form in forms}
