// The tab of the files of a message: images, PDF, texts, invitations and attached messages are shown in place.

import { address, bytes, get } from "./api.js";
import { attempt, button, h, icon, person, size, subjectOf, table } from "./dom.js";
import { calendarView } from "./calendar.js";
import { mailFrame } from "./html.js";
import { longText } from "./text.js";

const MAX_TEXT_BYTES = 5_000_000;

const IMAGE = /^image\/(png|jpe?g|gif|webp|avif|bmp|x-icon|svg\+xml)\b/i;
const IMAGE_NAME = /\.(png|jpe?g|gif|webp|avif|bmp|ico|svg)$/i;
const TEXT = /^(text\/|application\/(json|xml|x-yaml|.*\+(json|xml))\b)/i;
const TEXT_NAME = /\.(txt|csv|tsv|json|xml|ya?ml|md|log|html?|css|js|py|sql|ini|toml|vcf)$/i;

/** How a file is shown, or null. */
function kindOf({ type, name }) {
  const vague = /^application\/(octet-stream|x-[\w.-]+)\b/i.test(type);
  if (IMAGE.test(type) || (vague && IMAGE_NAME.test(name))) return "image";
  if (/^application\/pdf\b/i.test(type) || (vague && /\.pdf$/i.test(name))) return "pdf";
  if (/^message\/rfc822\b/i.test(type)) return "message";
  if (/^text\/calendar\b/i.test(type) || /\.ics$/i.test(name)) return "calendar";
  if (TEXT.test(type) || (vague && TEXT_NAME.test(name))) return "text";
  return null;
}

const VIEWS = {
  image: (file, path) => h("img", { class: "shown", src: address(`${path}?shown=1`), alt: file.name }),
  // Without a sandbox: no browser shows a PDF in one.
  pdf: (file, path) => h("iframe", { class: "shown pdf", src: address(`${path}?shown=1`), title: file.name }),
  text: async (file, path) => longText(await textOf(file, path)),
  calendar: async (file, path) => calendarView(await textOf(file, path)),
  message: messageView,
};

export function filesTab(mail) {
  const rows = (files, kind) => files.map((file, index) => rowOf(file, `/messages/${mail.number}/${kind}/${index}`, kind === "images"));
  return h("ul", { class: "plainlist" }, rows(mail.attachments, "attachments"), rows(mail.images, "images"));
}

function rowOf(file, path, inline) {
  const kind = kindOf(file);
  const view = h("div", { class: "fileview", hidden: true });
  const show = (event) => {
    const shown = view.hidden;
    event.currentTarget.setAttribute("aria-expanded", String(shown));
    event.currentTarget.textContent = shown ? "Hide" : "Show";
    view.hidden = !shown;
    if (shown && !view.firstChild) attempt(async () => view.append(await VIEWS[kind](file, path)));
  };
  return h(
    "li",
    {},
    h(
      "span",
      { class: "file" },
      kind === "image" ? thumbnail(path) : icon("clip"),
      h("span", {}, h("b", {}, file.name), h("small", {}, `${file.type}, ${size(file.size)}${inline ? ", inline" : ""}`)),
    ),
    h(
      "span",
      { class: "buttons" },
      kind && button("Show", show, { class: "plain show", "aria-expanded": "false", "aria-label": null, title: "Show (v)" }),
      h("a", { class: "plain", href: address(path), download: "", "aria-label": `Download ${file.name}` }, icon("down"), "Download"),
    ),
    view,
  );
}

function thumbnail(path) {
  const image = h("img", { class: "thumb", src: address(`${path}?shown=1`), alt: "", loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(icon("clip")));
  return image;
}

async function textOf(file, path) {
  const content = await bytes(path);
  const charset = /charset="?([\w.:-]+)/i.exec(file.type)?.[1];
  const text = decoderOf(charset).decode(content.slice(0, MAX_TEXT_BYTES));
  return content.byteLength > MAX_TEXT_BYTES ? `${text}\n… (only the first ${size(MAX_TEXT_BYTES)})` : text;
}

function decoderOf(charset) {
  try {
    return new TextDecoder(charset || "utf-8");
  } catch {
    return new TextDecoder("utf-8"); // a charset that nobody knows
  }
}

async function messageView(file, path) {
  const mail = await get(`${path}/message`);
  const to = (type) => mail.recipients.filter((who) => who.type === type).map(person).join(", ");
  const rows = [
    ["From", person({ name: mail.from_name, email: mail.from_email })],
    ["To", to("to")],
    ["Cc", to("cc")],
    ["Date", mail.headers.Date],
    ["Files", mail.files.map((each) => `${each.name} (${size(each.size)})`).join(", ")],
  ];
  return h(
    "div",
    {},
    table(subjectOf(mail), rows.filter(([, value]) => value)),
    mail.html === null ? longText(mail.text ?? "") : mailFrame(`${path}/html`, `The HTML of ${file.name}`),
  );
}

/** Show or hide the file that has the focus, or the first. */
export function showFile() {
  const row = document.activeElement?.closest(".plainlist > li");
  (row?.querySelector(".show") ?? document.querySelector(".plainlist .show"))?.click();
}
