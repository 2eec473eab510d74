// The tabs of a message that are plain: its text, template and headers, and the forms in which it came and would be sent.

import { address, text } from "./api.js";
import { attempt, button, copy, h, icon, person, size, table } from "./dom.js";
import { longText } from "./text.js";

const MAX_SOURCE_CHARS = 1_000_000; // more would take the page long to load

export const textTab = (mail) => h("div", { class: "prose" }, longText(mail.text, mail.links));

export function templateTab(mail) {
  const values = Object.entries(mail.dynamic_value);
  return h(
    "div",
    {},
    table("Template", [["Id", mail.template_id]]),
    values.length ? table("Values", values) : h("p", { class: "nothing" }, "No values."),
  );
}

export function headersTab(mail) {
  return h(
    "div",
    {},
    table("Headers", [
      ["From", person({ name: mail.from_name, email: mail.from_email })],
      ["Subject", mail.subject],
      ...Object.entries(mail.headers).filter(([name]) => !["from", "subject"].includes(name.toLowerCase())),
    ]),
    table("Request", [
      ["Call", mail.operation],
      ["SMTP user", mail.smtp_user_name],
      ["Unique id", mail.unique_id ?? "none"],
      ["Number", String(mail.number)],
      ["Size", `${size(mail.mail_size)}, of which files ${size(mail.attachment_size)}`],
    ]),
  );
}

function later(path, tools, change = (whole) => whole) {
  const code = h("div", { class: "code" }, "…");
  const note = h("span", {}, "");
  let shown = "";
  attempt(async () => {
    const found = await text(path, MAX_SOURCE_CHARS);
    shown = found.whole ? change(found.text) : found.text;
    code.replaceChildren(longText(shown));
    note.textContent = found.whole ? "" : "Only the beginning is shown.";
  });
  return h("div", {}, h("p", { class: "above" }, note, h("span", { class: "buttons" }, button("Copy", () => copy(shown), { class: "quiet" }), tools)), code);
}

export const rawTab = (mail) =>
  later(`/messages/${mail.number}/raw`, h("span", { class: "faint" }, "Owner id and token are never stored."), (json) => JSON.stringify(JSON.parse(json), null, 2));

export const sourceTab = (mail) =>
  later(
    `/messages/${mail.number}/source`,
    h("a", { class: "plain", href: address(`/messages/${mail.number}/source?download=1`), download: "" }, icon("down"), "Save as .eml"),
  );
