"""
The site that mkdocs has built, in a browser: its search answers the questions of new users, and no
code is cut off. ``nox -s docs`` builds it and names it in POWEREMAIL_SITE.
"""

from __future__ import annotations

import functools
import http.server
import importlib
import os
import re
import shutil
import threading
from pathlib import Path

import pytest

SITE = os.environ.get("POWEREMAIL_SITE", "")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(not SITE, reason="needs the built site")

PUBLIC = (
    *("poweremail", "poweremail.batch", "poweremail.engines", "poweremail.errors"),
    *("poweremail.sandbox", "poweremail.suppression", "poweremail.transports"),
    *("poweremail.types", "poweremail.unsubscribe", "poweremail.webhooks"),
    *("poweremail.contrib.django", "poweremail.contrib.opentelemetry"),
)

QUESTIONS = {
    "what do I do on a timeout?": {"outcomes", "configure"},
    "how do I send from Django?": {"django"},
    "how do I not send twice?": {"outcomes"},
    "duplicate": {"outcomes"},
    "unsubscribe": {"unsubscribe"},
    "celery": {"celery", "queues"},
    "opentelemetry": {"observability", "reference/opentelemetry"},
    "unicode": {"send-mail"},
    "attach a file": {"attachments"},
    "inline image": {"attachments"},
    "rate limit 429": {"limits", "outcomes"},
    "retry": {"outcomes"},
    "bounce": {"webhooks", "look-up", "testing"},
    "verify webhook signature": {"webhooks"},
    "newsletter csv": {"batches", "many-hosts", "examples"},
    "crash kill -9": {"batches", "many-hosts"},
    "pytest fixture": {"testing"},
    "proxy": {"transports"},
    "exit status": {"cli"},
    "DKIM SPF": {"go-live", "account"},
    "staging redirect": {"configure"},
    "kubernetes": {"many-hosts"},
    "without await": {"threads"},
    "FastAPI": {"fastapi"},
    "template": {"send-template"},
    "mail sent twice": {"outcomes", "outbox", "queues"},
    "double email": {"outcomes"},
    "timeout": {"configure", "outcomes"},
    "attachment from memory": {"attachments"},
    "attach pdf bytes": {"attachments"},
    "SMTP to API": {"migrate", "send-mail", "email-message"},
    "replace smtplib": {"email-message", "migrate"},
    "rate limit exceeded 429": {"limits", "outcomes"},
    "too many requests": {"limits", "outcomes"},
    "Postgres": {"batches", "many-hosts", "outbox"},
    "environment variables": {"configure", "index", "cli"},
    "api key": {"index", "configure"},
    "alerts": {"go-live", "observability"},
    "monitoring": {"observability"},
    "Docker": {"share-sandbox"},
    "unsubscribe link": {"unsubscribe"},
    "background task": {"fastapi", "queues"},
    "tracing": {"observability"},
    "emoji subject": {"send-mail"},
    "bcc": {"send-mail"},
    "reply to": {"send-mail"},
    "custom headers": {"send-mail"},
    "self signed certificate": {"transports"},
    "corporate firewall": {"transports"},
    "mock email in tests": {"testing"},
    "jupyter": {"examples", "threads"},
    "delete old data GDPR": {"many-hosts"},
    "queue": {"queues"},
    "spam": {"go-live", "webhooks", "suppression"},
    "DKIM": {"go-live", "account"},
    "type hints": {"reference/types", "versions", "index", "reference/client"},
    "logging": {"observability"},
    "schedule email later": {"outbox"},
    "send later": {"outbox"},
    "cron": {"examples", "many-hosts"},
    "password reset": {"suppression", "outbox", "go-live"},
    "connection refused": {"sandbox", "index", "transports", "outcomes"},
    "address already in use": {"index", "sandbox"},
    "bulk email": {"send-many", "batches"},
    "mailing list csv": {"batches", "examples"},
    "personalize": {"send-template", "batches"},
    "open tracking": {"send-mail"},
    "was my mail delivered": {"look-up"},
    "invalid email address": {"send-mail"},
    "html only": {"texts-and-domains", "send-mail"},
    "upgrade from 0.1": {"versions"},
    "python 3.10": {"versions", "index"},
    "how fast": {"performance"},
    "sync client": {"threads"},
    "staging": {"configure", "go-live"},
    "blacklist": {"suppression"},
    "transaction rollback": {"outbox", "django", "celery"},
    "kill worker": {"many-hosts", "queues"},
    "exit code": {"cli"},
    "event loop is closed": {"asyncio"},
    "max size": {"attachments", "configure"},
}
FIRST = 3
"""The page is among so many results: that is what a small screen shows."""


INPUT = ".md-search__input"
META = """(untouched) => document.querySelector(".md-search-result__meta")
    .textContent.includes("Type to start searching") === untouched"""
SHOWN = """() => document.querySelector(".md-search-result__item")
    || document.querySelector(".md-search-result__meta").textContent.includes("No ")"""


@pytest.fixture(scope="module")
def site():
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=SITE)
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_in_the_reference(module):
    pages = "".join(page.read_text() for page in Path(SITE, "reference").rglob("index.html"))
    described = {place.rpartition(".")[2] for place in re.findall(r'id="([\w.]+)"', pages)}
    # The twins without await are described in words.
    described |= {name.removeprefix("Async") for name in described} | {"__version__"}
    assert set(importlib.import_module(module).__all__) - described == set()


def test_machines_find_each_page_as_markdown():
    text = Path(SITE, "llms.txt").read_text()
    listed = re.findall(r"^- \[[^\]]+\]\(([^)]+)\)", text, re.MULTILINE)
    docs = Path(__file__).parents[2] / "docs"
    assert sorted(listed) == sorted(str(page.relative_to(docs)) for page in docs.rglob("*.md"))
    for name in listed:
        text = Path(SITE, name).read_text()
        assert re.search(r"^# ", text, re.MULTILINE), name
        assert not re.search(r"^:{2,} ", text, re.MULTILINE), name


def test_the_search_answers_the_questions_of_new_users(site, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(site)
    page.focus(INPUT)
    missed = {}
    for question, wanted in QUESTIONS.items():
        page.fill(INPUT, question[:-1])
        page.press(INPUT, question[-1])  # the search listens to keys
        page.wait_for_function(META, arg=False)
        page.wait_for_function(SHOWN)
        found = page.eval_on_selector_all(
            ".md-search-result__item > a",
            "links => links.map(link => new URL(link.href).pathname.replaceAll('/', ' ').trim())",
        )
        page.fill(INPUT, "")
        page.press(INPUT, "Backspace")
        page.wait_for_function(META, arg=True)
        found = [name.replace(" ", "/") or "index" for name in dict.fromkeys(found)][:FIRST]
        if wanted.isdisjoint(found):
            missed[question] = found
    page.close()
    assert missed == {}


def test_no_list_or_table_is_taken_for_a_paragraph():
    merged = {}
    for html in sorted(Path(SITE).rglob("index.html")):
        for paragraph in re.findall(r"<p>((?:(?!</p>).)*)</p>", html.read_text(), re.DOTALL):
            if re.search(r"^\s*(-|\|)\s", paragraph, re.MULTILINE):
                merged[str(html.relative_to(SITE).parent)] = paragraph[:80]
    assert merged == {}


@pytest.mark.parametrize("width", [1280, 390])
def test_no_code_is_cut_off(site, browser, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    cut = {}
    for html in sorted(Path(SITE).rglob("index.html")):
        name = str(html.relative_to(SITE).parent)
        page.goto(f"{site}/{name}/")
        wide = page.evaluate(
            """() => [...document.querySelectorAll("article pre > code")]
                .filter(code => code.scrollWidth > code.clientWidth + 1)
                .map(code => code.textContent.slice(0, 60))"""
        )
        page_is_wide = page.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth + 1"
        )
        if wide or page_is_wide:
            cut[name] = wide or "the page itself"
    page.close()
    assert cut == {}
