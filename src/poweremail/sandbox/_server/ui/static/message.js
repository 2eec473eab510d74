// The pane of one message: its head and its tabs.

import { BASE, get, post } from "./api.js";
import { checksTab } from "./checks.js";
import { $, attempt, button, chip, copy, count, fullTime, h, icon, person, refill, size, subjectOf, update } from "./dom.js";
import { eventsTab } from "./events.js";
import { filesTab } from "./files.js";
import { htmlTab } from "./html.js";
import { linksTab } from "./links.js";
import { releaseButton } from "./release.js";
import { headersTab, rawTab, sourceTab, templateTab, textTab } from "./tabs.js";

const MAX_HEAD_RECIPIENTS = 3; // of each kind; the tab of events has all of them
const pane = $("message");

const TABS = [
  ["html", "HTML", htmlTab, (mail) => mail.html !== null],
  ["text", "Text", textTab, (mail) => mail.text !== null],
  ["events", "Events", eventsTab, () => true, (mail) => mail.events.length],
  ["links", "Links", linksTab, (mail) => mail.links.length, (mail) => mail.links.length],
  ["files", "Files", filesTab, (mail) => mail.attachments.length + mail.images.length, (mail) => mail.attachments.length + mail.images.length],
  ["checks", "Checks", checksTab, () => true],
  ["template", "Template", templateTab, (mail) => mail.template_id !== null],
  ["headers", "Headers", headersTab, () => true],
  ["raw", "JSON", rawTab, () => true],
  ["source", "Source", sourceTab, () => true],
];

export class MessageView {
  constructor(onBack, onDelete) {
    this.onBack = onBack;
    this.onDelete = onDelete;
    this.mail = null;
    this.wanted = "html"; // the tab last chosen, kept from message to message
    this.latest = 0; // the number of the latest load: the response to an earlier one is dropped
  }

  get tabs() {
    return TABS.filter(([, , , has]) => has(this.mail));
  }

  async show(number) {
    const load = ++this.latest;
    if (number === null) {
      this.mail = null;
      this.empty();
      return;
    }
    const mail = await get(`/messages/${number}`);
    if (load !== this.latest) return;
    this.mail = mail;
    this.draw();
    if (!mail.read) await post(`/messages/${number}/read`, {});
  }

  /**
   * The message has changed: draw its state again, and leave the part that is being read alone.
   * Returns false if the message was deleted.
   */
  async refresh() {
    const { number } = this.mail;
    const mail = await get(`/messages/${number}`).catch((error) => {
      if (error.status !== 404) throw error;
      return null;
    });
    if (mail === null) return false;
    if (this.mail?.number !== number) return true;
    this.mail = mail;
    update($("head"), this.head());
    update($("tabs"), this.tabList());
    if (this.current === "events") refill($("tab"), eventsTab(mail));
    return true;
  }

  empty() {
    const first = $("first-mail").content.cloneNode(true);
    for (const each of first.querySelectorAll("[data-base]")) each.textContent = BASE;
    for (const each of first.querySelectorAll("[data-copy]")) {
      each.addEventListener("click", () => copy($(each.dataset.copy).textContent));
    }
    pane.replaceChildren(document.body.dataset.total === "0" ? first : h("p", { class: "nothing" }, "Choose a message to read."));
  }

  draw() {
    const body = h("div", { id: "tab", role: "tabpanel", tabindex: "0" });
    const names = this.tabs.map(([name]) => name);
    this.current = names.includes(this.wanted) ? this.wanted : names[0];
    pane.replaceChildren(this.head(), this.tabList(), body);
    this.drawTab();
  }

  head() {
    const { mail } = this;
    const line = (name, value) => value && h("div", {}, h("dt", {}, name), h("dd", {}, value));
    const to = (type) => {
      const people = mail.recipients.filter((who) => who.type === type).map(person);
      const more = people.length - MAX_HEAD_RECIPIENTS;
      return people.slice(0, MAX_HEAD_RECIPIENTS).join(", ") + (more > 0 ? ` and ${count(more)} more` : "");
    };
    const states = new Map();
    for (const who of mail.recipients) states.set(who.status, (states.get(who.status) || 0) + 1);
    return h(
      "header",
      { id: "head", class: "head" },
      h(
        "div",
        { class: "title" },
        h("button", { type: "button", class: "tool back", "aria-label": "Back to the list", click: this.onBack }, icon("back")),
        h("h2", { title: mail.subject }, subjectOf(mail)),
        releaseButton(mail),
        h(
          "button",
          { type: "button", class: "tool", id: "delete-one", "aria-label": "Delete this message", title: "Delete (Del)", click: () => this.onDelete() },
          icon("bin"),
        ),
      ),
      h(
        "dl",
        {},
        line("From", person({ name: mail.from_name, email: mail.from_email })),
        line("To", to("to")),
        line("Cc", to("cc")),
        line("Bcc", to("bcc")),
      ),
      h(
        "p",
        { class: "facts" },
        mail.tags.map((tag) => h("span", { class: "tag" }, tag)),
        [...states].map(([status, number]) => chip(status, mail.recipients.length > 1 && number)),
        h("time", { datetime: mail.received }, fullTime(mail.received)),
        h("span", {}, `${mail.operation} by ${mail.smtp_user_name}`),
        h("span", {}, size(mail.mail_size)),
        mail.unique_id && h("span", { class: "uid" }, h("code", {}, mail.unique_id), button("Copy", () => copy(mail.unique_id), { class: "quiet", "aria-label": "Copy the unique id" })),
      ),
    );
  }

  tabList() {
    const tabs = this.tabs.map(([name, label, , , number]) => {
      const many = number ? number(this.mail) : 0;
      return h(
        "button",
        {
          type: "button",
          role: "tab",
          id: `tab-${name}`,
          "aria-selected": String(name === this.current),
          "aria-controls": "tab",
          tabindex: name === this.current ? "0" : "-1",
          click: () => this.choose(name),
          keydown: (event) => this.arrow(event, name),
        },
        label,
        many ? [" ", h("span", { class: "many" }, count(many))] : null,
      );
    });
    return h("div", { id: "tabs", class: "tabs", role: "tablist", "aria-label": "Parts of the message" }, tabs);
  }

  arrow(event, name) {
    const names = this.tabs.map(([each]) => each);
    const index = names.indexOf(name);
    const to = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: names.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.choose(names[(to + names.length) % names.length]);
    $(`tab-${this.current}`).focus();
  }

  choose(name) {
    this.wanted = name;
    this.current = name;
    for (const tab of $("tabs").children) {
      const on = tab.id === `tab-${name}`;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
    }
    $(`tab-${name}`).scrollIntoView({ block: "nearest", inline: "nearest" });
    this.drawTab();
  }

  chooseNumber(index) {
    const tab = this.mail && this.tabs[index];
    if (tab) this.choose(tab[0]);
  }

  drawTab() {
    const [name, , draw] = TABS.find(([each]) => each === this.current);
    const body = $("tab");
    body.className = `tab ${name}`;
    body.setAttribute("aria-labelledby", `tab-${name}`);
    body.replaceChildren(draw(this.mail));
  }
}
