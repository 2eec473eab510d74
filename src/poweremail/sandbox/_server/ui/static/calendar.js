// An invitation (RFC 5545) for people: what, when, where and who, and below it the file itself.

import { h, table } from "./dom.js";
import { longText } from "./text.js";

const FIELDS = [
  ["STATUS", "Status"],
  ["DTSTART", "Begins"],
  ["DTEND", "Ends"],
  ["DURATION", "Takes"],
  ["RRULE", "Repeats"],
  ["LOCATION", "Where"],
  ["ORGANIZER", "Organizer"],
  ["ATTENDEE", "Attendees"],
  ["URL", "Link"],
  ["DESCRIPTION", "Description"],
];
const MAX_EVENTS = 20;

export function calendarView(source) {
  const { method, events } = read(source);
  return h(
    "div",
    { class: "calendar" },
    method && h("p", { class: "faint" }, `Method ${method}`),
    events.slice(0, MAX_EVENTS).map((event) =>
      table(
        event.get("SUMMARY")?.[0] ?? "(no summary)",
        FIELDS.filter(([name]) => event.has(name)).map(([name, label]) => [label, event.get(name).join(", ")]),
      ),
    ),
    longText(source),
  );
}

function read(source) {
  const events = [];
  let method = "";
  let event = null;
  let nested = 0; // alarms have descriptions, too
  for (const line of source.replace(/\r?\n[ \t]/g, "").split(/\r?\n/)) {
    const found = /^([\w-]+)((?:;[\w-]+=(?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)*):(.*)$/.exec(line);
    if (!found) continue;
    const [name, value] = [found[1].toUpperCase(), found[3]];
    if (name === "METHOD") method = value;
    else if (name === "BEGIN" && value === "VEVENT") event = new Map();
    else if (name === "BEGIN" && event) nested += 1;
    else if (name === "END" && value === "VEVENT" && event) {
      events.push(event);
      event = null;
    } else if (name === "END" && nested) nested -= 1;
    else if (event && !nested) event.set(name, [...(event.get(name) ?? []), plain(name, value, found[2])]);
  }
  return { method, events };
}

function plain(name, value, parameters) {
  const parameter = (key) => new RegExp(`;${key}="?([^";:]+)`, "i").exec(parameters)?.[1];
  const time = /^(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d\d(Z?))?$/.exec(value);
  if (time) {
    const zone = time[6] ? " UTC" : parameter("TZID") ? ` (${parameter("TZID")})` : "";
    return `${time[1]}-${time[2]}-${time[3]}${time[4] ? ` ${time[4]}:${time[5]}${zone}` : ""}`;
  }
  if (name === "ORGANIZER" || name === "ATTENDEE") {
    const email = value.replace(/^mailto:/i, "");
    const state = parameter("PARTSTAT");
    return `${parameter("CN") ? `${parameter("CN")} <${email}>` : email}${state ? `: ${state.toLowerCase()}` : ""}`;
  }
  return value.replace(/\\([nN,;\\])/g, (_, letter) => (letter.toLowerCase() === "n" ? "\n" : letter));
}
