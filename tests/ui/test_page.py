"""The page as those who use it do: with a mouse, a keyboard, on a phone."""

from __future__ import annotations

import json
import re

import httpx
import pytest

from poweremail import Message
from poweremail.sandbox import CaughtRecipient, SmtpServer
from poweremail.sandbox._store.mail import MailContent
from support.plain_http import PLAIN_HTTP
from support.receiver import HANDSHAKE, Receiver
from support.smtp import SmtpReceiver


@pytest.fixture
def send(sandbox):
    with sandbox.client() as client:

        def send(subject="Hello", to="ada@example.com", html="<p>Hello</p>", text="Hello", **more):
            client.messages.send_mail(
                Message(
                    subject=subject,
                    from_email="me@example.com",
                    to=to,
                    html=html,
                    text=text,
                    **more,
                )
            )

        yield send


def subjects(page):
    return page.locator(".row .subject").all_text_contents()


def expect_subjects(page, *wanted):
    page.wait_for_function(
        "wanted => JSON.stringify([...document.querySelectorAll('.row .subject')].map(each => "
        "each.textContent)) === wanted",
        arg=json.dumps(list(wanted), separators=(",", ":"), ensure_ascii=False),
    )


def title(page, text):
    page.locator("#head h2", has_text=text).wait_for()


def test_an_empty_page_says_how_to_begin(open_page, sandbox, send, screenshot):
    page = open_page()
    assert page.get_by_text("Waiting for the first mail").is_visible()
    screenshot(page, "empty")
    code = page.locator("#sample-python").inner_text()
    assert sandbox.url in code
    exec(code, {})
    expect_subjects(page, "Hello")
    page.locator(".row").click()
    title(page, "Hello")
    assert page.frame_locator("iframe").get_by_text("It works").is_visible()


def test_mails_show_as_they_come(open_page, sandbox, send):
    page = open_page()
    send("first")
    expect_subjects(page, "first")
    send("second")
    expect_subjects(page, "second", "first")
    assert page.locator("#announce").inner_text() == "New message: second"
    for number in range(30):
        send(f"many {number}")
    expect_subjects(page, *(f"many {number}" for number in reversed(range(30))), "second", "first")
    assert page.locator("#count").inner_text() == "32 messages"
    sandbox.record(32, "open")
    page.locator("#mail-32 .chip.open").wait_for()
    httpx.delete(f"{sandbox.url}/_sandbox/messages/31", **PLAIN_HTTP).raise_for_status()
    page.locator("#mail-31").wait_for(state="detached")
    sandbox.clear()
    expect_subjects(page)
    page.get_by_text("Waiting for the first mail").wait_for()


def test_a_new_mail_keeps_the_scroll_position(open_page, send):
    for number in range(40):
        send(f"mail {number}")
    page = open_page()
    page.locator("#mail-20").scroll_into_view_if_needed()
    before = page.locator("#mail-20").bounding_box()
    send("new")
    page.locator("#new").wait_for()
    assert page.locator("#mail-20").bounding_box() == before
    page.locator("#new").click()
    page.locator("#new").wait_for(state="hidden")
    assert page.locator("#mail-41").is_visible()


def test_the_list_is_complete_after_a_disconnect(open_page, send, sandbox):
    page = open_page()
    send("before")
    expect_subjects(page, "before")
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true}); "
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    send("meanwhile")
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    expect_subjects(page, "meanwhile", "before")


def test_search_and_status(open_page, send, sandbox):
    send("Invoice 42", to="Ada Lovelace <ada@example.com>")
    send("News", to="grace@example.com", unique_id="news-1")
    send("Grüße", to="alan@example.com")
    sandbox.record(2, "hard_bounce")
    page = open_page()
    page.keyboard.press("/")
    for words, found in (
        ("lovelace", "Invoice 42"),
        ("NEWS-1", "News"),
        ("grüsse", None),
        ("GRÜSS", None),
        ("grüß", "Grüße"),
        ("example.com inv", "Invoice 42"),
    ):
        page.locator("#search").fill(words)
        expected = [found] if found else ["Grüße"]
        expect_subjects(page, *expected)
    page.locator("#search").fill("nobody")
    expect_subjects(page)
    assert page.get_by_text("No message matches.").is_visible()
    page.locator("#search").fill("")
    page.locator("#status").select_option("hard_bounce")
    expect_subjects(page, "News")
    assert page.locator("#count").inner_text() == "1 found in 3 messages"
    sandbox.record(1, "hard_bounce")
    expect_subjects(page, "News", "Invoice 42")


def test_one_message_in_all_its_tabs(open_page, sandbox, scene, screenshot):
    page = open_page()
    title(page, "Invoice 42")
    head = page.locator("#head").inner_text()
    for text in (
        "The Shop <billing@example.com>",
        "Ada Lovelace <ada@example.com>",
        "Accounts <accounts@example.com>",
        "invoice-42",
        "sendMail by billing",
    ):
        assert text in head
    frame = page.frame_locator("iframe")
    frame.get_by_text("Thank you, Ada!").wait_for()
    assert frame.locator("img").first.evaluate("image => image.naturalWidth") > 0
    assert page.get_by_text("Remote content is blocked.").is_visible()
    page.wait_for_function("() => document.querySelectorAll('#users .user').length === 2")
    screenshot(page, "desktop-light")

    def tab(name):
        page.get_by_role("tab", name=name).click()
        return page.locator("#tab")

    assert "Invoice 42 is attached." in tab("Text").inner_text()
    assert tab("Links").get_by_role("link").all_inner_texts() == [
        "https://shop.example.com/invoices/42"
    ]
    with page.expect_download() as download:
        tab("Files").get_by_role("link", name="Download invoice-42.pdf").click()
    assert download.value.suggested_filename == "invoice-42.pdf"
    assert download.value.path().read_bytes().startswith(b"%PDF")
    assert "orders" in tab("Headers").inner_text()
    tab("JSON").get_by_text('"smtp_user_name": "billing"').wait_for()
    assert "sandbox-token" not in page.content()
    tab("Source").get_by_text("Content-Type: multipart/mixed").wait_for()
    page.locator(".row", has_text="Welcome aboard").click()
    title(page, "Welcome aboard")
    table = tab("Template").inner_text()
    assert re.findall(r"\S+", table) == [
        "Template",
        "Id",
        "welcome",
        "Values",
        "NAME",
        "Barbara",
        "CODE",
        "4711",
    ]


def test_buttons_record_events(open_page, sandbox, send, screenshot):
    send(
        "Hello",
        to=["ada@example.com", "grace@example.com"],
        html='<a href="https://example.com/?a=1&amp;b=2">x</a>',
        unique_id="u",
    )
    page = open_page()
    title(page, "Hello")
    page.get_by_role("tab", name="Events").click()
    grace = page.get_by_role("group", name="grace@example.com")
    grace.get_by_role("button", name="Open").click()
    page.locator(".recipients li", has_text="grace").get_by_text("1 open, 0 clicks").wait_for()
    # The button that was pressed still has the focus, though all around it was drawn anew.
    assert page.evaluate("document.activeElement.textContent") == "Open"
    page.get_by_role("group", name="ada@example.com").get_by_role(
        "button", name="Hard bounce"
    ).click()
    page.locator("#mail-1 .chip.hard_bounce").wait_for()
    page.get_by_role("tab", name="Links").click()
    page.get_by_role("button", name="Record a click on https://example.com/?a=1&b=2").click()
    page.get_by_role("tab", name="Events 4").wait_for()
    with sandbox.client() as client:
        ada, grace = client.messages.get_message_info("u")
    assert (ada.status, ada.open_count, ada.click_count) == ("hard_bounce", 0, 1)
    assert (grace.status, grace.open_count, grace.click_count) == ("click", 1, 1)
    page.get_by_role("tab", name="Events").click()
    screenshot(page, "events")


def test_the_focused_mail_is_outlined(open_page, send, screenshot):
    send()
    page = open_page()
    title(page, "Hello")
    outline = "getComputedStyle(document.querySelector('iframe')).outlineStyle"
    assert page.evaluate(outline) == "none"
    page.frame_locator("iframe").locator("body").click()
    page.locator("iframe.focused").wait_for()
    assert page.evaluate(outline) == "solid"
    screenshot(page, "focus")
    page.locator("#search").click()
    page.locator("iframe:not(.focused)").wait_for()
    assert page.evaluate(outline) == "none"


def test_an_error_of_a_rule_names_its_part(open_page):
    page = open_page()
    page.get_by_label("Rule: event, share, time limit").fill("open 500%")
    page.get_by_role("button", name="Add").click()
    page.locator(".toast", has_text="share: must be from 0 to 100 %, not 500 %").wait_for()
    open_page.complaints.clear()


def test_the_keyboard_reaches_everything(open_page, send, sandbox):
    for subject in ("one", "two", "three"):
        send(subject)
    page = open_page()
    title(page, "three")
    press = page.keyboard.press
    press("j")
    title(page, "two")
    assert page.locator("#list").get_attribute("aria-activedescendant") == "mail-2"
    press("k")
    title(page, "three")
    page.locator("#list").focus()
    press("ArrowDown")
    press("ArrowDown")
    press("ArrowDown")
    title(page, "one")
    press("Enter")
    assert page.evaluate("document.activeElement.id") == "message"
    press("2")
    assert page.get_by_role("tab", selected=True).inner_text().startswith("Text")
    page.get_by_role("tab", selected=True).focus()
    press("ArrowRight")
    assert page.get_by_role("tab", selected=True).inner_text().startswith("Events")
    press("End")
    assert page.get_by_role("tab", selected=True).inner_text() == "Source"
    press("Escape")
    assert page.evaluate("document.activeElement.id") == "list"
    press("?")
    assert page.get_by_role("dialog", name="Keyboard").is_visible()
    press("Escape")
    press("Delete")
    expect_subjects(page, "three", "two")
    title(page, "two")
    press("/")
    page.keyboard.type("thr")
    expect_subjects(page, "three")
    press("ArrowDown")
    title(page, "three")
    assert [mail.subject for mail in sandbox.outbox] == ["two", "three"]


def test_mails_that_come_faster_than_they_are_shown_are_shown_once(open_page, send):
    send("0")
    page = open_page()
    title(page, "0")
    page.evaluate("""() => {
      const real = window.fetch;
      window.fetch = async (...args) => {
        const answer = await real(...args);
        await new Promise((done) => setTimeout(done, 400));
        return answer;
      };
    }""")
    for number in range(1, 6):
        send(str(number))
        page.wait_for_timeout(200)  # the next is news while this one is asked for
    page.wait_for_function("() => document.querySelectorAll('.row').length >= 6")
    page.wait_for_timeout(1000)
    expect_subjects(page, *"543210")
    page.locator("#count", has_text="6 messages").wait_for()


def test_delete_all_asks_first(open_page, send, sandbox):
    send()
    page = open_page()
    page.get_by_role("button", name="Delete all").click()
    page.get_by_role("button", name="Keep them").click()
    assert len(sandbox.outbox) == 1
    page.get_by_role("button", name="Delete all").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete all").click()
    expect_subjects(page)
    assert sandbox.outbox == []


def test_the_service_panel_is_beside_the_list(open_page, sandbox, scene):
    page = open_page()
    page.get_by_role("progressbar", name="news: 29 of 40 mails in all").wait_for()
    assert page.locator("#templates").inner_text().split() == [
        "login-code",
        "text",
        "welcome",
        "subject,",
        "html,",
        "text",
    ]
    assert "rate limited" in page.locator("#faults").inner_text()
    hook = page.locator("#webhooks").inner_text()
    assert hook.splitlines()[:3] == [scene, "open, click, hard bounce", "Production"]
    assert hook.splitlines()[3].startswith("6 events accepted, the last ")
    assert hook.count("200, delivered") == 5
    (webhook,) = sandbox.webhooks
    assert webhook.key.reveal() not in page.content()
    page.get_by_role("button", name="Switch off rate_limited").click()
    page.get_by_text("No faults.").wait_for()
    page.get_by_role("combobox", name="Fault").select_option(
        label="Reset after the mail is accepted"
    )
    page.get_by_label("How often").fill("3")
    page.get_by_role("button", name="Switch on").click()
    page.locator("#faults", has_text="reset after acceptance").wait_for()
    (rule,) = sandbox.faults.rules
    assert (rule.fault.kind, rule.times) == ("reset_after_acceptance", 3)
    page.get_by_role("button", name="+1 hour").click()
    page.get_by_text("1 h ahead").wait_for()
    assert sandbox.clock.advanced == 3600


def test_the_page_on_a_phone(open_page, sandbox, scene, screenshot):
    page = open_page(375, 740)
    assert not page.locator("#message").is_visible()
    # What has no room on the screen is said all the same.
    assert page.get_by_role("heading", name="PowerEmail sandbox", level=1).is_visible()
    assert page.get_by_role("main").get_by_role("listbox").is_visible()
    assert page.locator("#live").inner_text() == "Live"
    screenshot(page, "phone-list")
    page.locator("#mail-8").click()
    title(page, "Invoice 42")
    assert not page.locator("#list").is_visible()
    page.frame_locator("iframe").get_by_text("Thank you, Ada!").wait_for()
    screenshot(page, "phone-message")
    page.get_by_role("button", name="Back to the list").click()
    assert page.locator("#list").is_visible()
    page.get_by_role("button", name="Service").click()
    assert page.locator("#users").is_visible()
    screenshot(page, "phone-service")
    # Nothing sticks out to the side, and what is below can be scrolled to.
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    assert page.locator("#service").evaluate("pane => pane.scrollWidth - pane.clientWidth") == 0
    page.locator("#clock").scroll_into_view_if_needed()
    assert page.locator("#clock").bounding_box()["x"] < 30


def test_the_service_on_a_tablet_scrolls_down_and_not_to_the_side(
    open_page, sandbox, scene, screenshot
):
    page = open_page(1000, 400)
    page.get_by_role("button", name="Service").click()
    page.locator("#faults").get_by_text("rate limited").wait_for()
    screenshot(page, "tablet-service")
    assert page.locator("#service").evaluate("pane => pane.scrollWidth - pane.clientWidth") == 0


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844), (640, 400)])
def test_a_long_head_leaves_room_for_the_mail(open_page, send, screenshot, width, height):
    to = [f"{'n' * 150} {number} <reader{number}@{'long.' * 9}example.com>" for number in range(30)]
    send("W" * 4000, to=to, cc=to, unique_id="u" * 300)
    page = open_page(width, height)
    page.locator(".row").click()
    title(page, "WWW")
    page.frame_locator("iframe").get_by_text("Hello").wait_for()
    screenshot(page, f"long-{width}")
    pane, frame = page.locator("#message").bounding_box(), page.locator("iframe").bounding_box()
    assert frame["height"] > pane["height"] / 4
    for button in (
        page.locator("#delete-one"),
        page.locator("#tab-html"),
        *([page.locator(".back")] if width < 800 else []),
    ):
        button.wait_for()
        assert pane["y"] <= button.bounding_box()["y"] < pane["y"] + pane["height"]
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_row_has_room_for_the_status(open_page, send, sandbox):
    send(to=[f"reader{number}@example.com" for number in range(6)])
    for number, kind in enumerate(("open", "click", "soft_bounce", "hard_bounce", "spam")):
        sandbox.record(sandbox.outbox[0], kind, recipient=f"reader{number}@example.com")
    page = open_page()
    marks = page.locator(".row .marks")
    marks.locator(".more").wait_for()
    assert marks.inner_text().split("\n") == [
        "1 spam",
        "1 hard bounce",
        "1 clicked, 1 opened, 1 soft bounce",
        "+3",
    ]
    assert marks.evaluate(
        "marks => [marks, ...marks.children].map(each => each.scrollWidth - each.clientWidth)"
    ) == [0, 0, 0, 0]


def test_bidi_controls_in_a_name_do_not_reverse_the_address(open_page, sandbox):
    # Our own client would leave the character out.
    mail = MailContent(
        operation="sendMail",
        smtp_user_name="s",
        subject="Hello",
        from_email="me@example.com",
        recipients=(CaughtRecipient("to", "ada@example.com", "\u202eevil"),),
        text="x",
    )
    sandbox.service.mails.add(mail, received=1_700_000_000_000, visible_from=0)
    page = open_page()
    title(page, "Hello")
    assert page.locator("#head dd").nth(1).inner_text() == "\u2068evil\u2069 <ada@example.com>"


def test_an_empty_page_on_a_phone_says_how_to_begin(open_page, send):
    page = open_page(390, 844)
    page.get_by_text("Waiting for the first mail").wait_for()
    send()
    page.locator(".row").wait_for()
    assert not page.get_by_text("Waiting for the first mail").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_colours(open_page, sandbox, scene, screenshot, scheme):
    page = open_page(color_scheme=scheme)
    title(page, "Invoice 42")
    page.frame_locator("iframe").get_by_text("Thank you, Ada!").wait_for()
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    assert (before == "rgb(18, 19, 20)") is (scheme == "dark")
    screenshot(page, f"desktop-{scheme}")
    page.keyboard.press("t")
    other = page.evaluate(ground)
    assert other != before
    page.reload()
    page.wait_for_selector("#live[data-state=on]")
    assert page.evaluate(ground) == other


NAMELESS = """
() => [...document.querySelectorAll(
    'a, button, input, select, iframe, progress, [role=listbox], [role=tabpanel], dialog')]
  .filter((each) => !(each.getAttribute('aria-label') || each.title || each.innerText
    || each.textContent.trim() || each.getAttribute('aria-labelledby')
    || (each.labels && each.labels.length)))
  .map((each) => each.outerHTML)
"""
CONTRAST = """
() => {
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) =>
      (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const color = parse(getComputedStyle(node).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some((each) => each.nodeType === 3 && each.data.trim());
    if (!own || !node.checkVisibility() || node.disabled) continue;
    if (node.closest('.hidden, .skip, noscript')) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))]
      .sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const start = node.textContent.slice(0, 30);
    if (ratio < 4.5) poor.push(`${node.className} ${start} ${ratio.toFixed(2)}`);
  }
  return poor;
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_and_contrasts_are_accessible(open_page, sandbox, scene, scheme):
    page = open_page(color_scheme=scheme)
    title(page, "Invoice 42")
    page.locator("#faults .fault").wait_for()
    for key in "13456789":
        page.keyboard.press(key)
        assert page.evaluate(NAMELESS) == []
        assert page.evaluate(CONTRAST) == []
    assert page.get_by_role("listbox", name="Caught messages").get_by_role("option").count() == 8
    assert page.get_by_role("tablist").get_by_role("tab").count() == 9


def test_thousands_of_messages(open_page, sandbox):
    for number in range(3000):
        mail = MailContent(
            operation="sendMail",
            smtp_user_name="s",
            subject=f"mail {number}",
            from_email="me@example.com",
            recipients=(CaughtRecipient("to", f"reader{number}@example.com"),),
            text="x",
        )
        sandbox.service.mails.add(mail, received=1_700_000_000_000 + number, visible_from=0)
    page = open_page()
    page.wait_for_function("() => document.querySelectorAll('.row').length === 50")
    page.locator("#older").dblclick()
    page.wait_for_function("() => document.querySelectorAll('.row').length >= 100")
    assert (subjects(page)[0], subjects(page)[-1]) == ("mail 2999", "mail 2900")
    page.locator("#search").fill("reader7@")
    expect_subjects(page, "mail 7")


def test_a_link_to_one_message(open_page, send):
    send("one")
    send("two")
    page = open_page(path="/#1")
    title(page, "one")


def test_errors_are_shown(open_page, send, sandbox):
    send()
    page = open_page()
    title(page, "Hello")
    page.route("**/_sandbox/messages/delete", lambda route: route.fulfill(status=500, body="no"))
    page.keyboard.press("Delete")
    page.locator(".toast", has_text="the sandbox responded 500").wait_for()
    page.route("**/_sandbox/messages/delete", lambda route: route.abort())
    page.keyboard.press("Delete")
    page.locator(".toast", has_text="The sandbox does not respond.").wait_for()
    open_page.complaints.clear()


def test_the_api_page(open_page, browser, sandbox, screenshot):
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{sandbox.url}/_sandbox/docs")
        assert page.get_by_role("heading", name="POST /_sandbox/messages/wait").is_visible()
        screenshot(page, "api")


def test_events_are_posted_to_webhooks_and_replayed(open_page, sandbox, send, screenshot):
    with Receiver({"GET": (200, HANDSHAKE), "POST": (200, "<b>thanks</b>")}) as receiver:
        webhook = sandbox.add_webhook(receiver.url, events=["open", "click"])
        send()
        page = open_page()
        page.locator(".row").click()
        page.get_by_role("tab", name="Events").click()
        page.get_by_role("group", name="Record an event at ada@example.com").get_by_role(
            "button", name="Open"
        ).click()
        posted = page.get_by_role("list", name=f"Posted to {receiver.url}")
        posted.get_by_text("#1: 200, delivered").wait_for()
        page.get_by_text("1 event accepted").wait_for()
        posted.get_by_role("button", name="Post open of message 1 again").click()
        posted.get_by_text("#1: 200, delivered, 2 attempts").wait_for()
        assert receiver.seen == ["POST", "POST"]
        assert [attempt.answer for attempt in sandbox.deliveries[0].attempts] == [
            "<b>thanks</b>"
        ] * 2
        screenshot(page, "deliveries")
    posted.get_by_role("button", name="Post open").click()
    page.locator(".toast", has_text="ConnectError").wait_for()
    assert webhook.key.reveal() not in page.content()


def test_the_event_script_is_edited_on_the_page(open_page, sandbox, send):
    page = open_page()
    page.get_by_text("No rules yet.").wait_for()
    rule = page.get_by_label("Rule: event, share, time limit")
    rule.fill("hard_bounce 100%")
    page.get_by_role("button", name="Add").click()
    page.get_by_role("button", name="Remove hard_bounce 100%").wait_for()
    send()
    page.locator("#mail-1 .chip.hard_bounce").wait_for()
    page.get_by_role("button", name="Remove hard_bounce 100%").click()
    page.get_by_text("No rules yet.").wait_for()
    assert sandbox.script.rules == ()


def test_a_message_is_released_if_there_is_a_mail_server(open_page, sandbox, send):
    send()
    page = open_page()
    title(page, "Hello")
    assert not page.get_by_role("button", name="Release").is_visible()
    with SmtpReceiver() as smtp:
        password = "canary-of-the-mail-server"
        sandbox.service.smtp_server = SmtpServer(
            host="127.0.0.1",
            port=smtp.port,
            allow="example.com",
            security="none",
            user="me",
            password=password,
        )
        page = open_page()
        title(page, "Hello")
        page.get_by_role("button", name="Release").click()
        dialog = page.get_by_role("dialog")
        assert f"127.0.0.1:{smtp.port}" in dialog.inner_text()
        assert "example.com" in dialog.inner_text()
        dialog.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Release").click()
        dialog.get_by_role("button", name="Send it").click()
        page.locator(".toast", has_text="Released to ada@example.com").wait_for()
        page.get_by_role("button", name="Release").click()
        dialog.get_by_label("To").fill("me@example.com")
        dialog.get_by_role("button", name="Send it").click()
        page.locator(".toast", has_text="Released to me@example.com").wait_for()
        assert password not in page.content()
    assert len(smtp.mails) == 2
