// What happens, as it happens. While nobody looks at the page, the connection is given up: a browser has few of them for one host.

import { address } from "./api.js";
import { $ } from "./dom.js";

const TOGETHER = 120; // milliseconds in which changes are gathered
const KINDS = ["caught", "changed", "deleted", "cleared", "refetch"];

export class Live {
  /** *onChange* gets what happened in one go, and may take its time; *onAgain* is called where all is *cleared*, or some of it may have been missed. */
  constructor(onChange, onAgain) {
    this.onChange = onChange;
    this.onAgain = onAgain;
    this.timer = null;
    this.reset();
    document.addEventListener("visibilitychange", () => (document.hidden ? this.stop() : this.start()));
    addEventListener("pagehide", () => this.stop());
  }

  reset() {
    this.pending = false;
    this.news = { caught: false, changed: new Set(), deleted: new Set() };
  }

  start() {
    if (this.source) return;
    const again = this.started;
    this.started = true;
    const source = new EventSource(address("/stream"));
    this.source = source;
    source.addEventListener("open", () => this.say("on", "Live"));
    source.addEventListener("error", () => {
      this.say("off", "Reconnecting");
      // A refusal is final for the browser, but not for us.
      if (source.readyState === EventSource.CLOSED && this.source === source) {
        this.source = null;
        setTimeout(() => document.hidden || this.start(), 3000);
      }
    });
    for (const kind of KINDS) source.addEventListener(kind, (event) => this.note(kind, JSON.parse(event.data).number));
    if (again) this.onAgain();
  }

  stop() {
    this.source?.close();
    this.source = null;
  }

  say(state, text) {
    $("live").dataset.state = state;
    $("live-text").textContent = text;
  }

  note(kind, number) {
    if (kind === "cleared" || kind === "refetch") {
      this.reset();
      this.onAgain(kind === "cleared");
      return;
    }
    if (kind === "caught") this.news.caught = true;
    else this.news[kind].add(number);
    this.pending = true;
    this.timer ??= setTimeout(() => this.tell(), TOGETHER);
  }

  /** One change after the other: two at once would both take in what is new. What comes meanwhile is gathered. */
  async tell() {
    const { caught, changed, deleted } = this.news;
    this.reset();
    await this.onChange({ caught, changed: [...changed].filter((each) => !deleted.has(each)), deleted: [...deleted] });
    this.timer = this.pending ? setTimeout(() => this.tell(), TOGETHER) : null;
  }
}
