// What became of a message at each recipient, and buttons that make it so.

import { post } from "./api.js";
import { attempt, button, chip, count, fullTime, h, plural } from "./dom.js";

const KINDS = [
  ["open", "Open"],
  ["click", "Click"],
  ["soft_bounce", "Soft bounce"],
  ["hard_bounce", "Hard bounce"],
  ["spam", "Spam"],
];
const MOST = 100;

export function eventsTab(mail) {
  const record = (kind, recipient) =>
    attempt(() => post(`/messages/${mail.number}/events`, { kind, recipient, ip: "127.0.0.1", user_agent: navigator.userAgent }));
  const shown = mail.recipients.slice(0, MOST);
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
            { class: "buttons", role: "group", "aria-label": `Make it happen at ${who.email}` },
            KINDS.map(([kind, label]) => button(label, () => record(kind, who.email), { id: `do-${kind}-${index}` })),
          ),
        ),
      ),
    ),
    mail.recipients.length > MOST && h("p", { class: "faint" }, `and ${count(mail.recipients.length - MOST)} more recipients`),
    h("h3", {}, "What happened"),
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
      : h("p", { class: "faint" }, "Nothing since it was delivered. The buttons above make it happen; getMessageInfo tells of it."),
  );
}
