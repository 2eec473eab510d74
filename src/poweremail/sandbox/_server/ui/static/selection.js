// The messages that are selected to do something with all of them, and what can be done.

import { post, query, remove } from "./api.js";
import { $, announce, attempt, count, plural, toast } from "./dom.js";

export class Selection {
  constructor(list) {
    this.list = list;
    this.numbers = new Set();
    $("pick-none").addEventListener("click", () => this.clear());
    $("pick-delete").addEventListener("click", () => this.delete());
    $("pick-read").addEventListener("click", () => this.toggleRead());
    $("delete-all").addEventListener("click", () => this.askAll());
    $("confirm-yes").addEventListener("click", () => this.deleteAll());
  }

  has(number) {
    return this.numbers.has(number);
  }

  toggle(number) {
    if (number === null) return;
    if (!this.numbers.delete(number)) this.numbers.add(number);
    this.from = number;
    this.show();
  }

  /** Select the rows from the one that was selected last to *number*. */
  extend(number) {
    const shown = this.list.mails.map((mail) => mail.number);
    const ends = [shown.indexOf(this.from ?? this.list.selected), shown.indexOf(number)].sort((one, other) => one - other);
    if (ends[0] < 0) return;
    for (const each of shown.slice(ends[0], ends[1] + 1)) this.numbers.add(each);
    this.show();
  }

  all() {
    for (const mail of this.list.mails) this.numbers.add(mail.number);
    this.show();
  }

  clear() {
    this.numbers.clear();
    this.from = null;
    this.show();
  }

  /** Show it; messages that the list has no more are not selected any more. */
  show() {
    const shown = new Set(this.list.mails.map((mail) => mail.number));
    for (const number of this.numbers) if (!shown.has(number)) this.numbers.delete(number);
    for (const number of shown) this.list.row(number)?.setAttribute("aria-selected", String(this.has(number)));
    const some = this.numbers.size > 0;
    document.body.toggleAttribute("data-picking", some);
    $("picked").hidden = !some;
    $("unpicked").hidden = some;
    $("picked-count").textContent = `${count(this.numbers.size)} selected`;
    if (some) announce($("picked-count").textContent);
  }

  /** The numbers that are selected; else the one of the message that is shown. */
  get wanted() {
    if (this.numbers.size) return [...this.numbers];
    return this.list.selected === null ? [] : [this.list.selected];
  }

  async delete() {
    const numbers = this.wanted;
    await attempt(async () => {
        await post("/messages/delete", { numbers });
      if (numbers.length > 1) toast(`${plural(numbers.length, "message")} deleted`);
    });
  }

  /** Mark them as unread if all are read, else as read. */
  async toggleRead() {
    const numbers = this.wanted;
    const read = this.list.mails.some((mail) => numbers.includes(mail.number) && !mail.read);
    await attempt(async () => {
      for (const number of numbers) await post(`/messages/${number}/read`, { read });
      announce(`Marked as ${read ? "read" : "unread"}`);
    });
  }

  askAll() {
    if ($("delete-all").disabled) return;
    const { search, status } = this.list.filter;
    const found = [search && `“${search}”`, status && `the status ${status.replace("_", " ")}`].filter(Boolean).join(" and ");
    $("confirm-title").textContent = found ? "Delete all messages that are found?" : "Delete all messages?";
    $("confirm-text").textContent = found
      ? `This deletes all messages with ${found} for good, also those that the list does not show yet.`
      : `This deletes ${plural(this.list.total, "message")} for good. SMTP users, templates and faults stay.`;
    $("confirm-yes").textContent = found ? "Delete them" : "Delete all";
    $("confirm").showModal();
  }

  async deleteAll() {
    $("confirm").close();
    await attempt(async () => {
      const { forgotten } = await remove(`/messages${query(this.list.filter)}`);
      toast(`${plural(forgotten, "message")} deleted`);
    });
  }
}
