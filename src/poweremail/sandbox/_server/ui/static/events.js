// The events of a message at each recipient, and buttons that record one.

import { post } from "./api.js";
import { attempt, button, chip, count, fullTime, h, plural } from "./dom.js";

const KINDS = [
  ["open", "Open"],
  ["click", "Click"],
  ["soft_bounce", "Soft bounce"],
  ["hard_bounce", "Hard bounce"],
  ["spam", "Spam"],
];
const MAX_RECIPIENTS = 100;

export function eventsTab(mail) {
  const record = (kind, recipient) =>
    attempt(() => post(`/messages/${mail.number}/events`, { kind, recipient, ip: "127.0.0.1", user_agent: navigator.userAgent }));
  const shown = mail.recipients.slice(0, MAX_RECIPIENTS);
  return h(
    "div",
    {},
    h("h3", {}, "Recipients"),
    h(
      "ul",
      { class: "recipients" },
      shown.map((who, index) =>
        h(
          "li",
          {},
          h(
            "div",
            { class: "who" },
            h("span", { class: "email" }, h("small", {}, who.type), " ", who.email),
            h("span", { class: "marks" }, chip(who.status), h("small", {}, `${plural(who.open, "open")}, ${plural(who.click, "click")}`)),
          ),
          h(
            "div",
            { class: "buttons", role: "group", "aria-label": `Record an event at ${who.email}` },
            KINDS.map(([kind, label]) => button(label, () => record(kind, who.email), { id: `do-${kind}-${index}` })),
          ),
        ),
      ),
    ),
    mail.recipients.length > MAX_RECIPIENTS && h("p", { class: "faint" }, `and ${count(mail.recipients.length - MAX_RECIPIENTS)} more recipients`),
    h("h3", {}, "Recorded events"),
    mail.events.length
      ? h(
          "ol",
          { class: "history" },
          mail.events.map((event) =>
            h(
              "li",
              {},
              chip(event.kind),
              h("span", {}, event.email, event.url && h("small", {}, event.url)),
              h("time", { datetime: event.at }, fullTime(event.at)),
            ),
          ),
        )
      : h("p", { class: "faint" }, "No event since it was delivered. The buttons above record one, and getMessageInfo reports it."),
  );
}
