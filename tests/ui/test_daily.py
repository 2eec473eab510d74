"""
Daily work on the page: its links, list, files, checks and views.

All tests of this module share one sandbox and one page, and open the mail that they need.
"""

from __future__ import annotations

import base64
import re
import time
from email.message import EmailMessage
from pathlib import Path

import axe_playwright_python
import pytest

from poweremail import Image, Message
from support.served import ServedSandbox

from .scene import LOGO

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>"
INVITATION = """BEGIN:VCALENDAR
METHOD:REQUEST
BEGIN:VEVENT
SUMMARY:Planning\\, first quarter
DTSTART;TZID=Europe/Berlin:20261203T100000
DTEND:20261203T100000Z
ORGANIZER;CN="Hopper, Grace":mailto:grace@example.com
ATTENDEE;CN=Ada;PARTSTAT=NEEDS-ACTION:mailto:ada@ex
 ample.com
DESCRIPTION:Agenda:\\n1. Budget
BEGIN:VALARM
DESCRIPTION:Reminder
END:VALARM
END:VEVENT
END:VCALENDAR
"""
LINE = "a line and https://shop.example.com/\n"
NEWS = """<style>@media print { #screen { display: none } } #paper { display: none }
@media print { #paper { display: block } }
@media (prefers-color-scheme: dark) { body { background: rgb(1, 2, 3) } }</style>
<p><a href="#end">to the end</a> <a href="https://shop.example.com/">shop</a>
<a href="/relative">relative</a></p><p id=screen>screen</p><p id=paper>paper</p>
<img src="cid:logo" width=48 height=48><div style="height: 4000px"></div><h2 id=end>The end</h2>"""


def raw(subject: str, text: str = "text", **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "The Shop <shop@example.com>", "Ada Lovelace <ada@example.com>"
    message["Subject"] = subject
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message


@pytest.fixture(scope="module")
def desk():
    with ServedSandbox() as sandbox, sandbox.server() as server, sandbox.client() as client:
        sandbox.url = server.url
        client.messages.send_raw(raw("tagged", "Read on.\n\nBye", X_Tags="news, Q4"))
        client.messages.send_raw(
            raw("reset", "Go to (https://shop.example.com/reset?t=1), or mailto:help@example.com.")
        )
        files = raw("files", "see below")
        files.add_attachment(PNG, maintype="image", subtype="png", filename="photo.png")
        files.add_attachment(PDF, maintype="application", subtype="pdf", filename="Märchen.pdf")
        files.add_attachment("a,b\n1,ü\n", subtype="csv", filename="data.csv")
        files.add_attachment(INVITATION, subtype="calendar")
        files.add_attachment(raw("inner", "INNER TEXT"))
        files.add_attachment(b"\0", maintype="application", subtype="zip", filename="a.zip")
        client.messages.send_raw(files)
        client.messages.send_mail(
            Message(
                subject="news",
                from_email="me@example.com",
                to=["ada@example.com", "grace@example.com"],
                html=NEWS,
                images=[Image.from_bytes(LOGO, "logo", type="image/svg+xml")],
            )
        )
        client.messages.send_mail(
            Message(
                subject="long",
                from_email="me@example.com",
                to="ada@example.com",
                text=LINE * 130_000,
            )
        )
        yield sandbox


@pytest.fixture(scope="module")
def context(browser):
    with browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB") as context:
        context.set_default_timeout(20_000)
        # Nothing of the tests goes to the real internet.
        context.route(
            re.compile("^https?://shop.example.com"),
            lambda route: route.fulfill(body="<title>shop</title>", content_type="text/html"),
        )
        yield context


@pytest.fixture(scope="module")
def page(context, desk):
    errors = []
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(desk.url)
    page.wait_for_selector("#live[data-state=on]")
    yield page
    assert errors == []


def choose(page, subject, tab=None):
    page.locator(".row .subject", has_text=re.compile(f"^{subject}$")).click()
    page.locator("#head h2", has_text=subject).wait_for()
    if tab:
        page.get_by_role("tab", name=tab).click()
    return page.locator("#tab")


def wait_until(page, expression, argument=None):
    page.wait_for_function(expression, arg=argument)


def test_a_text_has_links(page):
    tab = choose(page, "reset", "Text")
    link = tab.get_by_role("link", name="https://shop.example.com/reset?t=1", exact=True)
    assert link.get_attribute("rel") == "noopener noreferrer"
    with page.context.expect_page() as opened:
        link.click()
    assert opened.value.title() == "shop"
    assert opened.value.evaluate("[opener, document.referrer]") == [None, ""]
    opened.value.close()
    assert tab.get_by_role("link").all_inner_texts()[1] == "mailto:help@example.com"
    page.get_by_role("tab", name="Links").click()
    assert tab.get_by_role("link").count() == 2
    page.keyboard.press("c")
    hint = "not checked: the sandbox was not started with --check-links shop.example.com"
    tab.get_by_text(hint).wait_for()


def test_a_link_of_the_html_opens_a_tab_and_an_anchor_scrolls(page):
    choose(page, "news", "HTML")
    frame = page.frame_locator(".stage iframe")
    frame.get_by_text("to the end").click()
    html = frame.locator("html")
    end = time.monotonic() + 20
    # A frame without scripts has no timer that could wait.
    while html.evaluate("scrollY") < 1000:
        assert time.monotonic() < end
        page.wait_for_timeout(20)
    html.evaluate("scrollTo(0, 0)")
    with page.context.expect_page() as opened:
        frame.get_by_text("shop").click()
    assert opened.value.title() == "shop"
    opened.value.close()
    assert "/html" in page.frames[1].url


def test_the_views_of_the_html(page):
    choose(page, "news", "HTML")
    frame = page.frame_locator(".stage iframe")
    image = frame.locator("img")
    assert image.evaluate("image => image.naturalWidth") > 0
    widths = []
    for _ in range(3):
        widths.append(page.locator(".stage iframe").bounding_box()["width"])
        page.keyboard.press("w")
    assert widths[1:] == [768, 375]
    page.keyboard.press("d")
    wait_until(page, "() => document.querySelector('.stage iframe').src.endsWith('?dark=1')")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert frame.locator("body").evaluate(ground) == "rgb(1, 2, 3)"
    page.get_by_role("button", name="Dark", exact=True).click()
    assert frame.locator("body").evaluate(ground) != "rgb(1, 2, 3)"
    assert frame.get_by_text("screen").is_visible()
    page.keyboard.press("p")
    frame.get_by_text("paper").wait_for()
    assert not frame.get_by_text("screen").is_visible()
    page.keyboard.press("p")
    page.keyboard.press("i")
    wait_until(page, "() => document.querySelector('.stage iframe').src.endsWith('?images=0')")
    assert image.evaluate("image => image.naturalWidth") == 0
    page.keyboard.press("i")
    assert page.get_by_role("link", name="Open").get_attribute("href").endswith("/html")


def test_a_long_text_does_not_block_the_page(page):
    page.evaluate("""() => {
      window.tasks = [];
      const note = (list) => tasks.push(...list.getEntries().map((each) => each.duration));
      new PerformanceObserver(note).observe({ type: "longtask" });
    }""")
    tab = choose(page, "long", "Text")
    whole = "chars => document.querySelector('.long').textContent.length === chars"
    wait_until(page, whole, 130_000 * len(LINE))
    tab.evaluate("tab => { tab.scrollTop = tab.scrollHeight; }")
    wait_until(page, "() => document.querySelector('.block:last-child a').checkVisibility()")
    # Below 100 ms if nothing else runs here; a block that is laid out whole takes seconds.
    assert max(page.evaluate("tasks"), default=0) < 1000
    assert (
        page.evaluate(
            "Math.max(...[...document.querySelectorAll('.block')]"
            ".map(each => each.textContent.length))"
        )
        <= 8_000
    )


def test_a_row_says_who_wrote_what_to_whom(page, desk):
    row = page.locator("#mail-1")
    said = " ".join(row.locator(".to").inner_text().split())
    assert said.endswith("from The Shop \u2192 to Ada Lovelace")
    assert row.locator(".snippet").inner_text() == "Read on. Bye"
    assert row.locator(".tag").all_inner_texts() == ["tag\nnews", "tag\nQ4"]
    desk.service.mails.set_read(1, read=False)
    page.locator("#mail-1.unread").wait_for()
    choose(page, "tagged")
    page.locator("#mail-1:not(.unread)").wait_for()
    page.keyboard.press("u")
    page.locator("#mail-1.unread").wait_for()
    page.locator("#search").fill("is:unread tag:q4")
    wait_until(page, "() => document.querySelectorAll('.row').length === 1")
    page.locator("#search").fill("")
    wait_until(page, "() => document.querySelectorAll('.row').length > 1")


@pytest.mark.parametrize("status", ["", "delivered"], ids=["row drawn again", "list loaded again"])
def test_a_click_is_not_lost_while_its_row_changes(page, desk, status):
    choose(page, "reset")
    page.locator("#status").select_option(status)
    desk.service.mails.set_read(1, read=True)
    page.locator("#mail-1:not(.unread)").wait_for()
    page.locator("#mail-1 .subject").hover()
    page.mouse.down()
    desk.service.mails.set_read(1, read=False)
    page.locator("#mail-1.unread").wait_for()
    page.mouse.up()
    page.locator("#head h2", has_text="tagged").wait_for()
    page.locator("#mail-1:not(.unread)").wait_for()
    bin_of_mail = page.locator("#delete-one").element_handle()
    desk.service.mails.set_read(1, read=False)
    page.locator("#mail-1.unread").wait_for()
    assert bin_of_mail.evaluate("button => button.isConnected")
    page.locator("#status").select_option("")


def test_a_message_that_is_deleted_while_the_page_reads_it_is_no_error(page, desk):
    with desk.client() as client:
        client.messages.send_raw(raw("short-lived"))
    number = desk.outbox[-1].number
    choose(page, "short-lived")
    page.locator(f"#mail-{number}:not(.unread)").wait_for()

    def delete_first(route):
        desk.service.mails.delete(number)
        route.continue_()

    page.route(f"**/_sandbox/messages/{number}", delete_first, times=1)
    desk.service.mails.set_read(number, read=False)
    page.locator(f"#mail-{number}").wait_for(state="detached")
    page.locator("#head h2", has_text="short-lived").wait_for(state="detached")
    assert page.locator(".toast", has_text="no mail").count() == 0


def test_what_is_selected_or_found_is_deleted(page, desk):
    with desk.client() as client:
        for number in range(6):
            text = "spare" if number < 4 else "found"
            client.messages.send_raw(raw(f"{text} {number}", text))
    page.locator(".row", has_text="found 5").wait_for()
    page.locator(".row", has_text="spare 3").click()
    press = page.keyboard.press
    press("x")
    press("J")
    assert page.locator("#picked-count").inner_text() == "2 selected"
    assert page.locator("#list [aria-selected=true]").count() == 2
    page.locator(".row", has_text="spare 0").click(modifiers=["Shift"])
    assert page.locator("#picked-count").inner_text() == "4 selected"
    page.locator(".row", has_text="spare 0").click(modifiers=["ControlOrMeta"])
    page.locator(".row", has_text="spare 1").locator(".pick").click()
    assert page.locator("#picked-count").inner_text() == "2 selected"
    press("Delete")
    page.locator(".toast", has_text="2 messages deleted").wait_for()
    left = [mail.subject for mail in desk.outbox if mail.subject.startswith("spare")]
    assert left == ["spare 0", "spare 1"]
    page.locator("#picked").wait_for(state="hidden")
    page.locator("#search").fill("spare")
    wait_until(page, "() => document.querySelectorAll('.row').length === 2")
    page.locator("#search").press("Escape")
    press("a")
    assert page.locator("#picked-count").inner_text() == "2 selected"
    press("D")
    dialog = page.get_by_role("dialog")
    assert "\u201cspare\u201d" in dialog.inner_text()
    dialog.get_by_role("button", name="Delete them").click()
    page.locator(".toast", has_text="2 messages deleted").wait_for()
    page.locator("#search").fill("")
    page.locator(".row", has_text="found 4").wait_for()
    assert not any(mail.subject.startswith("spare") for mail in desk.outbox)


def test_files_are_shown_in_place(page):
    tab = choose(page, "files", "Files")
    rows = tab.get_by_role("listitem")
    assert rows.locator("b").all_inner_texts() == [
        *("photo.png", "M\u00e4rchen.pdf", "data.csv", "invite.ics", "message.eml", "a.zip")
    ]
    wait_until(page, "() => document.querySelector('.thumb').naturalWidth === 1")
    page.keyboard.press("v")
    wait_until(page, "() => document.querySelector('img.shown').naturalWidth === 1")

    def show(index: int, content: str):
        # What is shown moves the rows below it: one after the other, as a person does it.
        rows.nth(index).get_by_role("button", name="Show").click()
        shown = rows.nth(index).locator(content)
        shown.wait_for(state="attached")
        return shown

    pdf = show(1, "iframe.pdf")
    assert pdf.get_attribute("src").endswith("/attachments/1?shown=1")
    assert "1,\u00fc" in show(2, ".long").text_content()
    calendar = show(3, "table")
    assert [line.split("\t") for line in calendar.inner_text().splitlines()] == [
        ["Planning, first quarter"],
        ["Begins", "2026-12-03 10:00 (Europe/Berlin)"],
        ["Ends", "2026-12-03 10:00 UTC"],
        ["Organizer", "Hopper, Grace <grace@example.com>"],
        ["Attendees", "Ada <ada@example.com>: needs-action"],
        ["Description", "Agenda:"],
        ["1. Budget"],
    ]
    inner = show(4, ".long")
    assert inner.text_content() == "INNER TEXT\n"
    assert rows.nth(4).locator("caption").inner_text() == "inner"
    assert rows.nth(5).get_by_role("button").count() == 0
    with page.expect_download() as download:
        rows.nth(1).get_by_role("link").click()
    assert download.value.suggested_filename == "M\u00e4rchen.pdf"


def test_a_mail_is_checked(page):
    tab = choose(page, "news", "Checks")
    tab.locator(".findings").wait_for()
    found = tab.locator(".findings b").all_inner_texts()
    assert found == [
        "1 link leads nowhere: /relative.",
        "There is no text part.",
        "1 image has no alternative text.",
    ]
    choose(page, "tagged").get_by_text("Nothing to object to.").wait_for()


def test_the_address_names_the_message(page):
    choose(page, "news")
    assert page.url.endswith("#4")
    page.evaluate("location.hash = '#2'")
    page.locator("#head h2", has_text="reset").wait_for()


def test_back_on_a_phone_leads_to_the_list(context, browser, desk):
    with browser.new_context(
        viewport={"width": 375, "height": 740}, has_touch=True, is_mobile=True
    ) as phone:
        page = phone.new_page()
        page.goto(desk.url)
        pane = "pane => document.body.dataset.pane === pane"
        for leave in (page.go_back, page.get_by_role("button", name="Back to the list").tap):
            page.locator("#mail-2").tap()
            page.locator("#head h2", has_text="reset").wait_for()
            leave()
            wait_until(page, pane, "messages")
            assert page.locator("#mail-2").is_visible()
        page.get_by_role("button", name="Service").tap()
        wait_until(page, pane, "service")
        page.go_back()
        wait_until(page, pane, "messages")
        assert page.url.startswith(desk.url)


def test_the_service_folds_away(page):
    before = page.locator("#message").bounding_box()["width"]
    page.keyboard.press("f")
    assert page.locator("#service").is_hidden()
    assert page.locator("#message").bounding_box()["width"] > before
    page.reload()
    page.wait_for_selector("#live[data-state=on]")
    assert page.locator("#service").is_hidden()
    page.get_by_role("button", name="The service beside the list").click()
    assert page.locator("#service").is_visible()


def test_every_control_with_a_key_is_in_the_help(page):
    keys = set()
    for subject, tab in (("news", "HTML"), ("reset", "Links"), ("files", "Files")):
        choose(page, subject, tab)
        titles = page.locator("[title]").evaluate_all("all => all.map(each => each.title)")
        keys |= {found[1] for title in titles if (found := re.search(r"\((\S{1,3})\)$", title))}
    page.keyboard.press("?")
    listed = page.get_by_role("dialog", name="Keyboard").locator("kbd").all_inner_texts()
    page.keyboard.press("Escape")
    assert keys >= set("cdfiopruvwDt?") - set("r")
    assert keys - {"Del", "Esc"} <= set(listed)
    assert {"Delete", "Esc"} <= set(listed)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(context, page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.evaluate(AXE.read_text())
    run = "axe.run().then(({violations, passes}) => [violations, passes.length])"

    def check(where):
        violations, passes = page.evaluate(run)
        found = [(each["id"], [node["html"] for node in each["nodes"]]) for each in violations]
        assert (found, passes > 5) == ([], True), where

    choose(page, "files")
    for tab in page.get_by_role("tab").all():
        tab.click()
        check(tab.inner_text())
    page.keyboard.press("x")
    for width in (320, 375, 800, 1100, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        for pane in ("messages", "service"):
            page.evaluate("pane => { document.body.dataset.pane = pane; }", pane)
            check((width, pane))
    page.keyboard.press("?")
    check("keys")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 1280, "height": 800})
