// Keyboard shortcuts, wherever the focus is, but not while the user types.

import { $ } from "./dom.js";

export function bindKeys(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const typing = event.target.closest("input, select, textarea");
    if (typing) {
      if (event.key === "Escape") actions.list();
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
      ArrowDown: inList && (() => actions.move(1)),
      ArrowUp: inList && (() => actions.move(-1)),
      Home: event.target === $("list") && (() => actions.move(-Infinity)),
      Enter: inList && (() => actions.enter()),
      Escape: () => actions.list(),
      Delete: () => actions.delete(),
      "/": () => actions.search(),
      "?": () => actions.help(),
      s: () => actions.service(),
      t: () => actions.theme(),
      ...Object.fromEntries([..."123456789"].map((digit) => [digit, () => actions.tab(Number(digit) - 1)])),
    }[event.key];
    if (!todo || (inTabs && event.key.startsWith("Arrow"))) return;
    event.preventDefault();
    todo();
  });
}
