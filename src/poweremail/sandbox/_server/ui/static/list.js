// The list of messages: a page at a time, newest first, with new messages as they arrive.

import { get, query } from "./api.js";
import { $, announce, attempt, count, h, plural, update } from "./dom.js";
import { rowOf } from "./row.js";
import { Selection } from "./selection.js";

const PAGE_SIZE = 50;
const MAX_SINGLE_UPDATES = 20; // above it, loading the page again is less work

const list = $("list");
const scroll = $("scroll");

export class List {
  constructor(onSelect) {
    this.onSelect = onSelect;
    this.mails = [];
    this.filter = { search: "", status: "" };
    this.selected = null;
    this.total = 0;
    this.unseen = 0;
    this.selection = new Selection(this);
    this.latest = 0; // the number of the latest load: responses that belong to an earlier one are dropped
    list.addEventListener("click", (event) => {
      const row = event.target.closest("[role=option]");
      if (!row) return;
      const number = Number(row.dataset.number);
      if (event.shiftKey) this.selection.extend(number);
      else if (event.ctrlKey || event.metaKey || event.target.closest(".pick")) this.selection.toggle(number);
      else this.select(number, { enter: true });
    });
    $("older").addEventListener("click", () => attempt(() => this.older()));
    $("new").addEventListener("click", () => {
      scroll.scrollTo({ top: 0 });
      this.unseen = 0;
      this.summarize();
    });
    scroll.addEventListener("scroll", () => {
      if (scroll.scrollTop < 8 && this.unseen) {
        this.unseen = 0;
        this.summarize();
      }
    });
  }

  get filtered() {
    return Boolean(this.filter.search || this.filter.status);
  }

  /** Load the newest page. */
  async load(filter = this.filter) {
    const load = ++this.latest;
    this.filter = filter;
    const page = await get(`/messages${query({ ...filter, limit: PAGE_SIZE })}`);
    if (load !== this.latest) return;
    this.mails = page.messages;
    this.unseen = 0;
    this.settle(page.total, page.more);
    this.drawAll();
    this.mark();
  }

  async older() {
    // A second click before the response would load the same page twice.
    if (this.fetching || !this.mails.length) return;
    this.fetching = true;
    try {
      await this.append();
    } finally {
      this.fetching = false;
    }
  }

  async append() {
    const load = this.latest;
    const before = this.mails.at(-1).number;
    const page = await get(`/messages${query({ ...this.filter, before, limit: PAGE_SIZE })}`);
    if (load !== this.latest) return;
    this.mails.push(...page.messages);
    list.append(...page.messages.map((mail) => this.draw(mail)));
    this.settle(page.total, page.more);
    this.mark();
  }

  /** Apply changes: *caught* is whether there are new messages, *changed* and *deleted* are numbers of messages. */
  async update({ caught, changed, deleted }) {
    const known = changed.filter((number) => this.mails.some((mail) => mail.number === number));
    if (known.length > MAX_SINGLE_UPDATES || (changed.length && this.filter.status) || (caught && !this.mails.length)) {
      await this.load();
      return;
    }
    if (deleted.length) this.drop(deleted);
    for (const number of known) await this.refresh(number);
    if (caught) await this.newer();
  }

  async newer() {
    const load = this.latest;
    const after = this.mails[0]?.number ?? 0;
    const page = await get(`/messages${query({ ...this.filter, after, limit: PAGE_SIZE })}`);
    if (load !== this.latest) return;
    if (page.more || !this.mails.length) {
      await this.load();
      return;
    }
    const fresh = page.messages.reverse();
    this.mails.unshift(...fresh);
    // If the user has scrolled down, the visible rows stay where they are.
    const away = scroll.scrollTop >= 8;
    const height = scroll.scrollHeight;
    const top = scroll.scrollTop;
    list.prepend(...fresh.map((mail) => this.draw(mail, true)));
    if (away) {
      scroll.scrollTop = top + scroll.scrollHeight - height;
      this.unseen += fresh.length;
    }
    this.settle(page.total, !$("older").hidden);
    if (fresh.length === 1) announce(`New message: ${fresh[0].subject}`);
    else if (fresh.length) announce(`${fresh.length} new messages`);
    this.mark();
  }

  async refresh(number) {
    const page = await get(`/messages${query({ before: number + 1, limit: 1 })}`);
    const mail = page.messages[0];
    const index = this.mails.findIndex((each) => each.number === number);
    if (index < 0 || mail?.number !== number) return;
    this.mails[index] = mail;
    this.redraw(mail);
    this.mark();
  }

  drop(numbers) {
    const gone = new Set(numbers);
    const index = this.mails.findIndex((mail) => mail.number === this.selected);
    this.mails = this.mails.filter((mail) => !gone.has(mail.number));
    for (const number of gone) this.row(number)?.remove();
    this.settle(Math.max(this.total - gone.size, this.mails.length), !$("older").hidden);
    if (gone.has(this.selected)) this.select((this.mails[index] || this.mails.at(-1))?.number ?? null);
    if (!this.mails.length && !$("older").hidden) attempt(() => this.load());
  }

  draw(mail, fresh = false) {
    return rowOf(mail, { fresh, picked: this.selection.has(mail.number) });
  }

  /** The row of a message, which stays where it is if the list has it. */
  redraw(mail) {
    const row = this.row(mail.number);
    return row ? update(row, this.draw(mail)) : this.draw(mail);
  }

  drawAll() {
    const rows = this.mails.map((mail) => this.redraw(mail));
    const wanted = new Set(rows);
    for (const row of [...list.children]) if (!wanted.has(row)) row.remove();
    rows.forEach((row, index) => row === list.children[index] || list.insertBefore(row, list.children[index] ?? null));
  }

  row(number) {
    return $(`mail-${number}`);
  }

  /** Go *step* rows on, or to the first where none is selected. */
  move(step) {
    const index = this.mails.findIndex((mail) => mail.number === this.selected);
    const next = this.mails[index < 0 ? 0 : Math.min(Math.max(index + step, 0), this.mails.length - 1)];
    if (next) this.select(next.number);
    if (index + step >= this.mails.length && !$("older").hidden) attempt(() => this.older());
  }

  select(number, { enter = false } = {}) {
    this.selected = number;
    this.mark();
    this.row(number)?.scrollIntoView({ block: "nearest" });
    this.onSelect(number, enter);
  }

  mark() {
    for (const row of list.querySelectorAll("[aria-current]")) row.removeAttribute("aria-current");
    const row = this.row(this.selected);
    row?.setAttribute("aria-current", "true");
    if (row) list.setAttribute("aria-activedescendant", row.id);
    else list.removeAttribute("aria-activedescendant");
  }

  settle(total, more) {
    this.total = total;
    $("older").hidden = !more;
    this.summarize();
  }

  summarize() {
    const shown = this.mails.length;
    const all = plural(this.total, "message");
    $("count").textContent = this.filtered ? `${count(shown)}${$("older").hidden ? "" : "+"} found in ${all}` : all;
    $("delete-all").disabled = shown === 0;
    $("delete-all").textContent = this.filtered ? "Delete found" : "Delete all";
    this.selection.show();
    $("new").hidden = !this.unseen;
    $("new").textContent = `${count(this.unseen)} new`;
    const empty = $("no-messages");
    empty.hidden = shown > 0;
    list.hidden = shown === 0;
    if (!shown) {
      empty.replaceChildren(
        this.total && this.filtered
          ? h("p", { class: "nothing" }, "No message matches.")
          : h("p", { class: "nothing" }, "No messages yet. New ones appear here."),
      );
    }
  }
}
