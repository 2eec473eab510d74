"""
No mail gets out of its frame: no script runs, nothing is loaded, nothing on this machine is
changed.

The remote server is a socket that counts connections: a request that failed, or was never made
whole, counts as well.
"""

from __future__ import annotations

import socket
import threading

import httpx
import pytest

from poweremail import Message
from poweremail.sandbox import CaughtFile, CaughtRecipient
from poweremail.sandbox._store.mail import MailContent
from support.plain_http import PLAIN_HTTP

from .hostile import LINKS, LOADS, SCRIPTS, TEXTS

PICTURE = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image '
    b'href="%s/in-svg.png"/><script>alert("out")</script></svg>'
)


class Remote:
    """
    A server that is none of ours. It remembers each request, and answers *answer* or nothing.
    """

    def __init__(self, answer: bytes = b"") -> None:
        self._answer = answer
        self.requests: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.seen: list[str] = []
        self.came = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(1)
                try:
                    request = connection.recv(4096).decode(errors="replace")
                    connection.sendall(self._answer)
                    self.requests.append(request)
                    self.seen.append(request.partition("\r\n")[0])
                except OSError:
                    self.seen.append("a connection")
            self.came.set()

    def close(self) -> None:
        # Closing alone would leave accept waiting.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def remote():
    remote = Remote()
    yield remote
    remote.close()


@pytest.fixture
def watched(open_page, browser):
    """Open the page, and note every sign of a mail that got out."""
    signs: list[str] = []
    page = open_page()
    page.on("dialog", lambda dialog: (signs.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on(
        "console", lambda message: signs.append(message.text) if message.text == "out" else None
    )
    page.context.on("page", lambda other: signs.append(f"window {other.url}"))
    page.on("download", lambda download: signs.append(f"download {download.url}"))
    page.signs = signs
    yield page
    # Of what the mails were kept from, the browser tells at length.
    open_page.complaints.clear()


def put(sandbox, html, **changes):
    options = {
        "operation": "sendMail",
        "smtp_user_name": "s",
        "subject": "Hostile",
        "from_email": "me@example.com",
    }
    options |= {"recipients": (CaughtRecipient("to", "ada@example.com"),), "html": html, **changes}
    return sandbox.service.mails.add(
        MailContent(**options), received=1_700_000_000_000, visible_from=0
    )


def show(page, number):
    page.locator(f"#mail-{number}").click()
    frame = page.frame_locator(f"iframe[src='/_sandbox/messages/{number}/html']")
    frame.locator("html").wait_for(state="attached")
    return frame


def wanted_by(sandbox, remote, html):
    return html.replace("REMOTE", remote.url).replace("HOST", remote.url.removeprefix("http://"))


def test_no_hostile_mail_makes_a_request(watched, sandbox, remote):
    corpus = [*SCRIPTS, *LOADS]
    picture = CaughtFile("logo", "image/svg+xml", PICTURE % remote.url.encode())
    sandbox.add_template("t", text="x")
    numbers = [put(sandbox, wanted_by(sandbox, remote, html), images=(picture,)) for html in corpus]
    watched.reload()
    watched.wait_for_selector("#live[data-state=on]")
    for shown in range(50, len(corpus), 50):
        watched.wait_for_function(
            "shown => document.querySelectorAll('.row').length === shown", arg=shown
        )
        watched.locator("#older").click()
    watched.wait_for_function(
        "shown => document.querySelectorAll('.row').length === shown", arg=len(corpus)
    )
    title = watched.title()
    for number, html in zip(numbers, corpus, strict=True):
        frame = show(watched, number)
        if "id=bait" in html:
            bait = frame.locator("#bait")
            # A real click, wherever it is.
            if box := bait.bounding_box():
                watched.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert (watched.signs, remote.seen, watched.title()) == ([], [], title), html
    assert len(sandbox.outbox) == len(corpus)
    # What is slow to come would have come by now: the remote server answers this only after
    # whatever was before it.
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{remote.url}/last", **PLAIN_HTTP)
    assert remote.seen == ["GET /last HTTP/1.1"]
    assert watched.url.startswith(sandbox.url)


def test_a_link_opens_a_tab_that_learns_nothing_about_the_page(watched, open_page, sandbox):
    remote = Remote(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<title>other</title>")
    open_page.allowed.append(remote.url)
    numbers = [put(sandbox, wanted_by(sandbox, remote, html)) for html in LINKS]
    watched.reload()
    watched.wait_for_selector("#live[data-state=on]")
    for number, html in zip(numbers, LINKS, strict=True):
        frame = show(watched, number)
        # An area has no box of its own.
        box = frame.locator("img" if "<area" in html else "#bait").bounding_box()
        with watched.context.expect_page() as opened:
            watched.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        other = opened.value
        assert other.title() == "other", html
        assert other.evaluate("[window.opener, document.referrer, name]") == [None, "", ""], html
        # Such a tab is no sandbox: the page that was opened works as it does from a mail program.
        assert other.evaluate("origin") == remote.url, html
        other.close()
    followed = [each for each in remote.requests if not each.startswith("GET /favicon.ico")]
    assert len(followed) == len(LINKS)
    assert not any("referer:" in request.lower() for request in followed)
    assert [sign for sign in watched.signs if not sign.startswith("window")] == []
    assert watched.url.startswith(sandbox.url)
    remote.close()


def test_remote_content_is_loaded_if_the_user_allows_it(watched, open_page, sandbox, remote):
    """That nothing came means something only if something can."""
    open_page.allowed.append(remote.url)
    put(
        sandbox,
        f"<link rel=stylesheet href='{remote.url}/a.css'><img "
        f"src='{remote.url}/a.png'><script>alert('out')</script>",
    )
    watched.locator("#mail-1").click()
    watched.get_by_role("button", name="Load it").click()
    assert remote.came.wait(10)
    watched.get_by_text("Remote content is loaded, for this message only.").wait_for()
    assert watched.signs == []
    assert any(line.startswith("GET /a.") for line in remote.seen)


def test_a_hostile_mail_opened_by_its_url_makes_no_request(browser, sandbox, remote):
    number = put(sandbox, wanted_by(sandbox, remote, "".join([*SCRIPTS, *LOADS[:40]])))
    with browser.new_context() as context:
        page = context.new_page()
        signs = []
        page.on("dialog", lambda dialog: (signs.append(dialog.message), dialog.dismiss()))
        page.goto(f"{sandbox.url}/_sandbox/messages/{number}/html")
        assert page.title() != "out"
        for path in ("raw", "text", "source", ""):
            page.goto(f"{sandbox.url}/_sandbox/messages/{number}/{path}".rstrip("/"))
    assert (signs, remote.seen) == ([], [])


@pytest.mark.parametrize("text", TEXTS)
def test_no_text_of_a_mail_becomes_html(watched, sandbox, remote, text):
    text = wanted_by(sandbox, remote, text)
    one_line = text.replace("\n", " ")
    number = put(
        sandbox,
        None,
        subject=one_line,
        from_name=text,
        recipients=(CaughtRecipient("to", "ada@example.com", text),),
        unique_id=text,
        text=text,
        headers={text: text},
        attachments=(CaughtFile(text, text, b"x"),),
        images=(CaughtFile(text, f"image/{text}", b"x"),),
        template_id=text,
        dynamic_value={text: text},
        smtp_user_name=text,
        raw={"message": {"subject": text}},
    )
    sandbox.record(number, "click", user_agent=text, url=text)
    sandbox.add_template(text, text=text)
    sandbox.add_smtp_user(text, per_minute=5)
    watched.locator(f"#mail-{number}").click()
    watched.locator("#head h2").wait_for()
    assert watched.locator("#head h2").text_content() == one_line
    for tab in watched.get_by_role("tab").all():
        tab.click()
        assert watched.locator("#tab").text_content()
    watched.get_by_role("progressbar").first.wait_for()
    with watched.expect_download() as download:
        watched.get_by_role("tab", name="Files").click()
        watched.locator("#tab a").first.click()
    assert "/" not in download.value.suggested_filename
    signs = [sign for sign in watched.signs if not sign.startswith("download")]
    assert (signs, remote.seen) == ([], [])
    assert watched.evaluate("document.querySelectorAll('script').length") == 3


def test_a_page_of_another_origin_gets_nothing(browser, sandbox, send_one):
    """What every site that is open in the browser could try."""
    attempts = """async (url) => {
      const tried = [];
      const mail = {
        owner_id: 'o', token: 't', smtp_user_name: 's',
        message: {
          subject: 's', text: 't', from_email: 'a@example.com', to: [{email: 'b@example.com'}],
        },
      };
      const query = new URLSearchParams({
        owner_id: 'o', token: 't', smtp_user_name: 's', template_id: 't', subject: 's',
        from_email: 'a@example.com', to: 'b@example.com',
      });
      for (const [path, options] of [
        ['/_sandbox/reset', {method: 'POST', mode: 'no-cors', body: '{}'}],
        ['/_sandbox/messages', {method: 'DELETE'}],
        ['/v1.0/messages/sendMail', {
          method: 'POST', mode: 'no-cors', headers: {'Content-Type': 'text/plain'},
          body: JSON.stringify(mail),
        }],
        ['/v1.0/messages/sendTemplateHTTPGet?' + query, {mode: 'no-cors'}],
        ['/_sandbox/messages', {}],
      ]) {
        try { tried.push((await fetch(url + path, options)).type); }
        catch { tried.push('refused'); }
      }
      return tried;
    }"""
    sandbox.add_template("t", text="x")
    with browser.new_context() as context:
        page = context.new_page()
        page.route(
            "http://other.example/",
            lambda route: route.fulfill(body="<p>other", content_type="text/html"),
        )
        page.goto("http://other.example/")
        tried = page.evaluate(attempts, sandbox.url)
    assert tried[1] == tried[4] == "refused"
    assert [mail.subject for mail in sandbox.outbox] == ["Hello"]


@pytest.fixture
def send_one(sandbox):
    with sandbox.client() as client:
        client.messages.send_mail(
            Message(subject="Hello", from_email="me@example.com", to="ada@example.com", text="x")
        )
