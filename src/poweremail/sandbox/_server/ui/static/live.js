// The stream of changes. It is closed while the page is hidden: a browser has few connections to one host.

import { address } from "./api.js";
import { $ } from "./dom.js";

const GATHER_MS = 120; // changes within this time are reported together
const KINDS = ["caught", "changed", "deleted", "cleared", "refetch"];

export class Live {
  /** *onChange* gets the changes, gathered, and is awaited; *onReload* is called if all is *cleared*, or if changes may have been missed. */
  constructor(onChange, onReload) {
    this.onChange = onChange;
    this.onReload = onReload;
    this.timer = null;
    this.reset();
    document.addEventListener("visibilitychange", () => (document.hidden ? this.stop() : this.start()));
    addEventListener("pagehide", () => this.stop());
  }

  reset() {
    this.pending = false;
    this.changes = { caught: false, changed: new Set(), deleted: new Set() };
  }

  start() {
    if (this.source) return;
    const wasStarted = this.started;
    this.started = true;
    const source = new EventSource(address("/stream"));
    this.source = source;
    source.addEventListener("open", () => this.showState("on", "Live"));
    source.addEventListener("error", () => {
      this.showState("off", "Reconnecting");
      // After an error status the browser gives up; we try again.
      if (source.readyState === EventSource.CLOSED && this.source === source) {
        this.source = null;
        setTimeout(() => document.hidden || this.start(), 3000);
      }
    });
    for (const kind of KINDS) source.addEventListener(kind, (event) => this.gather(kind, JSON.parse(event.data).number));
    if (wasStarted) this.onReload();
  }

  stop() {
    this.source?.close();
    this.source = null;
  }

  showState(state, text) {
    $("live").dataset.state = state;
    $("live-text").textContent = text;
  }

  gather(kind, number) {
    if (kind === "cleared" || kind === "refetch") {
      this.reset();
      this.onReload(kind === "cleared");
      return;
    }
    if (kind === "caught") this.changes.caught = true;
    else this.changes[kind].add(number);
    this.pending = true;
    this.timer ??= setTimeout(() => this.report(), GATHER_MS);
  }

  /** One report at a time: two at once would both load the new messages. Changes go on being gathered meanwhile. */
  async report() {
    const { caught, changed, deleted } = this.changes;
    this.reset();
    await this.onChange({ caught, changed: [...changed].filter((each) => !deleted.has(each)), deleted: [...deleted] });
    this.timer = this.pending ? setTimeout(() => this.report(), GATHER_MS) : null;
  }
}
