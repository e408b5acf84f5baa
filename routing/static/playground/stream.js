// Asks the server: a chat as a stream of events, everything else as JSON.

export class Refused extends Error {
  // `kind`: of the API's refusals, or "session", "forbidden", "maintenance", "lost", "broken", "unknown".
  constructor(kind, message = "", requestId = "") {
    super(message);
    this.kind = kind;
    this.requestId = requestId;
  }
}

let token = "";
export const trust = (csrf) => { token = csrf; };

async function sent(address, method, body, signal, headers = {}) {
  const asked = { method, signal, redirect: "manual", headers: { "X-CSRFToken": token, ...headers } };
  if (body !== undefined) {
    asked.headers["Content-Type"] = "application/json";
    asked.body = JSON.stringify(body);
  }
  try {
    return await fetch(address, asked);
  } catch (error) {
    throw error.name === "AbortError" ? error : new Refused("lost");
  }
}

// What is no answer of ours is a page: of the log-in, of a refusal, of maintenance.
async function refusal(response) {
  if (response.type === "opaqueredirect") return new Refused("session");
  const type = response.headers.get("content-type") || "";
  if (type.startsWith("application/json")) {
    const told = await response.json().catch(() => ({}));
    if (told.error) return refusalOf(told.error);
    return new Refused("unknown", told.message || "");
  }
  return new Refused({ 403: "forbidden", 503: "maintenance" }[response.status] || "unknown");
}

export function refusalOf(error) {
  const told = error.metadata || {};
  return new Refused(told.error_type || "unknown", error.message || "", told.request_id || "");
}

export async function asked(address, method = "GET", body = undefined) {
  const response = await sent(address, method, body);
  if (!response.ok) throw await refusal(response);
  return response.status === 204 ? null : response.json();
}

// `began` is told of the response's head before there is any event.
export async function* streamed(address, chat, signal, began) {
  const response = await sent(address, "POST", chat, signal, { "X-XRouter-Trace": "route" });
  if (!response.ok || response.type === "opaqueredirect") throw await refusal(response);
  began(response.headers);
  yield* events(response.body.getReader());
}

async function* events(reader) {
  const decoder = new TextDecoder();
  let waiting = "";
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : new Refused("broken");
    });
    if (done) throw new Refused("broken"); // the last event comes before the end
    waiting += decoder.decode(value, { stream: true });
    const whole = waiting.split("\n\n");
    waiting = whole.pop();
    for (const event of whole) {
      if (!event.startsWith("data: ")) continue; // a comment, so that nobody takes us for dead
      const said = event.slice("data: ".length);
      if (said === "[DONE]") return;
      yield JSON.parse(said);
    }
  }
}
