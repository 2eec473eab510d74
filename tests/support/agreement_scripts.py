"""
The scripts of the proof that outcomes and reality agree: a `Script` of faults and sends, and the
strategy that draws one.

The repr of a script is the code that makes it, without default values, so that the output of a
failing run can be pasted into a test.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cached_property

import attrs
from hypothesis import strategies as st

from poweremail import Attachment, Message, TemplateMessage
from poweremail.sandbox import Fault
from poweremail.sandbox._api.requests import SENDS

__all__ = [
    "ERRORS",
    "READ",
    "TOKEN",
    "VISIBILITY",
    "Mail",
    "Many",
    "Rule",
    "Script",
    "Send",
    "scripts",
]

TOKEN = "canary+token/with 9 odd=characters"
READ = 0.03
"""The read timeout, in seconds; the delays of the faults lie around it."""
VISIBILITY = 0.02

OTHERS = ("ada@example.com", "Grace@Example.com")
SHARED_ID = "news"
ERRORS = (
    "ValidationError",
    "AuthenticationError",
    "invalid key",
    "GeneralError",
    "SendingError",
    "general_error",
    "QuotaError",
)
LARGE = bytes(range(256)) * 1300
"""Enough for two pieces."""


class Code:
    """The repr is the code that makes the value, without default values."""

    def __repr__(self) -> str:
        arguments = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in attrs.fields(type(self))
            if field.init
            and (field.default is attrs.NOTHING or getattr(self, field.name) != field.default)
        ]
        return f"{type(self).__name__}({', '.join(arguments)})"


@attrs.frozen(repr=False)
class Rule(Code):
    """From here on, requests get this fault: the arguments are those of ``Faults.add``."""

    fault: Fault
    call: str | None = None
    recipient: str | None = None
    nth: int | None = None
    times: int | None = None
    chance: float = 1.0

    @property
    def options(self) -> dict[str, object]:
        """The conditions under which it hits a request."""
        return {
            field.name: getattr(self, field.name)
            for field in attrs.fields(Rule)
            if field.name != "fault"
        }

    def __repr__(self) -> str:
        defaults = inspect.signature(getattr(Fault, self.fault.kind)).parameters
        given = [
            f"{name}={value!r}"
            for name, value in self.fault.options.items()
            if defaults[name].default is inspect.Parameter.empty or value != defaults[name].default
        ]
        made = f"Fault.{self.fault.kind}({', '.join(given)})"
        return super().__repr__().replace(repr(self.fault), made)


@attrs.frozen(repr=False)
class Send(Code):
    """One mail, by the call of this name."""

    by: str = "send_mail"
    others: tuple[str, ...] = ()
    size: str = "small"
    unique_id: str | None = None
    template: str = "t1"


@attrs.frozen(repr=False)
class Many(Code):
    """Several mails by ``send_many``."""

    sends: tuple[Send, ...]
    concurrency: int = 1


@attrs.frozen
class Mail:
    """A `Send` of a script and its place in it, which its subject and its first recipient tell."""

    number: int
    send: Send

    @property
    def subject(self) -> str:
        return f"mail {self.number}"

    @property
    def recipients(self) -> tuple[str, ...]:
        return (f"m{self.number}@example.com", *self.send.others)

    @property
    def has_id(self) -> bool:
        """Whether the library gives it a unique id, so that it can be looked up."""
        return self.send.by in ("send_mail", "send_template")

    @property
    def message(self) -> Message | TemplateMessage:
        fields = {
            "subject": self.subject,
            "from_email": "me@example.com",
            "to": self.recipients[0],
            "cc": self.send.others,
        }
        fields |= {"unique_id": self.send.unique_id, "attachments": self._attachments()}
        if self.send.by == "send_mail":
            return Message(text="Hello", **fields)
        return TemplateMessage(
            template_id=self.send.template, dynamic_value={"NAME": "Ada & Co"}, **fields
        )

    @property
    def members(self) -> dict[str, object]:
        """The body of a ``call("messages/sendMail", ...)``."""
        to = [
            {"email": recipient, "type": "cc" if index else "to"}
            for index, recipient in enumerate(self.recipients)
        ]
        message = {
            "subject": self.subject,
            "from_email": "me@example.com",
            "to": to,
            "text": "Hello",
        }
        return {"smtp_user_name": "smtp1", "message": message}

    def _attachments(self) -> list[Attachment]:
        match self.send.size:
            case "large":
                return [Attachment.from_bytes(LARGE, "large.bin")]
            case "stream":
                return [
                    Attachment.from_stream(
                        (LARGE[at : at + 65536] for at in range(0, len(LARGE), 65536)), "stream.bin"
                    )
                ]
            case _:
                return []


@attrs.frozen(repr=False, slots=False)
class Script(Code):
    """
    What to do, one step after the other, and the options of the client; *per_minute* is a limit of
    the sandbox.
    """

    steps: tuple[Rule | Send | Many, ...]
    attempts: int = 1
    on_unknown: str = "raise"
    resend_after: float | None = None
    per_minute: int | None = None
    seed: int = 0

    @cached_property
    def plan(self) -> tuple[Rule | Mail | tuple[int, list[Mail]], ...]:
        """
        The steps with their mails numbered; of several at once, the concurrency and the mails.
        """
        return tuple(self._plan())

    @cached_property
    def mails(self) -> tuple[Mail, ...]:
        mails = (
            step[1] if isinstance(step, tuple) else [step]
            for step in self.plan
            if not isinstance(step, Rule)
        )
        return tuple(mail for some in mails for mail in some)

    def _plan(self) -> Iterator[Rule | Mail | tuple[int, list[Mail]]]:
        number = 0
        for step in self.steps:
            match step:
                case Rule():
                    yield step
                case Send():
                    yield Mail(number, step)
                    number += 1
                case Many():
                    yield (
                        step.concurrency,
                        [Mail(number + index, send) for index, send in enumerate(step.sends)],
                    )
                    number += len(step.sends)


def _faults() -> st.SearchStrategy[Fault]:
    # A status of 4xx says that the mail was not taken, and so does 429: a service that takes it all
    # the same lies, and is believed.
    honest = st.sampled_from([400, 401, 403, 404, 413, 429]).map(Fault.status)
    doubtful = st.builds(
        Fault.status, st.sampled_from([408, 500, 502, 503, 504]), accepted=st.booleans()
    )
    error = st.builds(
        Fault.error,
        st.sampled_from(ERRORS),
        st.sampled_from(["no", ["no", f"bad token {TOKEN}"]]),
        code=st.sampled_from(["-1", 7, None]),
        name_in=st.sampled_from(["name", "type", "type_object"]),
        array=st.booleans(),
        http_status=st.sampled_from([200, 200, 200, 400, 401, 429, 500, 503]),
    )
    retry_after = st.sampled_from([None, 0, 0.005, "Thu, 01 Jan 1970 00:00:00 GMT", "soon", 3600])
    broken = [
        Fault.refuse(),
        Fault.reset_before_acceptance(),
        Fault.reset_after_acceptance(),
        Fault.stall(),
        Fault.stall(0.01),
        Fault.truncated(),
        Fault.truncated(close=False),
        Fault.html(),
        Fault.html(accepted=False),
    ]
    slow = [
        Fault.wrong_content_type(),
        *map(Fault.latency, (0.01, READ - 0.001, READ + 0.001, 2 * READ)),
        *map(Fault.slow_drip, (0.0003, 2 * READ)),
    ]
    limited = st.builds(Fault.rate_limited, retry_after=retry_after)
    # What breaks in the middle is what the promise is about.
    return st.one_of(
        st.sampled_from(broken),
        error,
        doubtful,
        limited,
        st.sampled_from(broken),
        error,
        st.sampled_from(slow),
        honest,
    )


def _rules() -> st.SearchStrategy[Rule]:
    addresses = st.sampled_from(["m0@example.com", "M0@example.com", "m1@example.com", *OTHERS])
    # Of several that would decide the first one does: those that strike a few times leave something
    # to the next.
    when = {
        "nth": st.sampled_from([None, None, None, None, None, 1, 2, 3]),
        "times": st.sampled_from([None, None, 1, 2]),
        "chance": st.sampled_from([1.0, 1.0, 1.0, 0.5]),
    }
    faults = _faults()
    any_send = st.builds(Rule, faults, call=st.sampled_from([None, "sendMail"]), **when)
    late = st.sampled_from([0.01, 0.03, 60]).map(Fault.late_visibility)
    return st.one_of(
        any_send,
        any_send,
        any_send,
        st.builds(Rule, faults, call=st.sampled_from(SENDS[:3]), **when),
        st.builds(Rule, faults, recipient=addresses, **when),
        st.builds(Rule, late, call=st.none() | st.just("sendMail")),
        st.builds(Rule, faults, call=st.just("getMessageInfo"), **when),
    )


def _sends(calls: tuple[str, ...]) -> st.SearchStrategy[Send]:
    others = st.sampled_from([(), (), OTHERS[:1], OTHERS])
    whole = {"others": others, "size": st.sampled_from(["small", "small", "large", "stream"])}
    by = {
        "send_mail": {**whole, "unique_id": st.sampled_from([None, None, SHARED_ID])},
        "send_template": {
            **whole,
            "template": st.sampled_from(["t1", "t1", "t1", "none of these"]),
        },
        "send_template_http_get": {
            "template": st.sampled_from(["t1", "t1", "t1", "none of these"])
        },
        "call": {"others": others},
    }
    return st.one_of(*(st.builds(Send, by=st.just(name), **by[name]) for name in calls))


_RULES = _rules()
_ONE = _sends(("send_mail", "send_template", "send_template_http_get", "call"))
_SOME = st.lists(_sends(("send_mail", "send_template")), min_size=2, max_size=4).map(tuple)
_MANY = st.builds(Many, _SOME, concurrency=st.sampled_from([1, 2, 4]))
_FIRST = st.lists(_RULES, min_size=1, max_size=3) | st.just([])
_THEN = _ONE | _MANY
_AFTERWARDS = st.lists(st.one_of(_ONE, _RULES, _MANY), max_size=3)
_UNKNOWN = st.sampled_from(
    [
        {},
        {"on_unknown": "reconcile"},
        {"on_unknown": "reconcile", "resend_after": VISIBILITY},
        {"on_unknown": "reconcile", "resend_after": 2 * VISIBILITY},
        {"on_unknown": "resend"},
    ]
)


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    """Any script: some rules, then sends and more rules."""
    return Script(
        (*draw(_FIRST), draw(_THEN), *draw(_AFTERWARDS)),
        attempts=draw(st.integers(1, 4)),
        per_minute=draw(st.sampled_from([None, None, None, 1, 3])),
        seed=draw(st.integers(0, 3)),
        **draw(_UNKNOWN),
    )
