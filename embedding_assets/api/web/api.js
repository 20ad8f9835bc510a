// Requests to the service that this page came from, and their failures in words.

import { key, randomId } from "./store.js";

const RESEND = 2000; // milliseconds

/** What the service, or the way to it, says about a failure. */
export class Problem extends Error {
  constructor(message, mend = "", status = 0, requestId = "") {
    super(message);
    this.mend = mend;
    this.status = status;
    this.requestId = requestId;
  }
}

/** Whether a failure only says that an answer is no longer wanted. */
export const isAborted = (error) => error.name === "AbortError";

/** The JSON of an answer. Throws Problem, or AbortError. */
export async function call(path, { query = {}, body = null, signal = null, ...rest } = {}) {
  const response = await send(path, { query, body, signal, ...rest });
  try {
    return await response.json();
  } catch (error) {
    if (isAborted(error)) throw error;
    throw new Problem("The service sent an answer that cannot be read.", "Load the page again.",
      response.status);
  }
}

/** The address of a picture in this browser; give it to `URL.revokeObjectURL` after use. */
export async function callImage(path, { query = {}, signal = null } = {}) {
  const response = await send(path, { query, signal });
  return URL.createObjectURL(await response.blob());
}

async function send(path, { query, body = null, signal, keepalive = false, method = body === null ? "GET" : "POST" }) {
  const address = new URL(path, document.baseURI);
  address.hash = "";
  for (const [name, value] of Object.entries(query)) {
    for (const each of [value].flat()) {
      if (each !== null && each !== undefined) address.searchParams.append(name, each);
    }
  }
  const headers = body === null ? {} : { "Content-Type": "application/json" };
  if (key()) headers.Authorization = `Bearer ${key()}`;
  let response;
  try {
    response = await fetch(address, {
      method,
      body: body === null ? undefined : JSON.stringify(body),
      headers, signal, keepalive, credentials: "omit", cache: "no-cache",
    });
  } catch (error) {
    if (isAborted(error)) throw error;
    throw new Problem("The service does not answer.", "See whether it still runs, then try again.");
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function problemOf(response) {
  const said = await response.json().catch(() => ({}));
  if (response.status === 401) document.dispatchEvent(new CustomEvent("key-needed"));
  const places = (said.errors ?? []).map((each) => each.detail ?? each.msg).filter(Boolean);
  return new Problem(
    [said.detail ?? said.title ?? `The service answered ${response.status}.`, ...places].join(" "),
    said.mend ?? "", response.status, said.request_id ?? "");
}

/** Tells an experiment that something in its answer was opened; a failure is of no concern to the
 * reader. */
export async function sendClick(experiment, unit) {
  if (!experiment || !unit) return;
  const body = { outcomes: [{ id: randomId(), unit, metric: "click", value: 1 }] };
  const send = () => call(`experiments/${encodeURIComponent(experiment.id)}/outcomes`,
    { body, keepalive: true });
  try {
    const { unknown_units: unknown = [] } = await send();
    // The service writes down who saw what a moment after its answer; the id counts once.
    if (unknown.length) setTimeout(() => send().catch(() => null), RESEND);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
  }
}
