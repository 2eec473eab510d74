// A row of the list: who wrote to whom about what, how the message begins, and its state.

import { WORDS, chip, count, h, hidden, icon, isolated, person, shortTime, subjectOf } from "./dom.js";

const MAX_CHIPS = 2; // that have room in a row
const MAX_TAGS = 3;

export function rowOf(mail, { fresh = false, picked = false } = {}) {
  const more = mail.recipient_count - mail.recipients.length;
  const from = isolated(mail.from_name || mail.from_email);
  const to = mail.recipients.map((who) => isolated(who.name || who.email)).join(", ") + (more > 0 ? ` and ${count(more)} more` : "");
  const sender = person({ name: mail.from_name, email: mail.from_email });
  return h(
    "li",
    {
      id: `mail-${mail.number}`,
      role: "option",
      class: `row${fresh ? " fresh" : ""}${mail.read ? "" : " unread"}`,
      "data-number": String(mail.number),
      "aria-selected": String(picked),
      title: `${sender} to ${mail.recipients.map(person).join(", ")}`,
    },
    h("span", { class: "pick", "aria-hidden": "true" }),
    h(
      "span",
      { class: "line" },
      h("span", { class: "subject" }, subjectOf(mail)),
      h("time", { datetime: mail.received }, shortTime(mail.received)),
    ),
    h("span", { class: "line" }, h("span", { class: "to" }, mail.read ? null : hidden("unread, "), hidden("from "), from, h("span", { class: "arrow", "aria-hidden": "true" }, " → "), hidden(" to "), to), marks(mail)),
    (mail.snippet || mail.tags.length > 0) &&
      h(
        "span",
        { class: "line" },
        h("span", { class: "snippet" }, mail.snippet),
        mail.tags.length > 0 && h("span", { class: "tags" }, mail.tags.slice(0, MAX_TAGS).map((tag) => h("span", { class: "tag" }, hidden("tag "), tag))),
      ),
  );
}

function marks(mail) {
  // The API sorts states by importance; the most important one is last.
  const statuses = Object.entries(mail.statuses).filter(([status]) => status !== "delivered").reverse();
  const others = statuses.slice(MAX_CHIPS).map(([status, number]) => `${count(number)} ${WORDS[status].toLowerCase()}`);
  const several = mail.recipient_count > 1;
  return h(
    "span",
    { class: "marks" },
    mail.attachment_count > 0 && h("span", { class: "clip" }, icon("clip"), hidden(`${mail.attachment_count} attached `)),
    mail.template_id && h("span", { class: "tag" }, hidden("template "), mail.template_id),
    statuses.slice(0, MAX_CHIPS).map(([status, number]) => chip(status, several && number)),
    others.length > 0 && h("span", { class: "chip more", title: others.join(", ") }, hidden(others.join(", ")), h("span", { "aria-hidden": "true" }, `+${others.length}`)),
  );
}
