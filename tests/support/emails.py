"""
Messages as mail programs write them, shortened: structure, headers and encodings are theirs, the
words are not.
"""

from __future__ import annotations

import base64

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))
PNG_64 = base64.encodebytes(PNG).decode()
PDF = b"%PDF-1.7\n%%EOF\n"
PDF_64 = base64.encodebytes(PDF).decode()


def crlf(text: str, encoding: str = "utf-8") -> bytes:
    return text.replace("\n", "\r\n").encode(encoding)


GMAIL = crlf(f"""\
Delivered-To: ada@example.com
Received: by 2002:a05:6a10:1 with SMTP id x1;
        Mon, 1 Jan 2024 00:00:00 -0800 (PST)
ARC-Seal: i=1; a=rsa-sha256; d=google.com
Return-Path: <jo@gmail.com>
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
        d=gmail.com; s=20230601
MIME-Version: 1.0
From: =?UTF-8?B?SsO2cmcgTcO8bGxlcg==?= <jo@gmail.com>
Date: Mon, 1 Jan 2024 09:00:00 +0100
Message-ID: <CAF=x@mail.gmail.com>
Subject: =?UTF-8?B?UmVjaG51bmcgw7xiZXI=?= 42 =?UTF-8?Q?=E2=82=AC?=
To: "Lovelace, Ada" <ada@example.com>, bob@example.com
In-Reply-To: <orig@example.com>
Content-Type: multipart/mixed; boundary="000000000000a1"

--000000000000a1
Content-Type: multipart/related; boundary="000000000000a2"

--000000000000a2
Content-Type: multipart/alternative; boundary="000000000000a3"

--000000000000a3
Content-Type: text/plain; charset="UTF-8"
Content-Transfer-Encoding: base64

R3LDvMOfZQ0KSsO2cmc=
--000000000000a3
Content-Type: text/html; charset="UTF-8"
Content-Transfer-Encoding: quoted-printable

<div>Gr=C3=BC=C3=9Fe <img src=3D"cid:ii_abc" alt=3D"logo.png"><br>J=C3=B6rg=
</div>

--000000000000a3--
--000000000000a2
Content-Type: image/png; name="logo.png"
Content-Disposition: inline; filename="logo.png"
Content-Transfer-Encoding: base64
Content-ID: <ii_abc>
X-Attachment-Id: ii_abc

{PNG_64}--000000000000a2--
--000000000000a1
Content-Type: application/pdf; name="=?UTF-8?B?UmVjaG51bmcgTcOkcnoucGRm?="
Content-Disposition: attachment;
 filename="=?UTF-8?B?UmVjaG51bmcgTcOkcnoucGRm?="
Content-Transfer-Encoding: base64
Content-ID: <f_1>
X-Attachment-Id: f_1

{PDF_64}--000000000000a1--
""")

OUTLOOK = crlf(f"""\
From: "Doe, John" <john@contoso.com>
To: "Ada (London)" <ada@example.com>
CC: Support Team <support@example.com>
Subject: =?iso-8859-1?Q?Angebot_f=FCr_?=
\t=?iso-8859-1?Q?M=E4rz?=
Thread-Topic: Angebot
Thread-Index: AQHaAAAA
Date: Mon, 1 Jan 2024 09:00:00 +0000
Message-ID: <AM0PR@eurprd.outlook.com>
Accept-Language: de-DE
Content-Language: de-DE
X-MS-Has-Attach: yes
Content-Type: multipart/related;
\tboundary="_004_AM0_";
\ttype="multipart/alternative"
MIME-Version: 1.0

--_004_AM0_
Content-Type: multipart/alternative;
\tboundary="_000_AM0_"

--_000_AM0_
Content-Type: text/plain; charset="iso-8859-1"
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe =93zitiert=94

--_000_AM0_
Content-Type: text/html; charset="iso-8859-1"
Content-Transfer-Encoding: quoted-printable

<html><body><p>Gr=FC=DFe</p><img src=3D"cid:image001.png@01DA.5F"></body></h=
tml>

--_000_AM0_--

--_004_AM0_
Content-Type: application/octet-stream; name="image001.png"
Content-Description: image001.png
Content-Disposition: inline; filename="image001.png"; size=72;
\tcreation-date="Mon, 01 Jan 2024 09:00:00 GMT"
Content-ID: <image001.png@01DA.5F>
Content-Transfer-Encoding: base64

{PNG_64}
--_004_AM0_--
""")

APPLE = crlf(f"""\
From: Tim <tim@icloud.com>
Content-Type: multipart/alternative;
\tboundary="Apple-Mail=_1"
Mime-Version: 1.0 (Mac OS X Mail 16.0 \\(3774.300.61.1.2\\))
Subject: Pictures
Message-Id: <1@icloud.com>
Date: Mon, 1 Jan 2024 09:00:00 +0100
To: Ada <ada@example.com>

--Apple-Mail=_1
Content-Transfer-Encoding: 7bit
Content-Type: text/plain;
\tcharset=us-ascii

See.

--Apple-Mail=_1
Content-Type: multipart/mixed;
\tboundary="Apple-Mail=_2"

--Apple-Mail=_2
Content-Transfer-Encoding: 7bit
Content-Type: text/html;
\tcharset=us-ascii

<html><head></head><body>See.<br></body></html>
--Apple-Mail=_2
Content-Disposition: inline;
\tfilename*0="a very long file name that had to be broken into ";
\tfilename*1="pieces.pdf"
Content-Type: application/pdf;
\tx-unix-mode=0644;
\tname="pieces.pdf"
Content-Transfer-Encoding: base64

{PDF_64}
--Apple-Mail=_2
Content-Transfer-Encoding: 7bit
Content-Type: text/html;
\tcharset=us-ascii

<html><head><meta http-equiv="content-type"></head><body dir="auto"><br></body></html>
--Apple-Mail=_2--

--Apple-Mail=_1--
""")

THUNDERBIRD = crlf("""\
Message-ID: <t@example.org>
Date: Mon, 1 Jan 2024 09:00:00 +0100
MIME-Version: 1.0
User-Agent: Mozilla Thunderbird
Content-Language: en-US
To: friends: ada@example.com, Bob <bob@example.com>;
Cc: undisclosed-recipients:;
From: Sender <s@example.org>
Subject: Forward
Content-Type: multipart/mixed; boundary="------------tb"

This is a multi-part message in MIME format.
--------------tb
Content-Type: text/plain; charset=UTF-8; format=flowed
Content-Transfer-Encoding: 8bit

Fließend\x20
weiter
--------------tb
Content-Type: message/rfc822; name="Original.eml"
Content-Disposition: attachment; filename="Original.eml"
Content-Transfer-Encoding: 7bit

From: x@example.net
To: s@example.org
Subject: two spaces,   kept
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain

inner
--inner--

--------------tb
Content-Type: text/x-patch; charset=UTF-8; name="fix.patch"
Content-Disposition: attachment;
 filename*0*=UTF-8''%C3%84nderung%20mit%20einem%20;
 filename*1*=sehr%20langen%20Namen;
 filename*2=.patch
Content-Transfer-Encoding: base64

LS0tIGEKKysrIGIK

--------------tb--
""")

EXCHANGE_INVITE = crlf("""\
From: Boss <boss@contoso.com>
To: ada@example.com
Subject: Meeting
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="_000_"

--_000_
Content-Type: text/plain; charset="utf-8"

Join us.
--_000_
Content-Type: text/html; charset="utf-8"

<p>Join us.</p>
--_000_
Content-Type: text/calendar; charset="utf-8"; method=REQUEST

BEGIN:VCALENDAR
END:VCALENDAR
--_000_--
""")

MUTT_SIGNED = crlf("""\
From: me@example.org
To: ada@example.com
Subject: signed
MIME-Version: 1.0
Content-Type: multipart/signed; micalg=pgp-sha512;
\tprotocol="application/pgp-signature"; boundary="k1"
Content-Disposition: inline
User-Agent: Mutt/2.2.9

--k1
Content-Type: text/plain; charset=us-ascii
Content-Disposition: inline

Trust me.

--k1
Content-Type: application/pgp-signature; name="signature.asc"

-----BEGIN PGP SIGNATURE-----
-----END PGP SIGNATURE-----
--k1--
""")

JAPANESE = (
    b"From: =?ISO-2022-JP?B?GyRCOzNFRBsoQg==?= <yamada@example.jp>\r\nTo: ada@example.com\r\n"
    b"Subject: =?ISO-2022-JP?B?GyRCJDMkcyRLJEEkTxsoQg==?=\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=ISO-2022-JP\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
    + "こんにちは\r\n".encode("iso-2022-jp")
)

RUSSIAN = (
    b"From: ivan@example.ru\r\nTo: ada@example.com\r\nSubject: "
    b"=?koi8-r?B?8NLJ18XU?=\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/html; charset=koi8-r\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    + "<p>Привет</p>".encode("koi8-r")
)

UTF_16 = (
    b"From: a@example.com\r\nTo: b@example.com\r\nSubject: wide\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    # Broken into lines of a wrong length, with line ends of another kind.
    + b"\n\r\n".join(
        base64.b64encode("wide ✓\r\nline".encode("utf-16"))[at : at + 7] for at in range(0, 60, 7)
    )
)

SLOPPY = (
    "From: Jörg <joerg@example.com>\nTo: ada@example.com,\n bob@example.com,\nSubject: "
    "grüße\n\nno charset: é\n"
).encode()

CORPUS = {
    "gmail": GMAIL,
    "outlook": OUTLOOK,
    "apple": APPLE,
    "thunderbird": THUNDERBIRD,
    "exchange": EXCHANGE_INVITE,
    "mutt": MUTT_SIGNED,
    "japanese": JAPANESE,
    "russian": RUSSIAN,
    "utf-16": UTF_16,
    "sloppy": SLOPPY,
}
