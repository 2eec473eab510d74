// The address of the page names what it shows: #12 is message 12, #service the service.
// In a narrow window each takes the place of the list, and the browser's Back leads to the list.

export class Route {
  /** *onChange* is called if the user changes the address, or goes back. */
  constructor(onChange) {
    addEventListener("popstate", () => onChange(this.place));
  }

  /** The number of a message, "service", or null for the list. */
  get place() {
    const place = location.hash.slice(1);
    if (place === "service") return place;
    return /^[1-9]\d{0,14}$/.test(place) ? Number(place) : null;
  }

  /** Note the place that is shown; *step* makes it a step of Back. */
  note(place, { step = false } = {}) {
    if (place === this.place) return;
    const address = place === null ? location.pathname + location.search : `#${place}`;
    if (step) history.pushState({ step: true }, "", address);
    else history.replaceState(history.state, "", address);
  }

  /** Go back to the list. Return whether that is a step of the browser, after which onChange is called. */
  back() {
    const isStep = this.place !== null && history.state?.step === true;
    if (isStep) history.back();
    else this.note(null);
    return isStep;
  }
}
