// Keyboard shortcuts, wherever the focus is, but not while the user types.

import { $ } from "./dom.js";

// The controls of a tab, which are there only while it is shown.
const CONTROLS = { d: "view-dark", i: "view-bare", p: "view-printed", o: "alone", r: "load-remote", c: "check-links" };

export function bindKeys(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const typing = event.target.closest("input, select, textarea");
    if (typing) {
      if (event.key === "Escape") {
        event.preventDefault(); // the browser would empty the search, and say so to nobody
        actions.list();
      }
      if (event.key === "ArrowDown" && event.target.id === "search") {
        event.preventDefault();
        actions.list();
        actions.move(1);
      }
      return;
    }
    const inList = event.target === $("list") || event.target === document.body;
    const inTabs = event.target.getAttribute("role") === "tab";
    const todo = {
      j: () => actions.move(1),
      k: () => actions.move(-1),
      ArrowDown: inList && (() => actions.move(1, { extend: event.shiftKey })),
      ArrowUp: inList && (() => actions.move(-1, { extend: event.shiftKey })),
      J: () => actions.move(1, { extend: true }),
      K: () => actions.move(-1, { extend: true }),
      x: () => actions.pick(),
      a: () => actions.pickAll(),
      u: () => actions.toggleRead(),
      D: () => actions.deleteAll(),
      Home: event.target === $("list") && (() => actions.move(-Infinity)),
      Enter: inList && (() => actions.enter()),
      " ": event.target === $("list") && (() => actions.pick()),
      Escape: () => actions.list(),
      Delete: () => actions.delete(),
      "/": () => actions.search(),
      "?": () => actions.help(),
      s: () => actions.service(),
      f: () => actions.fold(),
      w: () => actions.width(),
      v: () => actions.file(),
      t: () => actions.theme(),
      ...Object.fromEntries([..."123456789"].map((digit) => [digit, () => actions.tab(Number(digit) - 1)])),
      0: () => actions.tab(9),
      ...Object.fromEntries(Object.entries(CONTROLS).map(([key, id]) => [key, $(id) && (() => $(id).click())])),
    }[event.key];
    if (!todo || (inTabs && event.key.startsWith("Arrow"))) return;
    event.preventDefault();
    todo();
  });
}
