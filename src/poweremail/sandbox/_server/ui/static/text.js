// Texts of any length: in blocks, of which the browser lays out only those in view.

import { h } from "./dom.js";

const BLOCK_CHARS = 8_000;
const TASK_MS = 30; // blocks are made for so long at a time, and the page responds in between
const LINE_PX = 21;
const LINE_CHARS = 80;

/** An element with *text*, in which the addresses *links* can be clicked. */
export function longText(text, links = []) {
  const root = h("div", { class: "long" });
  const pattern = patternOf(links);
  let at = 0;
  const add = () => {
    const start = performance.now();
    do {
      const end = blockEnd(text, at);
      root.append(blockOf(text.slice(at, end), pattern));
      at = end;
    } while (at < text.length && performance.now() - start < TASK_MS);
    if (at < text.length) setTimeout(() => root.isConnected && add());
  };
  add();
  return root;
}

function blockOf(text, pattern) {
  const block = h("div", { class: "block" }, pattern ? marked(text, pattern) : text);
  // A guess, until it is laid out. If it were far too low, far too many blocks would seem to be in view.
  const lines = Math.max(text.split("\n").length, text.length / LINE_CHARS);
  block.style.containIntrinsicBlockSize = `auto ${Math.ceil(lines) * LINE_PX}px`;
  return block;
}

/** Where the block ends that begins *at*: after a line, else after a word. */
function blockEnd(text, at) {
  const most = at + BLOCK_CHARS;
  if (most >= text.length) return text.length;
  for (const end of ["\n", " "]) {
    const found = text.lastIndexOf(end, most - 1);
    if (found > at) return found + 1;
  }
  return /[\ud800-\udbff]/.test(text[most - 1]) ? most - 1 : most;
}

// The sandbox says what is a link; here they are only found again, the longest first.
function patternOf(links) {
  if (!links.length) return null;
  const escaped = [...links].sort((one, other) => other.length - one.length).map((link) => link.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(escaped.join("|"), "g");
}

function marked(text, pattern) {
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(pattern)) {
    parts.push(text.slice(at, found.index), linkTo(found[0]));
    at = found.index + found[0].length;
  }
  parts.push(text.slice(at));
  return parts;
}

export const isWeb = (link) => /^https?:/i.test(link);

/** A link that opens in a new tab, or in another program. */
export const linkTo = (link) => h("a", { href: link, target: isWeb(link) ? "_blank" : null, rel: "noopener noreferrer" }, link);
