// The HTML of a message, in a frame: as wide as a screen, a tablet or a phone, dark, without images, or as on paper.

import { address, query } from "./api.js";
import { button, h, icon } from "./dom.js";

const REMOTE = /(?:src|srcset|poster|background|data)\s*=\s*["']?\s*(?:https?:)?\/\/|url\(\s*["']?\s*(?:https?:)?\/\/|@import|<link\b/i;

const WIDTHS = [["full", "Full width"], ["tablet", "Tablet"], ["phone", "Phone"]];
const VIEWS = [["dark", "Dark", "d"], ["bare", "No images", "i"], ["printed", "Print", "p"]];

const system = matchMedia("(prefers-color-scheme: dark)");

// Kept from message to message.
let chosen = "full";
const on = new Set(system.matches ? ["dark"] : []);

// A frame's content is no part of this page: a frame that has the focus matches no :focus, so it gets a class.
function markFrame() {
  for (const frame of document.querySelectorAll(".stage iframe")) frame.classList.toggle("focused", frame === document.activeElement);
}
addEventListener("blur", markFrame);
addEventListener("focus", markFrame, true);

/** A frame for the HTML at a *path*: no script, no form, no origin; the headers of its response limit what it may load. Links open in tabs. */
export const mailFrame = (path, title) =>
  h("iframe", { sandbox: "allow-popups allow-popups-to-escape-sandbox", referrerpolicy: "no-referrer", title, src: address(path) });

export function htmlTab(mail) {
  let remote = "";
  const stage = h("div", { class: "stage" });
  const path = () => {
    const dark = on.has("dark") === system.matches ? "" : Number(on.has("dark"));
    return `/messages/${mail.number}/html${query({ remote, dark, images: on.has("bare") ? 0 : "", printed: on.has("printed") ? 1 : "" })}`;
  };
  const look = () => {
    stage.className = `stage ${chosen}${on.has("dark") ? " dark" : ""}`;
  };
  // A new frame, because another address in the old one would be a step of the browser's Back.
  const draw = () => {
    stage.replaceChildren(mailFrame(path(), `The HTML of ${mail.subject}`));
    look();
    alone.href = address(path());
  };
  const widths = WIDTHS.map(([name, label]) =>
    button(label, () => choose(name), { class: "", title: `${label} (w)`, "aria-pressed": String(chosen === name) }),
  );
  function choose(name) {
    chosen = name;
    for (const [index, [each]] of WIDTHS.entries()) widths[index].setAttribute("aria-pressed", String(each === name));
    look();
  }
  const views = VIEWS.map(([name, label, key]) =>
    button(
      label,
      (event) => {
        const was = on.delete(name);
        if (!was) on.add(name);
        event.currentTarget.setAttribute("aria-pressed", String(!was));
        draw();
      },
      { class: "", id: `view-${name}`, title: `${label} (${key})`, "aria-pressed": String(on.has(name)) },
    ),
  );
  const alone = h("a", { class: "quiet", id: "alone", target: "_blank", rel: "noopener", title: "In a tab of its own, to print it (o)" }, "Open");
  const blocked = h(
    "p",
    { class: "blocked" },
    icon("shield"),
    h("span", {}, "Remote content is blocked."),
    button(
      "Load it",
      (event) => {
        remote = 1;
        event.currentTarget.parentElement.replaceChildren(icon("shield"), h("span", {}, "Remote content is loaded, for this message only."));
        draw();
      },
      { class: "quiet", id: "load-remote", title: "Load it (r)" },
    ),
  );
  draw();
  return h(
    "div",
    { class: "htmlview" },
    h(
      "div",
      { class: "above" },
      REMOTE.test(mail.html) ? blocked : h("p", { class: "blocked calm" }, icon("shield"), h("span", {}, "Scripts and forms are off.")),
      h(
        "div",
        { class: "views" },
        h("div", { class: "segments widths", role: "group", "aria-label": "Width" }, widths),
        h("div", { class: "segments", role: "group", "aria-label": "View" }, views),
        alone,
      ),
    ),
    stage,
  );
}

/** The next width, if the HTML is shown. */
export function nextWidth() {
  const buttons = [...document.querySelectorAll(".widths button")];
  const index = buttons.findIndex((each) => each.getAttribute("aria-pressed") === "true");
  buttons[(index + 1) % buttons.length]?.click();
}
