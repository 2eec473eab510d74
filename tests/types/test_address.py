"""Every way to write an address, and every address that cannot be used."""

from __future__ import annotations

import re
import time
from email.header import Header, make_header
from email.utils import formataddr
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from poweremail import Message, Recipient, UsageError
from poweremail._types import address as address_module
from poweremail._types.address import recipient, recipients
from poweremail._types.encoded_words import decode_words

ADA = Recipient("ada@example.com", "Ada")
BARE = Recipient("ada@example.com")
BOB = Recipient("bob@example.com")


ATOMS = st.from_regex(
    r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~\-üñ例]{1,8}(\.[a-z0-9üñ例]{1,8}){0,2}", fullmatch=True
)
QUOTED = st.from_regex(r'"([ -!#-\[\]-~ü例]|\\[ -~]){0,8}"', fullmatch=True)
DOMAINS = st.from_regex(
    r"[a-z0-9ü例]{1,8}(\.[a-z0-9ü例]{1,8}){0,2}|\[[0-9.:]{1,12}\]", fullmatch=True
)
EMAILS = st.builds("{}@{}".format, ATOMS | QUOTED, DOMAINS)
BIDI = list("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
CONTROLS = [chr(code) for code in (*range(9), *range(10, 32), *range(127, 160))]
NAMES = st.text(
    st.characters(
        exclude_categories=["Cs"],
        exclude_characters=CONTROLS + BIDI,
    )
)
AWKWARD = st.text('<>"\\@, .ab\u00a0', max_size=12)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("ada@example.com", BARE),
        ("  ada@example.com ", BARE),
        ("<ada@example.com>", BARE),
        ("Ada <ada@example.com>", ADA),
        ("Ada<ada@example.com>", ADA),
        ("Ada < ada@example.com >", ADA),
        ('"Ada" <ada@example.com>', ADA),
        ('"" <ada@example.com>', BARE),
        ('"Lovelace, Ada" <ada@example.com>', Recipient("ada@example.com", "Lovelace, Ada")),
        ("Lovelace, Ada <ada@example.com>", Recipient("ada@example.com", "Lovelace, Ada")),
        (
            r'"Ada \"Countess\" L\\" <ada@example.com>',
            Recipient("ada@example.com", 'Ada "Countess" L\\'),
        ),
        ('"a < b" <ada@example.com>', Recipient("ada@example.com", "a < b")),
        ('Ada <"a<b"@example.com>', Recipient('"a<b"@example.com', "Ada")),
        ('"Ada<" <"a <> \\" b"@example.com>', Recipient('"a <> \\" b"@example.com', "Ada<")),
        (("Ada", "ada@example.com"), ADA),
        (("ada@example.com", "Ada"), ADA),
        ((None, "ada@example.com"), BARE),
        (("ada@example.com", None), BARE),
        (("", "ada@example.com"), BARE),
        (("ada@ work", "ada@example.com"), Recipient("ada@example.com", "ada@ work")),
        (("ada@example.com", "ada@example.com"), Recipient("ada@example.com", "ada@example.com")),
        (("Müller", "用户@例え.jp"), Recipient("用户@例え.jp", "Müller")),
        (ADA, ADA),
    ],
)
def test_one_address_in_each_form(given, expected):
    assert recipient("to", given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Ada <ada@example.com>", (ADA,)),
        (ADA, (ADA,)),
        (("Ada", "ada@example.com"), (ADA,)),
        (("ada@example.com", "Ada"), (ADA,)),
        ((None, "ada@example.com"), (BARE,)),
        (("ada@example.com", "bob@example.com"), (BARE, BOB)),
        (("Ada <ada@example.com>", "bob@example.com"), (ADA, BOB)),
        (("ada@example.com",), (BARE,)),
        ((ADA, BOB), (ADA, BOB)),
        ((ADA, "bob@example.com"), (ADA, BOB)),
        ([("Ada", "ada@example.com"), "bob@example.com", BARE], (ADA, BOB, BARE)),
        ((("Ada", "ada@example.com"), ("bob@example.com", None)), (ADA, BOB)),
        ([], ()),
        ((), ()),
        ({"ada@example.com": 1}.keys(), (BARE,)),
        (frozenset({"ada@example.com"}), (BARE,)),
    ],
)
def test_one_or_many_addresses_in_each_form(given, expected):
    assert recipients("to", given) == expected


@pytest.mark.parametrize("field", ["to", "cc", "bcc"])
def test_each_field_of_recipients_takes_a_generator(field):
    message = Message(
        subject="s",
        from_email="me@example.com",
        text="t",
        **{field: (f"{n}@example.com" for n in range(3))},
    )
    assert [each.email for each in getattr(message, field)] == [
        "0@example.com",
        "1@example.com",
        "2@example.com",
    ]
    assert message.recipients == ("0@example.com", "1@example.com", "2@example.com")


def test_recipients_are_to_then_cc_then_bcc():
    message = Message(
        subject="s",
        from_email="me@example.com",
        text="t",
        bcc="b@example.com",
        cc=["c@example.com"],
        to="t@example.com",
    )
    assert message.recipients == ("t@example.com", "c@example.com", "b@example.com")


@pytest.mark.parametrize(
    ("given", "field", "why"),
    [
        (None, "to", "must be an address or several, not NoneType"),
        (5, "to", "must be an address or several, not int"),
        (b"ada@example.com", "to", "must be an address or several, not bytes"),
        ({"ada@example.com": "Ada"}, "to", "must be an address or several, not dict"),
        (
            [5],
            "to[0]",
            "cannot read 5 as an address: give a str, a (name, address) pair or a Recipient",
        ),
        (["ada@example.com", ""], "to[1]", "'' has no @"),
        (
            ["ada@example.com", ("Ada", "b", "c@example.com")],
            "to[1]",
            "cannot read ('Ada', 'b', 'c@example.com') as an address",
        ),
        (
            [{"email": "ada@example.com"}],
            "to[0]",
            "cannot read {'email': 'ada@example.com'} as an address",
        ),
        (("Ada", "Bob"), "to[0]", "'Ada' has no @"),
        ([("Ada", None)], "to[0]", "must be a str, not NoneType"),
        ([(5, "ada@example.com")], "to[0]", "must be a str, not int"),
        (
            "Ada ada@example.com>",
            "to",
            "'Ada ada@example.com>' does not end in an address between < and >",
        ),
        ("ada@example.com, bob", "to", "'bob' has no @"),
        (["ada@example.com", "bob@example.com; eve"], "to[1]", "'eve' has no @"),
        (
            "Ada\r\nBcc: eve@example.com <ada@example.com>",
            "to",
            "has a control character (CR, LF or another) at position 3",
        ),
        (
            [("Ada\nBcc: eve@example.com", "ada@example.com")],
            "to[0]",
            "has a control character (CR, LF or another) at position 3",
        ),
        (
            [("Ada\0", "ada@example.com")],
            "to[0]",
            "has a control character (CR, LF or another) at position 3",
        ),
        (
            "ada@example.com\r\nBcc: eve@example.com",
            "to",
            "has a control character (CR, LF or another) at position 15",
        ),
        (
            "\ud800@example.com",
            "to",
            "has a lone surrogate at position 0, which no encoding can carry",
        ),
        (
            "ada@example.com, \ud800@example.com",
            "to",
            "has a lone surrogate at position 0, which no encoding can carry",
        ),
        (
            [("\udfff@example.com", "ada@example.com")],
            "to[0]",
            "has a lone surrogate at position 0, which no encoding can carry",
        ),
        (
            [("\udfff", "ada@example.com")],
            "to[0]",
            "has a lone surrogate at position 0, which no encoding can carry",
        ),
    ],
)
def test_an_invalid_address_names_its_field(given, field, why):
    with pytest.raises(UsageError) as caught:
        recipients("to", given)
    assert caught.value.field == field
    assert caught.value.explanation.startswith(f"{field}: {why}")


@pytest.mark.parametrize(
    "text",
    [
        "Ada <ada@example.com>, bob@example.com",
        "Ada <ada@example.com>; bob@example.com;",
        "Ada <ada@example.com> bob@example.com",
        "Ada <ada@example.com>bob@example.com",
        ", Ada <ada@example.com>,, bob@example.com ,",
        "Ada <ada@example.com>\nbob@example.com",
        "Ada <ada@example.com>,\r\nbob@example.com\r\n",
        "\nAda <ada@example.com>\n\n\tbob@example.com",
        "Ada <ada@example.com>;\vbob@example.com",
        "Ada <ada@example.com>\uff0cbob@example.com",
        "Ada <ada@example.com>\uff1b bob@example.com\uff1b",
        "Ada <ada@example.com>\u3001bob@example.com",
        "Ada <\ufeffada@example.com>, \u200bbob@example.com\u200b, ",
        '"Ada" <ada@example.com>\t<bob@example.com>',
    ],
)
def test_several_addresses_in_one_string(text):
    assert recipients("to", text) == (ADA, BOB)
    assert recipients("to", [text, BARE]) == (ADA, BOB, BARE)
    for read in (Recipient.parse, lambda text: recipient("from_email", text)):
        with pytest.raises(UsageError, match="lists several addresses, and only one can stand"):
            read(text)


@pytest.mark.parametrize(
    "text",
    [
        "Ada <ada@example.com>\r\nBcc: eve@example.com",
        "Ada <ada@example.com>\r\nBcc: <eve@example.com>",
        "ada@example.com,\nX-Header: Eve <eve@example.com>",
        "ada@example.com\n \tReply-To : eve@example.com <eve@example.com>",
        "Ada\n<ada@example.com>",
        "ada@example.com\r\n <ada@example.com>",
        "ada@example.com\x1cbob@example.com",
        "ada@example.com\0bob@example.com",
    ],
)
def test_a_line_end_that_separates_no_addresses_is_invalid(text):
    for read in (Recipient.parse, lambda text: recipients("to", [text])):
        with pytest.raises(UsageError, match="has a control character"):
            read(text)


def test_line_ends_around_one_address_are_removed():
    for text in ("ada@example.com\n", "\r\nada@example.com", "<ada@example.com>\n"):
        assert recipient("from_email", text) == BARE
    assert Recipient("ada@example.com\r\n", "Ada") == ADA


@pytest.mark.parametrize(
    "text",
    [
        '"ada@example.com","bob@example.com" <eve@example.com>',
        '"Ada <ada@example.com>, "Bob" <bob@example.com>',
        '"Ada <ada@example.com> "Bob" <bob@example.com>',
        '"Ada ada@example.com; "Bob" <bob@example.com>',
        'Ada "ada@example.com", Bob "bob@example.com" <eve@example.com>',
        "'ada@example.com', Bob <bob@example.com>",
        "(ada@example.com); Bob <bob@example.com>",
        "ada@example.com., Bob <bob@example.com>",
        "mailto:ada@example.com, Bob <bob@example.com>",
        "ada@example.com|Bob <bob@example.com>",
        "ada@example.com/<bob@example.com>",
        "ada@example.com: Bob <bob@example.com>",
        "<mailto:ada@example.com> Bob <bob@example.com>",
        "eve@example.com, a\u200bda@example.com, Bob <bob@example.com>",
    ],
)
def test_an_address_that_is_not_complete_does_not_get_lost_in_a_name(text):
    with pytest.raises(UsageError, match="seems to have another address before <") as caught:
        recipients("to", text)
    assert caught.value.advice.startswith("separate addresses by commas; put a name")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Billing, Inc. <ada@example.com>", "Billing, Inc."),
        ("ada@example.com <ada@example.com>", "ada@example.com"),
        ("eve@example.com<ada@example.com>", "eve@example.com"),
        ('"eve@example.com, Bob" <ada@example.com>', "eve@example.com, Bob"),
        ("Ada; Bob, ada@ work <ada@example.com>", "Ada; Bob, ada@ work"),
        ("Ada <work> <ada@example.com>", "Ada <work>"),
        ('5" disk, 3" disk <ada@example.com>', '5" disk, 3" disk'),
        ("Ada (ada@home.example) <ada@example.com>", "Ada (ada@home.example)"),
        ("Inc., 'ada@home.example' <ada@example.com>", "Inc., 'ada@home.example'"),
    ],
)
def test_commas_and_brackets_in_a_display_name_add_no_recipient(text, name):
    assert recipients("to", text) == (Recipient("ada@example.com", name),)


SEPARATORS = st.sampled_from(
    [",", ";", " ", "\t", ", ", " ; ", ",,", " , ", ",\n", "\r\n;", "\uff0c", "\u3001\n"]
)


@given(st.data())
def test_no_list_loses_a_recipient(data):
    written = data.draw(
        st.lists(st.builds(Recipient, EMAILS, st.none() | NAMES | AWKWARD), min_size=1, max_size=5)
    )
    text = str(written[0])
    for each in written[1:]:
        # After a bare address, white space before <...> makes it a name.
        text += data.draw(SEPARATORS.filter(lambda separator: separator.strip())) + str(each)
    assert recipients("to", text) == tuple(written)


WORDS = st.sampled_from(["Ada", "Inc.", "Billing,", "at@", "(work)", "O'Neil", "Zoë;", "a.b", '5"'])


@given(st.data())
def test_no_list_as_people_write_it_loses_a_recipient(data):
    """Names without quotes, each after a mailbox whose end is clear."""
    mailboxes = data.draw(
        st.lists(st.tuples(EMAILS, st.lists(WORDS, max_size=3)), min_size=1, max_size=5)
    )
    text = ""
    for email, words in mailboxes:
        if text:
            # After a bare address, white space before <...> makes it a name.
            ended = text.endswith(">")
            text += data.draw(SEPARATORS.filter(lambda text, ended=ended: ended or text.strip()))
        text += f"{' '.join(words)} <{email}>" if words else email
    emails = [email for email, _ in mailboxes]
    assert [each.email for each in recipients("to", text)] == emails
    several = recipients("to", [text, "last@example.com"])
    assert [each.email for each in several] == [*emails, "last@example.com"]


@pytest.mark.parametrize(
    ("email", "code"),
    [
        ("a\u200bda@example.com", "U+200B"),
        ("ada@exam\u00adple.com", "U+00AD"),
        ("ada@\u202eexample.com", "U+202E"),
        ("jos\ufffd@example.com", "U+FFFD"),
        ("ada\ue000@example.com", "U+E000"),
        ("ada\uffff@example.com", "U+FFFF"),
        ("ada@ex\U000e0001ample.com", "U+E0001"),
        ("\u2018ada@example.com\u2019", "U+2018"),
        ("ad\u3164a@example.com", "U+3164"),
        ("ada\uff0cbob@example.com", "U+FF0C"),
    ],
)
def test_invisible_characters_are_named(email, code):
    with pytest.raises(UsageError, match=re.escape(code)):
        Recipient(email)


@pytest.mark.parametrize(
    "remains", ["\u00a0", "\ufeff", "\u200b", "\u202a", "\u2069", "\u00ad", "\u00a0\ufeff "]
)
def test_invisible_remains_at_the_ends_are_removed(remains):
    assert Recipient(f"{remains}ada@example.com{remains}", f"{remains}Ada{remains}") == ADA
    assert recipients("to", f"{remains}ada@example.com{remains}") == (BARE,)
    assert recipients("to", f"Ada <ada@example.com>{remains}") == (ADA,)
    bob = Recipient("bob@example.com")
    assert recipients("to", f"ada@example.com{remains}, {remains}, bob@example.com,{remains}") == (
        BARE,
        bob,
    )


def test_the_time_to_trim_grows_with_the_length_alone():
    name = f"é{' ' * 30_000}x"
    began = time.process_time()
    assert recipients("to", f"{name} <ada@example.com>")[0].name == name
    assert time.process_time() - began < 5


def test_names_keep_joiners_but_no_bidi_controls():
    for name in ("نامه\u200cای", "👩\u200d💻", "❤\ufe0f"):
        assert Recipient("ada@example.com", name).name == name
    with pytest.raises(UsageError, match=r"U\+202E .* at position 1") as caught:
        Recipient("ada@example.com", "A\u202eb")
    assert caught.value.field == "name"


@pytest.mark.parametrize("field", ["from_email", "to", "cc", "bcc", "reply_to"])
def test_a_message_names_the_field_of_an_invalid_address(field):
    fields = {
        "subject": "s",
        "from_email": "me@example.com",
        "to": "ada@example.com",
        "text": "t",
        field: "nobody",
    }
    with pytest.raises(UsageError) as caught:
        Message(**fields)
    assert (caught.value.field, caught.value.mail_state) == (field, "not_sent")
    assert str(caught.value) == f"not sent: {field}: 'nobody' has no @"


@pytest.mark.parametrize(
    "email",
    [
        "a@b",
        "a@localhost",
        "ada.lovelace+tag@mail.example.co.uk",
        "!#$%&'*+/=?^_`{|}~-@example.com",
        '"ada lovelace"@example.com',
        '"a@b"@example.com',
        '"a\\"b"@example.com',
        '""@example.com',
        "ada@[192.0.2.1]",
        "ada@[IPv6:2001:db8::1]",
        "ada@_dmarc.example.com",
        "ada@1.2.3",
        "ada@xn--bcher-kva.example",
        "ada@bücher.example",
        "jörg@example.com",
        "用户@例え.jp",
        "δοκιμή@παράδειγμα.δοκιμή",
        "अजय@डाटा.भारत",
        "😀@example.com",
        f"{'a' * 64}@example.com",
        f"{'ü' * 32}@example.com",
        f"ada@{'a' * 63}.com",
        f"ada@{'.'.join(['a' * 62] * 3)}.{'b' * 61}",
    ],
)
def test_valid_addresses_are_not_changed(email):
    assert Recipient(email).email == email
    assert Recipient.parse(f"Ada <{email}>") == Recipient(email, "Ada")


@pytest.mark.parametrize(
    ("email", "why"),
    [
        ("", "has no @"),
        ("   ", "has no @"),
        ("ada", "has no @"),
        ("ada＠example.com", "has no @"),
        ("@", "has nothing after the @"),
        ("@example.com", "has nothing before the @"),
        ("ada@", "has nothing after the @"),
        ("ada lovelace@example.com", "has a space"),
        ("ada@exam ple.com", "has a space"),
        ("ada\tlovelace@example.com", "has a space"),
        ("ada\u00a0@example.com", "has a space"),
        ("ada@example.com\u2028x", "has a space"),
        ("ada@@example.com", "has no valid local part before the @"),
        ("a@b@example.com", "has no valid local part before the @"),
        (".ada@example.com", "has no valid local part before the @"),
        ("ada.@example.com", "has no valid local part before the @"),
        ("ada..lovelace@example.com", "has no valid local part before the @"),
        ('ada"@example.com', "has no valid local part before the @"),
        ('"ada@example.com', "has no valid local part before the @"),
        ('"ada"x@example.com', "has no valid local part before the @"),
        ('"ada\\"@example.com', "has no valid local part before the @"),
        ("ada,bob@example.com", "has no valid local part before the @"),
        ("ada(comment)@example.com", "has no valid local part before the @"),
        ("<ada@example.com", "has no valid local part before the @"),
        ("ada;bob@example.com", "has no valid local part before the @"),
        ("mailto:ada@example.com", "has no valid local part before the @"),
        ("ada\\@example.com", "has no valid local part before the @"),
        ("ada@.example.com", "has no valid domain after the @"),
        ("ada@example.com.", "has no valid domain after the @"),
        ("ada@example..com", "has no valid domain after the @"),
        ("ada@-example.com", "has no valid domain after the @"),
        ("ada@example-.com", "has no valid domain after the @"),
        ("ada@example.-com", "has no valid domain after the @"),
        ("ada@example.com-", "has no valid domain after the @"),
        ("ada@exam!ple.com", "has no valid domain after the @"),
        ("ada@example.com>", "has no valid domain after the @"),
        ("ada@example.com,", "has no valid domain after the @"),
        ("ada@[192.0.2.1", "has no valid domain after the @"),
        ("ada@192.0.2.1]", "has no valid domain after the @"),
        ("ada@[]", "has no valid domain after the @"),
        (f"ada@{'a' * 64}.com", "has no valid domain after the @"),
        (f"ada@x.{'ü' * 64}", "has no valid domain after the @"),
        (f"{'a' * 65}@example.com", "has more than 64 bytes before the @"),
        (f"{'ü' * 33}@example.com", "has more than 64 bytes before the @"),
        (f"ada@{'.'.join(['a' * 62] * 3)}.{'b' * 62}", "is longer than 254 bytes"),
    ],
)
def test_invalid_addresses_say_why(email, why):
    with pytest.raises(UsageError) as caught:
        Recipient(email)
    assert (caught.value.field, caught.value.mail_state) == ("email", "not_sent")
    assert caught.value.explanation == f"email: {email.strip()!r} {why}"


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("ada@example.com|bob@example.com", "separate several addresses by commas"),
        ("ada@example.com/bob@example.com", "separate several addresses by commas"),
        ("mailto:ada@example.com", "leave out mailto:"),
        ("Ada <mailto:ada@example.com>", "leave out mailto:"),
        ("ada@example.com (Ada)", "write the name first: Ada <ada@example.com>"),
        ("Ada Lovelace ada@example.com", "write the address after a name between < and >"),
        ("'ada@example.com'", "leave out the quotation marks"),
        ("\u201cada@example.com\u201d", "leave out the quotation marks"),
        ("ada\uff20example.com", "write @ in place of the wide at sign"),
        ("ada@example.com.", "leave out the dot at the end"),
        ("ada\u200b@example.com", ""),
        ("ada@-example.com", ""),
        ("ada", ""),
    ],
)
def test_the_error_of_a_common_mistake_says_how_to_write_it(text, advice):
    with pytest.raises(UsageError) as caught:
        recipients("to", text)
    assert caught.value.advice == advice


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("field", ["email", "name"])
def test_no_control_character_in_either_part(field, control):
    parts = {"email": "ada@example.com", "name": "Ada"}
    parts[field] = parts[field][:2] + control + parts[field][2:]
    with pytest.raises(UsageError, match="has a control character .* at position 2") as caught:
        Recipient(**parts)
    assert caught.value.field == field


@settings(max_examples=300)
@given(before=NAMES, control=st.sampled_from(CONTROLS), after=NAMES | st.just(""))
@example(before="0", control="\r", after="")
@example(before="", control="\n", after="")
def test_no_control_character_in_a_name_even_at_its_ends(before, control, after):
    name = f"{before}{control}{after}"
    for read in (
        lambda: Recipient("ada@example.com", name),
        lambda: recipient("to", (name, "ada@example.com")),
        lambda: recipients("to", [(name, "ada@example.com")]),
    ):
        with pytest.raises(UsageError, match="has a control character") as caught:
            read()
        assert caught.value.reason.endswith(f"at position {len(before)}")


@given(name=NAMES, ends=st.text(" \t\u00a0\u3000"))
def test_blanks_around_a_name_are_removed(name, ends):
    assert Recipient("ada@example.com", f"{ends}{name}{ends}") == Recipient("ada@example.com", name)


@pytest.mark.parametrize("name", [None, "", "  ", "\u00a0"])
def test_an_empty_name_is_no_name(name):
    assert Recipient("ada@example.com", name).name is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (None, "ada@example.com"),
        ("Ada Lovelace", "Ada Lovelace <ada@example.com>"),
        ("José Ñ 例え", "José Ñ 例え <ada@example.com>"),
        ("Lovelace, Ada", '"Lovelace, Ada" <ada@example.com>'),
        ("A. Lovelace", '"A. Lovelace" <ada@example.com>'),
        ('Ada "C" \\', '"Ada \\"C\\" \\\\" <ada@example.com>'),
    ],
)
def test_str_quotes_what_needs_quotes(name, text):
    assert str(Recipient("ada@example.com", name)) == text


@given(email=EMAILS, name=st.none() | NAMES | AWKWARD)
@example(email='"a<b"@x', name='"foo<')
@example(email='"@b"@x', name="foo<")
def test_parse_reads_what_str_writes(email, name):
    written = Recipient(email, name)
    assert Recipient.parse(str(written)) == written
    assert recipients("to", str(written)) == (written,)


@given(st.text() | AWKWARD | EMAILS)
def test_any_text_is_an_address_or_a_usage_error(text):
    for read in (Recipient, Recipient.parse):
        try:
            accepted = read(text)
        except UsageError as error:
            assert error.field in ("email", "name")
        else:
            assert not re.search(r"[\r\n\0]", str(accepted))


@given(
    st.from_regex(r"[a-z.\-+_%]{1,6}@[a-z.\-]{1,10}", fullmatch=True)
    | st.from_regex(r"a{60,66}@b{60,66}\.c", fullmatch=True)
)
def test_the_fast_pattern_decides_as_the_exact_check(address):
    verdict = address_module._unusable(address)
    with patch.object(address_module, "_PLAIN", re.compile(r"(?!)")):
        assert address_module._unusable(address) == verdict


def test_a_pair_of_two_addresses_is_invalid():
    """Taken for a name and an address, one of the two would get nothing."""
    with pytest.raises(
        UsageError, match="cannot tell which of .* is the name .*give two addresses"
    ) as caught:
        Message(
            subject="Hi",
            from_email="me@example.com",
            to=[("ada@example.com", "grace@example.com")],
            text="Hello",
        )
    assert caught.value.field == "to[0]"


@pytest.mark.parametrize(
    "name", ["Zoë", "Müller, Jörg", "山田 太郎 " * 20, "a@example.org>", '"x" \\', "=?utf-8?q?x?="]
)
@pytest.mark.parametrize(
    "encode",
    [
        lambda name: Header(name, "utf-8").encode(),
        lambda name: Header(Header(name, "utf-8").encode(), "utf-8").encode(),
        lambda name: make_header([(name[:3], "utf-16"), (name[3:], "utf-8")]).encode(),
    ],
)
def test_a_name_that_is_encoded_already_is_decoded(name, encode):
    shown = decode_words(name).strip()
    encoded = encode(name)
    assert Recipient("ada@example.com", encoded).name == shown
    assert recipients("to", [(encoded, "ada@example.com")])[0].name == shown
    assert recipients("to", formataddr((name, "ada@example.com")))[0].name == shown
    folded = encoded.replace("\n", "\r\n")
    assert Recipient("ada@example.com", folded).name == shown
    one_line = encoded.replace("\n", "")
    (read,) = recipients("to", f"{one_line} <ada@example.com>")
    assert (read.email, read.name) == ("ada@example.com", shown)
    assert recipients("to", str(read)) == (read,)


def test_a_word_that_cannot_be_decoded_stays():
    for name in ("=?utf-8?q?=FF?=", "=?utf-8?x?y?=", "a =?utf-8?q?=C3", "=?utf-8?b?é?="):
        assert Recipient("ada@example.com", name).name == name
    with pytest.raises(UsageError, match="control character"):
        Recipient("ada@example.com", "=?utf-8?q?a=0D=0ABcc:_b?=")
