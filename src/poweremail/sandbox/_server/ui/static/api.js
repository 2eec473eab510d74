// Requests to the control API of the sandbox, the only ones of this page.

// A proxy may have put the sandbox below a path. This file is PATH/_sandbox/static/api.js.
const ROOT = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

/** The URL of the sandbox as the browser sees it. */
export const BASE = new URL("../..", import.meta.url).href.replace(/\/$/, "");

// A page of another origin cannot send this header: see the guard.
const HEADERS = { Accept: "application/json", "X-Sandbox-Page": "1" };

async function call(method, path, body) {
  const options = { method, cache: "no-store", headers: { ...HEADERS } };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  const response = await fetch(ROOT + path, options).catch(() => {
    throw new Error("The sandbox does not respond.");
  });
  if (!response.ok) {
    const { error } = await response.json().catch(() => ({}));
    throw Object.assign(new Error(error || `the sandbox responded ${response.status}`), { status: response.status });
  }
  return response;
}

const json = async (...args) => (await call(...args)).json();

export const get = (path) => json("GET", path);
export const post = (path, body) => json("POST", path, body);
export const remove = (path) => json("DELETE", path);
export const address = (path) => ROOT + path;

/** The first *limit* characters of a text, and whether that is all of it. */
export async function text(path, limit) {
  const whole = await (await call("GET", path)).text();
  return { text: whole.slice(0, limit), whole: whole.length <= limit };
}

export const bytes = async (path) => (await call("GET", path)).arrayBuffer();

export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return given.length ? `?${new URLSearchParams(given)}` : "";
}
