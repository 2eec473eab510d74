"""Attachments and images: where the content comes from, what it is called, and what its type is."""

from __future__ import annotations

import base64
import io
import mimetypes
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poweremail import Attachment, Image, UsageError
from poweremail._types.attachment import FileContent

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8


@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("report.pdf", "application/pdf"),
        ("REPORT.PDF", "application/pdf"),
        ("notes.txt", "text/plain"),
        ("page.html", "text/html"),
        ("photo.jpg", "image/jpeg"),
        ("report.v1.2.pdf", "application/pdf"),
        ("Rechnung März.pdf", "application/pdf"),
        ("a/b.pdf", "application/pdf"),
        ("report.tar.gz", "application/gzip"),
        ("notes.txt.gz", "application/gzip"),
        ("invite.ics", "text/calendar"),
        ("a.odt", "application/vnd.oasis.opendocument.text"),
        ("logo.webp", "image/webp"),
        ("README", "application/octet-stream"),
        (".pdf", "application/octet-stream"),
        ("x.unheard-of", "application/octet-stream"),
        # Names that would be read as URLs.
        ("http://[x.pdf", "application/pdf"),
        ("//[.pdf", "application/pdf"),
        ("data:no type/at all,.pdf", "application/pdf"),
        ("Q3: what? #1.pdf", "application/pdf"),
    ],
)
def test_the_type_is_guessed_from_the_name(name, type):
    assert Attachment(name, b"").type == type


def test_types_do_not_depend_on_the_machine(monkeypatch):
    """A slim container has no ``mime.types``; another machine has one that says anything."""
    monkeypatch.setattr(mimetypes, "_db", None)
    mimetypes.add_type("application/x-wrong", ".pdf")
    assert Attachment("a.pdf", b"").type == "application/pdf"
    assert Image("photo.jfif", b"?").type == "image/jpeg"


@pytest.mark.parametrize(
    "type", ["text/csv", "text/plain; charset=utf-8", "application/vnd.ms-excel", "image/svg+xml"]
)
def test_a_given_type_stands(type):
    assert Attachment("x.pdf", b"", type).type == type
    assert Attachment.from_bytes(b"", "x.pdf", type=type).type == type
    assert Attachment.from_base64("", "x.pdf", type=type).type == type


@pytest.mark.parametrize("content", [b"abc", bytearray(b"abc"), memoryview(b"abc")])
def test_content_is_kept_as_bytes(content):
    attachment = Attachment("x", content)
    assert attachment.content == b"abc"
    assert type(attachment.content) is bytes
    assert Attachment.from_bytes(content, "x") == attachment
    assert Image("x.png", content).content == b"abc"


def test_content_cannot_change_after_it_was_given():
    content = bytearray(b"abc")
    attachment = Attachment("x", content)
    content[0] = 0
    assert attachment.content == b"abc"


@pytest.mark.parametrize("content", ["abc", None, 5, [1]])
@pytest.mark.parametrize("kind", [Attachment, Image])
def test_content_that_is_not_bytes_is_invalid(kind, content):
    with pytest.raises(
        UsageError, match="from_path takes a path, from_base64 takes base64 text"
    ) as caught:
        kind("x.png", content)
    assert caught.value.field == "content"
    assert caught.value.explanation == f"content: must be bytes, not {type(content).__name__}"


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("ZXhhbXBsZSBmaWxl", b"example file"),
        (b"ZXhhbXBsZSBmaWxl", b"example file"),
        ("ZXhhbXBs\r\nZSBm\n aWxl\n", b"example file"),
        ("YQ==", b"a"),
        ("", b""),
    ],
)
def test_from_base64_decodes_its_text(text, content):
    assert Attachment.from_base64(text, "x").content == content
    assert Image.from_base64(text, "x.png").content == content


@pytest.mark.parametrize(
    "text",
    [
        "YQ",
        "YQ=",
        "Y",
        "====",
        "YQ==YQ==",
        "Y*Q=",
        "abc-_abc",
        "data:image/png;base64,YQ==",
        "YQ=ü",
        b"\xff",
        "\ud800",
    ],
)
@pytest.mark.parametrize("kind", [Attachment, Image])
def test_invalid_base64(kind, text):
    with pytest.raises(UsageError, match="^not sent: content: is not base64: ") as caught:
        kind.from_base64(text, "x.png")
    assert caught.value.field == "content"


@pytest.mark.parametrize("kind", [Attachment, Image])
def test_from_base64_rejects_other_types(kind):
    with pytest.raises(UsageError) as caught:
        kind.from_base64(None, "x.png")
    assert caught.value.explanation == "content: must be base64 as str or bytes, not NoneType"


@given(st.binary())
def test_base64_of_any_content_is_read_back(content):
    assert Attachment.from_base64(base64.encodebytes(content), "x").content == content


@pytest.mark.parametrize("convert", [str, lambda path: path])
def test_from_path_checks_the_file_and_does_not_read_it(tmp_path, convert):
    path = tmp_path / "report.pdf"
    path.write_bytes(b"x" * 1000)
    attachment = Attachment.from_path(convert(path))
    assert attachment == Attachment("report.pdf", FileContent(path, 1000), "application/pdf")
    assert attachment.content.size == 1000


def test_from_path_with_another_name_and_type(tmp_path):
    path = tmp_path / "tmp123"
    path.write_bytes(b"")
    assert Attachment.from_path(path, "a.csv", type="text/x") == Attachment(
        "a.csv", FileContent(path, 0), "text/x"
    )
    assert Attachment.from_path(path, name="a.txt").type == "text/plain"


def test_image_from_path(tmp_path):
    path = tmp_path / "logo.png"
    path.write_bytes(b"anything")
    assert Image.from_path(path) == Image("logo.png", FileContent(path, 8), "image/png")
    assert Image.from_path(path, cid="logo") == Image("logo", FileContent(path, 8), "image/png")
    assert Image.from_path(path, cid="logo", type="image/x").type == "image/x"


@pytest.mark.parametrize("kind", [Attachment, Image])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing.png", "No such file or directory"),
        ("directory", "is not a regular file"),
        ("pipe", "is not a regular file"),
        ("nul\0byte", "embedded null"),
        ("lone\udc00surrogate", "cannot read|surrogates not allowed"),
    ],
)
def test_from_path_rejects_what_is_not_a_file(tmp_path, kind, name, why):
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match=why) as caught:
        kind.from_path(tmp_path / name)
    assert (caught.value.field, caught.value.mail_state) == ("path", "not_sent")


@pytest.mark.parametrize("path", [None, 5, b"x"])
def test_from_path_rejects_what_is_not_a_path(path):
    with pytest.raises(UsageError) as caught:
        Attachment.from_path(path)
    assert caught.value.field == "path"


@pytest.fixture
def unreadable(tmp_path):
    """
    A file that may not be read; root may read everything, so for a moment it is somebody else.
    """
    path = tmp_path / "secret.txt"
    path.write_bytes(b"x")
    path.chmod(0)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield path
    os.seteuid(before)


def test_from_path_rejects_an_unreadable_file(unreadable):
    with pytest.raises(UsageError, match="Permission denied"):
        Attachment.from_path(unreadable)


@pytest.mark.parametrize(
    ("content", "cid", "type"),
    [
        (PNG, "logo", "image/png"),
        (b"\xff\xd8\xff\xe0", "logo", "image/jpeg"),
        (b"GIF89a", "logo", "image/gif"),
        (b"GIF87a", "logo", "image/gif"),
        (b"BM\0\0", "logo", "image/bmp"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "logo", "image/webp"),
        (PNG, "logo.jpg", "image/png"),
        (b"<svg/>", "logo.svg", "image/svg+xml"),
        (b"?", "logo.gif", "image/gif"),
    ],
)
def test_the_type_of_an_image_is_guessed_from_its_content_then_from_its_cid(content, cid, type):
    assert Image(cid, content).type == type
    assert Image.from_bytes(content, cid).type == type
    assert Image.from_base64(base64.b64encode(content), cid).type == type


def test_a_file_is_not_read_to_guess_its_type(tmp_path):
    (tmp_path / "picture").write_bytes(PNG)
    content = FileContent.of(tmp_path / "picture")
    assert Image("logo.gif", content).type == "image/gif"
    with pytest.raises(
        UsageError, match="image.type: 'application/octet-stream' does not begin with image/"
    ):
        Image("logo", content)


@pytest.mark.parametrize("type", ["image/png", "IMAGE/PNG", "image/png; x=y"])
def test_an_image_accepts_an_image_type(type):
    assert Image("x", b"", type).type == type
    assert Image.from_bytes(b"", "x", type=type).type == type
    assert Image.from_base64("", "x", type=type).type == type


@pytest.mark.parametrize(
    ("image", "type"),
    [
        (lambda: Image("x", b"", "text/plain"), "text/plain"),
        (lambda: Image("x", PNG, "application/pdf"), "application/pdf"),
        (lambda: Image("x", b"?"), "application/octet-stream"),
        (lambda: Image("x.pdf", b"?"), "application/pdf"),
        (lambda: Image("x", b"RIFF\0\0\0\0WAVE"), "application/octet-stream"),
    ],
)
def test_an_image_rejects_any_other_type(image, type):
    with pytest.raises(UsageError) as caught:
        image()
    assert caught.value.field == "image.type"
    assert str(caught.value) == f"not sent: image.type: {type!r} does not begin with image/"


BAD_TEXT = [
    ("a\rb", "has a control character (CR, LF or another) at position 1"),
    ("a\nb", "has a control character (CR, LF or another) at position 1"),
    ("ab\0", "has a control character (CR, LF or another) at position 2"),
    ("\x7f", "has a control character (CR, LF or another) at position 0"),
    ("a\ud800", "has a lone surrogate at position 1, which no encoding can carry"),
]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        *BAD_TEXT,
        ("", "must not be empty"),
        ("  ", "must not be empty"),
        (5, "must be a str, not int"),
    ],
)
def test_invalid_file_names(text, why):
    with pytest.raises(UsageError) as caught:
        Attachment(text, b"")
    assert (caught.value.field, caught.value.explanation) == (
        "attachment.name",
        f"attachment.name: {why}",
    )
    with pytest.raises(UsageError) as caught:
        Image(text, PNG)
    assert (caught.value.field, caught.value.explanation) == ("image.cid", f"image.cid: {why}")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        *BAD_TEXT,
        *(
            (text, f"{text!r} is not a MIME type such as text/plain")
            for text in ("pdf", "text/", "/plain", "a b/c", "a/b c", "a/b/c", "ü/x")
        ),
    ],
)
def test_invalid_types(text, why):
    with pytest.raises(UsageError) as caught:
        Attachment("x", b"", text)
    assert (caught.value.field, caught.value.explanation) == (
        "attachment.type",
        f"attachment.type: {why}",
    )
    with pytest.raises(UsageError) as caught:
        Image("x", PNG, text)
    assert (caught.value.field, caught.value.explanation) == ("image.type", f"image.type: {why}")


def test_the_repr_shows_no_content(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"content")
    assert (
        repr(Attachment("x.txt", b"content"))
        == "Attachment(name='x.txt', content=<7 bytes>, type='text/plain')"
    )
    assert (
        repr(Image("x.png", b"content"))
        == "Image(cid='x.png', content=<7 bytes>, type='image/png')"
    )
    assert (
        repr(Attachment.from_path(tmp_path / "x.txt"))
        == "Attachment(name='x.txt', content=<7 bytes>, type='text/plain')"
    )


@given(name=st.text(), type=st.text() | st.none())
def test_any_text_is_a_file_name_or_a_usage_error(name, type):
    for make in (Attachment.from_bytes, Image.from_bytes):
        try:
            made = make(PNG, name, type=type)
        except UsageError as error:
            assert error.field.partition(".")[2] in ("name", "cid", "type")
        else:
            assert not {"\r", "\n", "\0"} & set(name + made.type)


@given(st.text())
def test_any_text_is_base64_or_a_usage_error(text):
    try:
        Attachment.from_base64(text, "x")
    except UsageError as error:
        assert error.field == "content"


class Unseekable(io.BytesIO):
    def seek(self, *_):
        raise OSError("it is a pipe")


@pytest.mark.parametrize("kind", [Attachment, Image])
@pytest.mark.parametrize(
    ("file", "why"),
    [
        (Unseekable(b"x"), "it is a pipe"),
        (io.StringIO("x"), "must be opened in binary mode"),
        (b"x", "no attribute"),
        (None, "no attribute"),
    ],
)
def test_from_file_needs_an_open_binary_file(kind, file, why):
    with pytest.raises(UsageError, match=rf"not sent: file: .*{why}") as caught:
        kind.from_file(file, "x.png")
    assert caught.value.field == "file"
    assert "not sent" not in caught.value.reason


def test_an_open_file_is_read_from_its_position_on_and_left_there():
    file = io.BytesIO(b"header" + b"content")
    file.seek(6)
    attachment = Attachment.from_file(file, "x.bin")
    assert file.tell() == 6
    assert (attachment.content.size, attachment.content.read(3, 4), attachment.content.label) == (
        7,
        b"tent",
        "'the file'",
    )
    assert (
        repr(attachment)
        == "Attachment(name='x.bin', content=<7 bytes>, type='application/octet-stream')"
    )


@pytest.mark.parametrize("kind", [Attachment, Image])
def test_invalid_streams(kind):
    for stream in (b"x", "x", 5, None):
        with pytest.raises(UsageError, match="not sent: stream: must be an iterable of bytes"):
            kind.from_stream(stream, "x.png")
    for size in (-1, True, "5", 1.5):
        with pytest.raises(UsageError, match="not sent: size: must be a number of bytes or None"):
            kind.from_stream([b"x"], "x.png", size=size)
    assert "<a stream>" in repr(kind.from_stream([b"x"], "x.png"))
    assert "<1 bytes>" in repr(kind.from_stream([b"x"], "x.png", size=1))


CALENDAR = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{}\r\nBEGIN:VEVENT\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"


@pytest.mark.parametrize(
    ("line", "type"),
    [
        ("METHOD:REQUEST", "text/calendar; method=REQUEST; charset=utf-8"),
        ("method:cancel ", "text/calendar; method=CANCEL; charset=utf-8"),
        ("METHOD;X-A=b:REPLY", "text/calendar; method=REPLY; charset=utf-8"),
        ("PRODID:é\nMETHOD:PUBLISH", "text/calendar; method=PUBLISH; charset=utf-8"),
        ("PRODID:x", "text/calendar"),
        ("DESCRIPTION:see\r\n METHOD:REQUEST", "text/calendar"),
        ("X-METHOD:REQUEST", "text/calendar"),
        ("METHOD:a b", "text/calendar"),
        ('METHOD:REQUEST"; x="', "text/calendar"),
    ],
)
def test_an_invitation_has_the_method_of_its_content(tmp_path, line, type):
    content = CALENDAR.format(line).encode()
    path = tmp_path / "invite.ics"
    path.write_bytes(content)
    file = io.BytesIO(b"skipped" + content)
    file.seek(len(b"skipped"))
    for attachment in (
        Attachment.from_path(path),
        Attachment.from_path(path, name="Termin.ICS"),
        Attachment.from_bytes(content, "invite.ics"),
        Attachment.from_base64(base64.b64encode(content), "invite.ics"),
        Attachment.from_file(file, "invite.ics"),
    ):
        assert attachment.type == type
    assert file.read() == content
    # A type that is given counts, and a stream is not read before it is sent.
    assert Attachment.from_path(path, type="text/plain").type == "text/plain"
    assert Attachment.from_path(path, name="a.txt").type == "text/plain"
    assert Attachment.from_stream([content], "invite.ics").type == "text/calendar"
