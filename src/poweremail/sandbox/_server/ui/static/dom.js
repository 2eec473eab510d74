// Elements are made from text, never from HTML: nothing in a mail can become a part of the page.

export const $ = (id) => document.getElementById(id);

/** An element; *props* are attributes, functions among them are listeners; null and false among *children* are left out. */
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/**
 * Make *node* like *wanted*, and keep what is the same: a click on a node that is replaced before the button is up is lost, and so is
 * the focus. Listeners stay, too: what listens for one thing among several has an id of its own.
 */
export function update(node, wanted) {
  if (node.isEqualNode(wanted)) return node;
  if (node.nodeName !== wanted.nodeName || node.id !== wanted.id) {
    node.replaceWith(wanted);
    return wanted;
  }
  if (node.nodeType === Node.TEXT_NODE) {
    node.data = wanted.data;
    return node;
  }
  for (const { name } of [...node.attributes]) if (!wanted.hasAttribute(name)) node.removeAttribute(name);
  for (const { name, value } of wanted.attributes) if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  refill(node, ...wanted.childNodes);
  return node;
}

/** Give *node* the *wanted* children, and keep those that are the same. */
export function refill(node, ...wanted) {
  const children = [...node.childNodes];
  wanted.forEach((child, index) => (index < children.length ? update(children[index], child) : node.append(child)));
  for (const child of children.slice(wanted.length)) child.remove();
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export const hidden = (text) => h("span", { class: "hidden" }, text);

export function button(label, onClick, props) {
  return h("button", { type: "button", class: "plain", click: onClick, ...props }, label);
}

/** Announce a text to screen readers. */
export function announce(text) {
  $("announce").textContent = text;
}

/** Show a short message for a moment. */
export function toast(text) {
  announce(text);
  document.querySelector(".toast")?.remove();
  const note = h("p", { class: "toast", "aria-hidden": "true" }, text);
  document.body.append(note);
  setTimeout(() => note.remove(), 4000);
}

/** Do *work*, and show its error if it fails. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    toast(error.message);
    return undefined;
  }
}

export async function copy(text) {
  await attempt(async () => {
    // Browsers have it on https and localhost only.
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else copyBySelection(text);
    toast("Copied");
  });
}

function copyBySelection(text) {
  const area = h("textarea", { class: "hidden", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("The browser does not let the page copy.");
}

export const subjectOf = (mail) => mail.subject || "(no subject)";

export const table = (caption, pairs) =>
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

/** What the page remembers from visit to visit, where storage is not switched off. */
export function remembered(name) {
  try {
    return localStorage.getItem(`poweremail-${name}`);
  } catch {
    return null;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(`poweremail-${name}`, value);
  } catch {
    // it is then forgotten with the page
  }
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function shortTime(iso) {
  const date = new Date(iso);
  return date.toDateString() === new Date().toDateString() ? TIME.format(date) : DAY.format(date);
}

export const fullTime = (iso) => FULL.format(new Date(iso));

export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB"];
  let value = bytes / 1000;
  while (value >= 999.5 && units.length > 1) {
    value /= 1000;
    units.shift();
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[0]}`;
}

export const count = (number) => number.toLocaleString();

export const WORDS = {
  delivered: "Delivered",
  open: "Opened",
  click: "Clicked",
  soft_bounce: "Soft bounce",
  hard_bounce: "Hard bounce",
  spam: "Spam",
};

/** A mark for a state, with the *number* of recipients in it if there are several. */
export function chip(status, number) {
  const word = WORDS[status] || status;
  return h("span", { class: `chip ${status}` }, number ? `${count(number)} ${word.toLowerCase()}` : word);
}

export const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

const DIRECTION_MARKS = /[\u202a-\u202e\u2066-\u2069]/g;

/** A text of any direction, isolated from what follows: a name must not turn an address around. */
export const isolated = (text) => (/^[\x20-\x7e]*$/.test(text) ? text : `\u2068${text.replace(DIRECTION_MARKS, "")}\u2069`);

export const person = (who) => (who.name ? `${isolated(who.name)} <${isolated(who.email)}>` : isolated(who.email));
