// The tabs of a message, each a function from the message to an element.

import { address, post, text } from "./api.js";
import { attempt, button, copy, h, icon, person, size, toast } from "./dom.js";

const MAX_SOURCE_CHARS = 300_000; // more would make the page slow

const REMOTE = /(?:src|srcset|poster|background|data)\s*=\s*["']?\s*(?:https?:)?\/\/|url\(\s*["']?\s*(?:https?:)?\/\/|@import|<link\b/i;

let phone = false;

// A frame's content is no part of this page: a frame that has the focus matches no :focus, so it gets a class.
function markFrame() {
  for (const frame of document.querySelectorAll(".stage iframe")) frame.classList.toggle("focused", frame === document.activeElement);
}
addEventListener("blur", markFrame);
addEventListener("focus", markFrame, true);

export function htmlTab(mail) {
  // No script, no form, no origin; the headers of its response limit what it may load.
  const frame = h("iframe", {
    sandbox: "",
    referrerpolicy: "no-referrer",
    title: `The HTML of ${mail.subject}`,
    src: address(`/messages/${mail.number}/html`),
  });
  const stage = h("div", { class: phone ? "stage phone" : "stage" }, frame);
  const width = (label, on) =>
    button(
      label,
      (event) => {
        phone = on;
        stage.classList.toggle("phone", on);
        for (const each of event.currentTarget.parentElement.children) each.setAttribute("aria-pressed", String(each === event.currentTarget));
      },
      { class: "", "aria-pressed": String(phone === on) },
    );
  const blocked = h(
    "p",
    { class: "blocked" },
    icon("shield"),
    h("span", {}, "Remote content is blocked."),
    button(
      "Load it",
      (event) => {
        frame.src = address(`/messages/${mail.number}/html?remote=1`);
        event.currentTarget.parentElement.replaceChildren(icon("shield"), h("span", {}, "Remote content is loaded, for this message only."));
      },
      { class: "quiet", id: "load-remote" },
    ),
  );
  return h(
    "div",
    { class: "htmlview" },
    h(
      "div",
      { class: "above" },
      REMOTE.test(mail.html) ? blocked : h("p", { class: "blocked calm" }, icon("shield"), h("span", {}, "Scripts, forms and links are off.")),
      h("div", { class: "segments", role: "group", "aria-label": "Width" }, width("Full width", false), width("Phone", true)),
    ),
    stage,
  );
}

export const textTab = (mail) => h("pre", { class: "prose" }, mail.text);

export function linksTab(mail) {
  return h(
    "ul",
    { class: "plainlist" },
    mail.links.map((link) =>
      h(
        "li",
        {},
        h("a", { href: link, target: "_blank", rel: "noopener noreferrer" }, link),
        h(
          "span",
          { class: "buttons" },
          button("Copy", () => copy(link), { class: "quiet", "aria-label": `Copy ${link}` }),
          button("Record a click", () => attempt(() => post(`/messages/${mail.number}/events`, { kind: "click", url: link }).then(() => toast("Click recorded"))), {
            "aria-label": `Record a click on ${link}`,
          }),
        ),
      ),
    ),
  );
}

export function filesTab(mail) {
  const rows = (files, kind) =>
    files.map((file, index) =>
      h(
        "li",
        {},
        h("span", { class: "file" }, icon(kind === "images" ? "mail" : "clip"), h("span", {}, h("b", {}, file.name), h("small", {}, `${file.type}, ${size(file.size)}${kind === "images" ? ", inline" : ""}`))),
        h("a", { class: "plain", href: address(`/messages/${mail.number}/${kind}/${index}`), download: "", "aria-label": `Download ${file.name}` }, icon("down"), "Download"),
      ),
    );
  return h("ul", { class: "plainlist" }, rows(mail.attachments, "attachments"), rows(mail.images, "images"));
}

const table = (caption, pairs) =>
  h(
    "table",
    {},
    h("caption", {}, caption),
    h(
      "tbody",
      {},
      pairs.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value))),
    ),
  );

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
  const pre = h("pre", { class: "code" }, "…");
  const note = h("span", {}, "");
  attempt(async () => {
    const found = await text(path, MAX_SOURCE_CHARS);
    pre.textContent = found.whole ? change(found.text) : found.text;
    note.textContent = found.whole ? "" : "Only the beginning is shown.";
  });
  return h("div", {}, h("p", { class: "above" }, note, h("span", { class: "buttons" }, button("Copy", () => copy(pre.textContent), { class: "quiet" }), tools)), pre);
}

export const rawTab = (mail) =>
  later(`/messages/${mail.number}/raw`, h("span", { class: "faint" }, "Owner id and token are never stored."), (json) => JSON.stringify(JSON.parse(json), null, 2));

export const sourceTab = (mail) =>
  later(
    `/messages/${mail.number}/source`,
    h("a", { class: "plain", href: address(`/messages/${mail.number}/source?download=1`), download: "" }, icon("down"), "Save as .eml"),
  );
