// The stream of changes. It is closed while the page is hidden: a browser has few connections to one host.
// A proxy may hold the stream back: while it is silent, the page polls.

import { address, get, query } from "./api.js";
import { $ } from "./dom.js";

const GATHER_MS = 120; // changes within this time are reported together
const KINDS = ["caught", "changed", "deleted", "cleared", "refetch"];
const FIRST_MS = 2000; // by then a stream that nobody holds back has sent its first event
const SILENT_MS = 40_000; // more than two heartbeats
const POLL_MS = 1500;
const RETRY_MS = 3000;
const RECONNECT_MS = 1000; // as the stream tells the browser

export class Live {
  /** *onChange* gets the changes, gathered, and is awaited; *onReload* is called if all is *cleared*, or if changes may have been missed. */
  constructor(onChange, onReload) {
    this.onChange = onChange;
    this.onReload = onReload;
    this.timer = null;
    this.last = ""; // the id of the last change that was heard of
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
    const source = new EventSource(address("/stream"));
    this.source = source;
    source.addEventListener("message", (event) => this.heard(event));
    source.addEventListener("heartbeat", (event) => this.heard(event));
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        if (!this.knows(event.lastEventId)) this.gather(kind, JSON.parse(event.data).number);
        this.heard(event);
      });
    }
    this.connected = performance.now();
    source.addEventListener("error", () => {
      this.connected = performance.now() + RECONNECT_MS;
      if (!this.polling) {
        this.showState("off", "Reconnecting");
        this.expect(FIRST_MS);
      }
      // After an error status the browser gives up; we try again.
      if (source.readyState === EventSource.CLOSED && this.source === source) {
        this.source = null;
        this.retry = setTimeout(() => document.hidden || this.start(), RETRY_MS);
      }
    });
    // While it polls, no change is missed.
    if (this.started && !this.polling) this.onReload();
    this.started = true;
    if (!this.polling) this.expect(FIRST_MS);
  }

  stop() {
    this.source?.close();
    this.source = null;
    this.polling = null;
    clearTimeout(this.retry);
    clearTimeout(this.silence);
  }

  /** The stream has delivered something. One that was silent at first is held back: it delivers in pieces, late, and polling goes on. */
  heard({ lastEventId }) {
    if (!this.knows(lastEventId)) this.last = lastEventId;
    if (this.polling && performance.now() - this.connected > FIRST_MS) return;
    this.polling = null;
    this.showState("on", "Live");
    this.expect(SILENT_MS);
  }

  /** Whether the change of an *id* (RUN-POSITION) was heard of. */
  knows(id) {
    const [run, position] = this.last.split("-");
    const [otherRun, otherPosition] = id.split("-");
    return run === otherRun && Number(otherPosition) <= Number(position);
  }

  expect(milliseconds) {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.poll(), milliseconds);
  }

  /** Poll until the stream delivers something, or until the page is hidden. */
  async poll() {
    const polling = {};
    this.polling = polling;
    while (this.polling === polling) {
      try {
        const { last, changes } = await get(`/changes${query({ since: this.last })}`);
        if (this.polling !== polling) return;
        if (!this.last) this.onReload();
        this.last = last;
        for (const { kind, number } of changes) this.gather(kind, number);
        this.showState("on", "Polling");
      } catch {
        if (this.polling === polling) this.showState("off", "Reconnecting");
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  showState(state, text) {
    $("live").dataset.state = state;
    if ($("live-text").textContent !== text) $("live-text").textContent = text;
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
