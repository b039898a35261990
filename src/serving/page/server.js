// SPDX-License-Identifier: Apache-2.0
// The server as the page sees it: requests with the key, streams, what errors mean, and whether it is there at all.
"use strict";

const server = (() => {
  const KEY = "plait.key";
  const HEARTBEAT_MS = 10000;  // counts towards the requests per minute of a key
  const RETRY_MS = [1000, 1000, 2000, 3000, 5000];  // after the server went away; the last one again and again

  const ADVICE = {
    invalid_api_key: "Give an API key that this server knows.",
    context_length_exceeded: "Edit an earlier message and branch from there, shorten the message, or lower max tokens.",
    kv_memory_exceeded: "Shorten the conversation, or start the server with more memory: --kv-memory.",
    host_not_allowed: "Open the page at the server's own address, or start it with --allowed-hosts.",
    origin_not_allowed: "Open the page at the server's own address, or start it with --allowed-origins.",
    model_not_found: "Choose another model above.",
    rate_limit_exceeded: "Wait a minute, then try again.",
    too_many_requests_in_flight: "Wait until other requests have ended, or ask for fewer strands.",
    unreachable: "The draft and all answers are kept. The page goes on when the server is back.",
    broken: "The connection ended before the answer did. What came is kept; try again for a whole one.",
  };

  class Failure extends Error {
    constructor(status, code, message) {
      super(message);
      this.status = status;
      this.code = code ?? "";
    }
    get advice() {
      if (ADVICE[this.code]) return ADVICE[this.code];
      if (this.status === 429 || this.status === 503) return "Wait a moment, then try again.";
      if (this.status >= 500) return "Try again; if it stays, look at what the server prints.";
      return this.status === 400 ? "Change the settings or the message that it names, then try again." : "Try again.";
    }
  }

  // ---- whether it is there

  const state = { there: true, needsKey: false, tries: 0 };
  const listeners = [];
  let timer = 0;

  function changed() {
    for (const listener of listeners) listener(state);
  }

  /** Calls back with {there, needsKey, tries} at each change. */
  const onChange = (listener) => listeners.push(listener);

  function found() {
    const news = !state.there;
    state.there = true;
    state.tries = 0;
    if (news) changed();
  }

  function lost() {
    const news = state.there;
    state.there = false;
    changed();
    if (news) plan(RETRY_MS[0]);
  }

  function plan(milliseconds) {
    clearTimeout(timer);
    timer = setTimeout(look, milliseconds);
  }

  /** Asks /health now. */
  async function look() {
    clearTimeout(timer);
    try {
      const reply = await fetch("/health", { headers: headers(), cache: "no-store", signal: AbortSignal.timeout(4000) });
      if (reply.status === 503 && (await failureOf(reply)).code === "server_draining") throw new Error("it ends");
      found();  // whatever it says: it is there
    } catch {
      state.tries += 1;
      lost();
    }
    plan(state.there ? HEARTBEAT_MS : RETRY_MS[Math.min(state.tries, RETRY_MS.length - 1)]);
  }

  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });

  // ---- the key

  function key() {
    return sessionStorage.getItem(KEY) ?? "";
  }

  /** Keeps the key and tries it: state.needsKey says then whether the server takes it. */
  async function setKey(text) {
    if (text) sessionStorage.setItem(KEY, text);
    else sessionStorage.removeItem(KEY);
    try {
      await ask("/v1/models");  // /health asks for none
    } catch { /* the state tells */ }
  }

  function noteKey(status) {
    const needs = status === 401;
    if (needs === state.needsKey) return;
    state.needsKey = needs;
    changed();
  }

  function headers() {
    return key() ? { authorization: `Bearer ${key()}` } : {};
  }

  // ---- requests

  async function ask(path, options = {}) {
    let reply;
    try {
      reply = await fetch(path, { cache: "no-store", ...options, headers: { ...headers(), ...options.headers } });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      lost();
      throw new Failure(0, "unreachable", "The server does not answer.");
    }
    noteKey(reply.status);
    if (!reply.ok) {
      const failure = await failureOf(reply);
      if (failure.code === "server_draining") lost();
      throw failure;
    }
    found();
    return reply;
  }

  async function failureOf(reply) {
    let error = {};
    try {
      error = (await reply.json()).error ?? {};
    } catch { /* not plait's own words */ }
    return new Failure(reply.status, error.code, error.message ?? `The server answered ${reply.status}.`);
  }

  const post = (path, body, signal) => ask(path, {
    method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" }, signal,
  });

  const json = async (path) => (await ask(path)).json();
  const text = async (path) => (await ask(path)).text();
  const postJson = async (path, body, signal) => (await post(path, body, signal)).json();

  /** Posts, and hands each event's object to `take`. Throws Failure, or AbortError after signal's abort. */
  async function stream(path, body, signal, take) {
    const reply = await post(path, body, signal);
    let done = false;
    try {
      for await (const data of events(reply.body)) {
        if (data === "[DONE]") {
          done = true;
          continue;
        }
        const part = JSON.parse(data);
        if (part.error) throw new Failure(500, part.error.code, part.error.message);
        take(part);
      }
    } catch (error) {
      if (error.name === "AbortError" || error instanceof Failure) throw error;
    }
    if (done) return;
    look();  // a stream that breaks off is often a server that goes away
    throw new Failure(0, "broken", "The answer broke off.");
  }

  /** The data of server-sent events. */
  async function* events(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    let data = [];
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const raw of lines) {
        const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
        if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
        else if (!line && data.length) {
          yield data.join("\n");
          data = [];
        }
      }
    }
  }

  return { state, onChange, look, key, setKey, json, text, postJson, stream, Failure };
})();
