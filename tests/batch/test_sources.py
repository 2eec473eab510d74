"""CSV and JSON Lines."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poweremail import ConfigurationError, Message, Recipient, TemplateMessage, UsageError
from poweremail.batch import BadEntry, Entry, read_csv, read_json_lines

COMMON = {"template_id": "t1", "subject": "News", "from_email": "me@example.com"}


@pytest.fixture
def csv_file(tmp_path):
    def write(content: str | bytes, common=COMMON, **options):
        path = tmp_path / "r.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return list(read_csv(path, **common, **options))

    return write


@pytest.fixture
def lines_file(tmp_path):
    def write(*rows, **options):
        path = tmp_path / "r.jsonl"
        path.write_text(
            "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
        )
        return list(read_json_lines(path, **options))

    return write


def test_columns_become_recipient_and_dynamic_values(csv_file):
    (entry,) = csv_file("\ufeffemail,name,NAME, CODE ,key\r\nada@example.com,Ada,A,1,k1\r\n")
    assert isinstance(entry, Entry)
    assert (entry.key, entry.line, entry.source.endswith("r.csv")) == ("k1", 2, True)
    assert isinstance(entry.message, TemplateMessage)
    assert str(entry.message.to[0]) == "Ada <ada@example.com>"
    assert dict(entry.message.dynamic_value) == {"name": "Ada", "NAME": "A", "CODE": "1"}


@pytest.mark.parametrize(
    ("text", "options", "lines"),
    [
        ("email,NAME,,\na@example.com,A,,\nb@example.com,B\n", {}, [2, 3]),
        ("email,NAME\na@example.com,A,,,\n,\n , \n\nb@example.com,B\n", {}, [2, 6]),
        ("\n,\r\nemail,NAME\na@example.com,A\nb@example.com,B\n", {}, [4, 5]),
        ("sep=;\nemail;NAME\na@example.com;A\nb@example.com;B\n", {}, [3, 4]),
        ("\ufeffSEP=,\r\nemail,NAME\na@example.com,A\nb@example.com,B\n", {}, [3, 4]),
        ('"sep=|"\nemail;NAME\na@example.com;A\nb@example.com;B\n', {"delimiter": ";"}, [3, 4]),
    ],
)
def test_tables_of_spreadsheets_are_read(csv_file, text, options, lines):
    first, second = csv_file(text, **options)
    assert [first.line, second.line] == lines
    assert [dict(each.message.dynamic_value) for each in (first, second)] == [
        {"NAME": "A"},
        {"NAME": "B"},
    ]
    assert (first.message.recipients, second.message.recipients) == (
        ("a@example.com",),
        ("b@example.com",),
    )


def test_a_cell_without_a_column_is_not_dropped(csv_file):
    (bad,) = csv_file("email,NAME\na@example.com,A,,more\n")
    assert bad.error.explanation == "row: the row has 4 columns, the header has 2"


def test_columns_with_the_names_of_fields(csv_file):
    (entry,) = csv_file(
        "address;cc;subject;x\na@example.com;b@example.com;Hello;1\n",
        {"template_id": "t1", "from_email": "me@example.com"},
        email="address",
        delimiter=";",
        reply_to="r@example.com",
    )
    assert (entry.message.subject, entry.message.recipients) == (
        "Hello",
        ("a@example.com", "b@example.com"),
    )
    assert entry.message.reply_to[0].email == "r@example.com"
    (several,) = csv_file("to,x\na@example.com; b@example.com,1\n")
    assert several.message.recipients == ("a@example.com", "b@example.com")


def test_requests_to_the_service_may_differ_by_row(csv_file, lines_file):
    rows = csv_file(
        "email,auto_text,auto_html,signing_domain,return_path_domain\n"
        "a@example.com,Yes,no,sign.example.com,b.example.com\n"
        "b@example.com,,,,\n"
        "c@example.com,perhaps,,,\n"
        "d@example.com,,,not a domain,\n"
    )
    assert rows[0].message.option_headers() == {
        "X-STes-Autotext": "yes",
        "X-STes-AutoHtml": "no",
        "X-STes-SigningDomain": "sign.example.com",
        "X-STes-ReturnPathDomain": "b.example.com",
    }
    assert dict(rows[0].message.dynamic_value) == {}
    assert rows[1].message.option_headers() == {}
    assert [(each.error.field, each.line) for each in rows[2:]] == [
        ("auto_text", 4),
        ("signing_domain", 5),
    ]
    common = COMMON | {"signing_domain": "sign.example.com", "auto_text": True}
    (own, shared) = lines_file(
        {"email": "a@example.com", "auto_text": False}, {"email": "b@example.com"}, **common
    )
    assert own.message.option_headers()["X-STes-Autotext"] == "no"
    assert shared.message.option_headers()["X-STes-Autotext"] == "yes"


def test_a_bad_row_fails_alone_with_its_line(csv_file):
    text = (
        'email,NAME\nada@example.com,"two\nlines"\nnobody,x\n'
        'a@example.com\n\n,x\nb@example.com,"y"\n'
    )
    got = csv_file(text)
    assert [(type(each).__name__, each.line) for each in got] == [
        ("Entry", 2),
        ("BadEntry", 4),
        ("BadEntry", 5),
        ("BadEntry", 7),
        ("Entry", 8),
    ]
    assert [each.error.explanation for each in got if isinstance(each, BadEntry)] == [
        "to[0]: 'nobody' has no @",
        "row: the row has 1 columns, the header has 2",
        "to: is missing",
    ]
    assert got[1].recipient == "nobody"


def test_invalid_utf_8_and_invalid_csv_rows(csv_file):
    got = csv_file(b"email,NAME\na@example.com,\xff\nb@example.com,b\n")
    assert [type(each).__name__ for each in got] == ["BadEntry", "Entry"]
    assert (got[0].line, got[0].error.explanation) == (
        2,
        "row: is not UTF-8: the byte 0xFF is no text",
    )
    got = csv_file('email,NAME\na@example.com,"x"y\nb@example.com,b\n')
    assert [type(each).__name__ for each in got] == ["BadEntry", "Entry"]
    assert "is not CSV" in got[0].error.explanation


def test_a_file_in_latin_1_is_reported_as_not_utf_8(csv_file, tmp_path):
    (bad,) = csv_file("email,NAME\na@example.com,René\n".encode("latin-1"))
    assert (bad.line, bad.error.explanation) == (2, "row: is not UTF-8: the byte 0xE9 is no text")
    with pytest.raises(UsageError, match="line 1: .*is not UTF-8: the byte 0xE9") as caught:
        csv_file(
            "email,PRÉNOM,prénom\na@example.com,x,y\n".encode("latin-1").replace(b"\xc9", b"E")
        )
    assert "UTF-8" in caught.value.advice
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"email": "a@example.com"}\n{"email": "a@example.com", "NAME": "Ren\xe9"}\n')
    first, second = read_json_lines(path, **COMMON)
    assert isinstance(first, Entry)
    assert (second.line, second.error.explanation) == (
        2,
        "row: is not UTF-8: the byte 0xE9 is no text",
    )


@pytest.mark.parametrize("quote", ["", '"'])
def test_nothing_is_read_after_a_cell_that_is_too_large(tmp_path, quote):
    path = tmp_path / "r.csv"
    inner = "\nc@example.com,swallowed\n" if quote else ""
    path.write_text(
        "email,NAME\na@example.com,A\n"
        f"b@example.com,{quote}{'x' * 200_000}{inner}{quote}\nd@example.com,D\n"
    )
    rows = read_csv(path, **COMMON)
    assert isinstance(next(rows), Entry)
    with pytest.raises(
        UsageError,
        match="in line 3 has a cell of more than 131,072 characters.*nothing that follows",
    ):
        next(rows)
    assert list(rows) == []


def test_without_a_template_dynamic_values_would_be_lost(csv_file):
    plain = {"subject": "News", "from_email": "me@example.com", "text": "Hello {{NAME}}"}
    (bad,) = csv_file("email,NAME\na@example.com,A\n", plain)
    assert "NAME: only a template has dynamic values" in bad.error.explanation
    (good,) = csv_file("email,name\na@example.com,A\n", plain)
    assert isinstance(good.message, Message)


@pytest.mark.parametrize("text", ["", "\n", "email,email\n"])
def test_files_without_columns(csv_file, text):
    with pytest.raises(UsageError, match="columns"):
        csv_file(text)


def test_files_that_cannot_be_read(tmp_path):
    for read in (read_csv, read_json_lines):
        for path in (tmp_path / "nope", tmp_path, 10_000, "a\0b"):
            with pytest.raises(UsageError, match="cannot read"):
                list(read(path))


def test_files_of_one_name_in_two_directories_are_two_sources(tmp_path, monkeypatch):
    sources = []
    for directory in (tmp_path / "a", tmp_path / "b"):
        directory.mkdir()
        monkeypatch.chdir(directory)
        for name, read in (("r.csv", read_csv), ("r.jsonl", read_json_lines)):
            (directory / name).write_text('email,name\n"x\n')
            sources.append({entry.source for entry in read(name, **COMMON)})
            assert sources[-1] == {str(directory / name)}
    with pytest.raises(UsageError, match="^path: 'e.csv' has no line"):
        (directory / "e.csv").write_text("")
        list(read_csv("e.csv"))


def test_json_lines_are_read(lines_file, tmp_path):
    (tmp_path / "a.txt").write_text("x")
    got = lines_file(
        {"email": "a@example.com", "name": "Ada", "CODE": 7, "key": 1},
        {
            "to": ["a@example.com", "b@example.com"],
            "dynamic_value": {"A": "1"},
            "tracking": {"opens": True},
            "subject": "Own",
        },
        "",
        {
            "to": "a@example.com",
            "attachments": [{"path": str(tmp_path / "a.txt")}, {"name": "b", "content": "eA=="}],
        },
        {"to": "a@example.com", "headers": {"X-A": "1"}, "unique_id": "u1"},
        **COMMON,
    )
    assert [each.line for each in got] == [1, 2, 4, 5]
    assert (got[0].key, dict(got[0].message.dynamic_value)) == ("1", {"name": "Ada", "CODE": "7"})
    assert (got[1].message.subject, len(got[1].message.to), got[1].message.tracking.opens) == (
        "Own",
        2,
        True,
    )
    assert [each.name for each in got[2].message.attachments] == ["a.txt", "b"]
    assert (got[3].message.unique_id, dict(got[3].message.headers)) == ("u1", {"X-A": "1"})


def test_invalid_json_lines(lines_file):
    got = lines_file(
        "{",
        [1],
        {"email": "a@example.com", "attachments": [{"url": "x"}]},
        {"email": "a@example.com", "tracking": {"colour": 1}},
        {"email": 3},
        {"email": "a@example.com", "dynamic_value": 3},
        {"email": "a@example.com", "attachments": 3},
        **COMMON,
    )
    assert [(each.line, each.error.explanation) for each in got] == [
        (1, "row: the line is not JSON: it ends too early"),
        (2, "row: the line is not a JSON object"),
        (3, "attachments: must have a path, or name and content, and nothing unknown"),
        (4, "tracking: it has no colour"),
        (
            5,
            "to[0]: cannot read 3 as an address: give a str, a (name, address) pair or a Recipient",
        ),
        (6, "dynamic_value: must be an object, not int"),
        (7, "attachments: must be a list, not int"),
    ]


def test_a_row_of_one_kind_of_mail_with_members_of_the_other(lines_file):
    (bad,) = lines_file({"email": "a@example.com", "html": "<p>", "text": "x"}, **COMMON)
    assert bad.error.explanation == "row: a mail with a template has no html and no text"
    (bad,) = lines_file(
        {"email": "a@example.com", "text": "x", "dynamic_value": {}},
        subject="s",
        from_email="me@example.com",
    )
    assert bad.error.explanation == "row: a mail without a template has no dynamic_value"
    with pytest.raises(UsageError, match="no mail has colour"):
        lines_file({"email": "a@example.com"}, colour="red", **COMMON)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
names = st.sampled_from(
    [
        "email",
        "to",
        "cc",
        "name",
        "key",
        "headers",
        "attachments",
        "tracking",
        "dynamic_value",
        "html",
        "subject",
        "template_id",
        "A",
    ]
)


@given(row=st.dictionaries(names, values, max_size=6))
def test_any_object_is_a_mail_or_an_error(row, tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "r.jsonl"
    path.write_text(json.dumps({"email": "a@example.com"} | row))
    for common in (COMMON, {"subject": "News", "from_email": "me@example.com", "text": "Hello"}):
        (entry,) = read_json_lines(path, **common)
        if isinstance(entry, BadEntry):
            assert "__init__" not in entry.error.explanation
            assert "object is not" not in entry.error.explanation


def test_an_open_quotation_mark_is_an_error(csv_file):
    (bad,) = csv_file('email,NAME\na@example.com,"Bob\nb@example.com,Carl\nc@example.com,Dora\n')
    assert (bad.line, bad.error.explanation) == (
        2,
        "row: the lines up to 4 are not CSV: unexpected end of data",
    )
    bad, good = csv_file(
        'email,NAME\na@example.com,"Bob\nb@example.com,"Carl"\nc@example.com,Dora\n'
    )
    assert (bad.line, "the lines up to 3" in bad.error.explanation) == (2, True)
    assert good.message.recipients == ("c@example.com",)
    bad, good = csv_file('email,NAME\na@example.com,"B"ob\nb@example.com,"C ""the"" D"\n')
    assert (bad.line, bad.error.explanation.startswith("row: the row is not CSV")) == (2, True)
    assert good.message.dynamic_value["NAME"] == 'C "the" D'


def test_a_file_without_addresses_is_an_error(csv_file):
    with pytest.raises(UsageError, match="has no column 'email', only 'email;NAME'"):
        csv_file("email;NAME\na@example.com;A\n")
    (entry,) = csv_file("NAME\nA\n", to="a@example.com")
    assert entry.message.recipients == ("a@example.com",)
    for wrong in ("", ";;"):
        with pytest.raises(UsageError, match="delimiter: must be one character"):
            csv_file("email\na@example.com\n", delimiter=wrong)


def test_an_empty_cell_is_an_empty_value_of_the_template_and_no_field(csv_file):
    (entry,) = csv_file("email,name,NICK,subject,cc,\na@example.com,,,,,\n")
    assert dict(entry.message.dynamic_value) == {"name": "", "NICK": ""}
    assert (entry.message.subject, entry.message.recipients) == ("News", ("a@example.com",))
    (plain,) = csv_file(
        "email,NICK\na@example.com,\n",
        {"text": "x", "subject": "s", "from_email": "me@example.com"},
    )
    assert isinstance(plain.message, Message)


def keys_of(entries) -> list[str | None]:
    assert [each for each in entries if isinstance(each, BadEntry)] == []
    return [each.key for each in entries]


@pytest.mark.parametrize("blank", [" ", "\t", "\u00a0", "\u202f", "\u200b", "\ufeff"])
def test_white_space_around_a_key_is_ignored(csv_file, lines_file, blank):
    got = csv_file(f"id,email\n17,a@example.com\n17{blank},a@example.com\n", key="id")
    assert keys_of(got) == ["17", "17"]
    got = lines_file(
        {"email": "a@example.com", "key": f"{blank}k 1{blank}"},
        {"email": "a@example.com", "key": 17},
        **COMMON,
    )
    assert keys_of(got) == ["k 1", "17"]
    assert Entry(message=got[0].message, key=f"{blank}k").key == "k"
    with pytest.raises(UsageError, match="must be a string that is not empty"):
        Entry(message=got[0].message, key=blank)


@pytest.mark.parametrize(
    ("cell", "key"),
    [
        ("ada@example.com", "ada@example.com"),
        ("\u00a0ada@example.com ", "ada@example.com"),
        ("Ada <ada@example.com>", "ada@example.com"),
        ('"""Lovelace, Ada"" <ada@example.com>"', "ada@example.com"),
        ("bob@example.com; Ada <ada@example.com>", "ada@example.com,bob@example.com"),
        ('"ada@example.com, bob@example.com"', "ada@example.com,bob@example.com"),
        ('"ada@example.com, Ada <ada@example.com>"', "ada@example.com"),
        ("Ada@Example.com", "Ada@Example.com"),
    ],
)
@pytest.mark.parametrize("column", ["email", "to"])
def test_the_column_of_the_addresses_can_be_the_key(csv_file, column, cell, key):
    got = csv_file(f"{column},NAME\n{cell},A\n", key=column)
    assert keys_of(got) == [key]
    assert set(got[0].message.recipients) == set(key.split(","))
    got = csv_file(f"{column},NAME\n{cell},A\n", key=column, fold_case=True)
    assert keys_of(got) == [key.lower()]


def test_fold_case_ignores_the_case_of_keys(csv_file):
    text = "id,email\nA1,a@example.com\na1,a@example.com\n"
    assert keys_of(csv_file(text, key="id")) == ["A1", "a1"]
    assert keys_of(csv_file(text, key="id", fold_case=True)) == ["a1", "a1"]


@pytest.mark.parametrize(
    ("cell", "name", "recipients"),
    [
        ("Ada Lovelace <ada@example.com>", "Ada", ["Ada <ada@example.com>"]),
        ("ada@example.com", "Ada", ["Ada <ada@example.com>"]),
        ("Ada <ada@example.com>", "", ["Ada <ada@example.com>"]),
        (
            "Bob <b@example.com>; ada@example.com",
            "Ada",
            ["Bob <b@example.com>", "ada@example.com"],
        ),
    ],
)
def test_a_whole_mailbox_beside_a_name(csv_file, cell, name, recipients):
    (entry,) = csv_file(f"email,name\n{cell},{name}\n")
    assert list(map(str, entry.message.to)) == recipients
    assert entry.message.dynamic_value == {"name": name}


def test_an_empty_cell_of_a_column_that_is_called_like_a_field(csv_file):
    header = "email,subject,cc,reply_to,unique_id,key,tracking,headers"
    (entry,) = csv_file(f"{header}\na@example.com, ,\u00a0,,,\u00a0,,\n")
    assert isinstance(entry, Entry)
    assert (entry.key, entry.message.subject, entry.message.cc) == (None, "News", ())
    # CSV has no field of these names: they are dynamic values like any other.
    assert entry.message.dynamic_value == {"tracking": "", "headers": ""}


@pytest.mark.parametrize("text", ["\ufeff\ufeffemail,A\n", "\u200bemail\u00a0,A\u200b\n"])
def test_invisible_characters_around_the_name_of_a_column_do_not_count(csv_file, text):
    (entry,) = csv_file(f"{text}a@example.com,1\n")
    assert (entry.message.recipients, entry.message.dynamic_value) == (
        ("a@example.com",),
        {"A": "1"},
    )


def test_line_ends_in_a_cell_separate_addresses(csv_file):
    rows = '"a@example.com\nb@example.com\n","Ada\n"\n"c@example.com\n","Carl\n"\n'
    two, one = csv_file(f"email,name\n{rows}")
    assert two.message.recipients == ("a@example.com", "b@example.com")
    assert one.message.to == (Recipient("c@example.com", "Carl"),)


@pytest.mark.parametrize("name", ["CC", "Cc", "BCC", "Bcc"])
def test_copies_in_a_column_of_another_case_are_not_dropped(csv_file, lines_file, name):
    bad, good = csv_file(f"email,{name}\na@example.com,b@example.com\nc@example.com,none\n")
    assert bad.error.reason == f"has addresses in {name!r}, which is no field"
    assert bad.error.advice == f"call it {name.lower()!r}"
    assert good.message.dynamic_value == {name: "none"}
    row = {"email": "a@example.com", name: ["b@example.com"]}
    (bad,) = lines_file(row, **COMMON)
    assert bad.error.reason == f"has addresses in {name!r}, which is no field"


def test_recipients_in_two_columns_are_not_dropped(csv_file, lines_file):
    bad, *good = csv_file(
        "email,to\na@example.com,b@example.com\nc@example.com,\n,d@example.com\n"
        "e@example.com,e@example.com\n"
    )
    assert bad.error.reason == "has recipients in 'email' and in 'to'"
    assert [each.message.recipients[0] for each in good] == [
        f"{name}@example.com" for name in "cde"
    ]
    (entry,) = csv_file("email,to\na@example.com,b@example.com\n", email="to")
    assert entry.message.recipients == ("b@example.com",)
    assert entry.message.dynamic_value == {"email": "a@example.com"}
    (bad,) = lines_file({"email": "a@example.com", "to": ["b@example.com"]}, **COMMON)
    assert bad.error.reason == "has recipients in 'email' and in 'to'"


def test_null_is_an_absent_member(lines_file):
    optional = (
        *("cc", "bcc", "reply_to", "headers", "attachments", "tracking", "unique_id"),
        *("dynamic_value", "template_id", "key", "name", "subject", "from_email"),
    )
    (entry,) = lines_file({"email": "a@example.com"} | dict.fromkeys(optional), **COMMON)
    (least,) = lines_file({"email": "a@example.com"}, **COMMON)
    assert (entry.message, entry.key) == (least.message, None)
    (to,) = lines_file({"email": None, "to": "a@example.com"}, **COMMON)
    assert to.message == least.message
    missing, value = lines_file({"email": None}, {"email": "a@example.com", "N": None}, **COMMON)
    assert missing.error.explanation == "to: is missing"
    assert value.error.explanation == "dynamic_value['N']: must be a str, not NoneType"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize(
    "member",
    ["email", "name", "key", "N", "subject", "cc", "unique_id", "text", "headers", "tracking"],
)
def test_nan_and_infinity_make_the_row_invalid(lines_file, number, member):
    rows = (f'{{"email": "a@example.com", "{member}": {number}}}', {"email": "b@example.com"})
    bad, good = lines_file(*rows, **COMMON)
    assert (bad.line, type(good)) == (1, Entry)


@pytest.mark.parametrize(
    ("start", "kind", "advice"),
    [
        (b"PK\x03\x04\x14\x00", "an Excel workbook (.xlsx)", "save it as CSV, UTF-8"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Excel workbook (.xls)", "save it as CSV, UTF-8"),
        (b"\n<html><table>", "HTML or XML", "save it as CSV, UTF-8"),
        (b"\x1f\x8b\x08\x00\n\n", "compressed by gzip", "gunzip"),
        (b"\xff\xfee\x00m\x00", "UTF-16 text", "iconv -f UTF-16 "),
        ("email,n\n".encode("utf-16-le"), "UTF-16 text", "iconv -f UTF-16LE "),
        ("email,n\n".encode("utf-16-be"), "UTF-16 text", "iconv -f UTF-16BE "),
        ("email,n\n".encode("utf-32"), "UTF-32 text", "iconv -f UTF-32 "),
        (b"PAR1\x15\x04\x15", "a Parquet file", "duckdb"),
        (b"%PDF-1.7", "a PDF", "CSV, UTF-8"),
        (b"SQLite format 3\x00\x10", "binary data", "save it as CSV, UTF-8"),
        (b' [\n {"email": "a@example.com"},', "one JSON array", "jq -c '.[]'"),
        (b"\xef\xbb\xbf[]", "one JSON array", "jq -c '.[]'"),
    ],
)
def test_files_in_another_format_are_rejected_with_advice(tmp_path, start, kind, advice):
    path = tmp_path / "rows"
    path.write_bytes(start + b"\n")
    for read, name in ((read_csv, "CSV"), (read_json_lines, "JSON Lines")):
        with pytest.raises(ConfigurationError) as caught:
            next(read(path, **COMMON))
        assert f"'{path}' is {kind}" in caught.value.explanation
        assert caught.value.explanation.endswith(f", not {name}")
        assert advice in caught.value.advice


def test_json_lines_passed_as_csv_are_rejected_with_advice(csv_file):
    with pytest.raises(ConfigurationError, match="is JSON, not CSV") as caught:
        csv_file('{"email": "a@example.com"}\n')
    assert "JSON Lines" in caught.value.advice


cells = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6).map(str.strip)
people = st.lists(st.tuples(st.sampled_from("abc"), cells), min_size=1, max_size=4)


@given(rows=people, quirks=st.data())
def test_a_table_saved_by_a_spreadsheet_gives_the_same_rows(rows, quirks, tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "r.csv"
    delimiter = quirks.draw(st.sampled_from(",;\t"))
    extra = quirks.draw(st.integers(0, 3))
    end = quirks.draw(st.sampled_from(["\n", "\r\n"]))
    blank = st.lists(st.sampled_from([[], [""], ["", " "], ["\u00a0", ""]]), max_size=2)
    lines = [*quirks.draw(blank), ["email", "NAME", *[""] * extra]]
    for name, value in rows:
        lines += [
            *quirks.draw(blank),
            [f"{name}@example.com", value, *[""] * quirks.draw(st.integers(0, extra + 2))],
        ]
    text = io.StringIO()
    quoting = quirks.draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(lines)
    separator = quirks.draw(st.booleans())
    head = f"sep={delimiter}{end}" if separator else ""
    bom = quirks.draw(st.sampled_from(["", "\ufeff"]))
    path.write_bytes(f"{bom}{head}{text.getvalue()}".encode())
    got = list(read_csv(path, **COMMON, delimiter="," if separator else delimiter))
    assert [(each.message.recipients, dict(each.message.dynamic_value)) for each in got] == [
        ((f"{name}@example.com",), {"NAME": value}) for name, value in rows
    ]


@pytest.mark.parametrize(
    "to",
    [
        "a@example.com",
        ("Ada", "a@example.com"),
        ("a@example.com", "b@example.com"),
        ("a@example.com", "b@example.com", "c@example.com"),
        Recipient("a@example.com"),
        [Recipient("a@example.com"), ("Bob", "b@example.com"), "Carl <c@example.com>"],
    ],
)
def test_recipients_shared_by_all_rows(csv_file, to):
    (entry,) = csv_file("NAME\nA\n", to=to)
    assert entry.message.to == Message(subject="s", from_email="m@example.com", to=to, text="x").to
