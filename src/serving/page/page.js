// SPDX-License-Identifier: Apache-2.0
// Puts the parts together: buttons, keys, dialogs, the banner.
"use strict";

(() => {
  const { byId } = dom;
  const DRAFT = "plait.draft";
  const LOOK = "plait.look";

  const remember = (name, value) => {
    try {
      localStorage.setItem(name, value);
    } catch { /* full: said elsewhere */ }
  };

  // ---- sending

  function ready() {
    const wrong = settings.wrongField();
    if (wrong) {
      panel("settings", true);
      wrong.focus();
      wrong.reportValidity();
      return false;
    }
    if (server.state.needsKey) {
      askKey();
      return false;
    }
    if (!server.state.there) {
      dom.notice("The server does not answer yet; your draft is kept.");
      return false;
    }
    return true;
  }

  function send() {
    const text = byId("draft").value.trim();
    const last = tree.path().at(-1);
    if (!text) return;
    if (last?.role === "assistant" && strands.progress(last)) {
      return dom.notice("This strand is still being written: wait for it, stop it, or continue from another one.");
    }
    if (last?.role === "assistant" && !last.text) {
      return dom.notice("This strand has no text to continue from: try it again first, or choose another one.");
    }
    if (!ready()) return;
    const parent = last?.role === "user" ? last.parent : last?.id ?? tree.ROOT;  // unanswered: a new wording of it
    const user = tree.add(parent, "user", text);
    byId("draft").value = "";
    keepDraft();
    strands.answer(user, settings.read());
    turns.render();
    turns.toBottom(true);
  }

  /** Where in the answer's text its selected words begin; its end, where none are selected. */
  function selectedPlace(node) {
    const shown = turns.textOf(node);
    const selection = getSelection();
    if (selection.isCollapsed || !shown.contains(selection.anchorNode)) return node.text.length;
    const range = selection.getRangeAt(0).cloneRange();
    const words = range.toString().trim().split("\n")[0];
    range.setStart(shown, 0);
    // The text has marks that are not shown: the words are found by how often they stand before.
    let at = -1;
    for (let left = range.toString().split(words).length - 1; left > 0 && words; --left) at = node.text.indexOf(words, at + 1);
    return at >= 0 ? at : node.text.length;
  }

  const actions = {
    again(user) {
      if (!ready()) return;
      strands.answer(user, settings.read());
      turns.render();
    },
    branch(node, text) {
      if (!ready()) return false;
      strands.answer(tree.add(node.parent, "user", text), settings.read());
      turns.render();
      byId("draft").focus();
      return true;
    },
    retry(node) {
      if (ready()) strands.retry(node, settings.read());
    },
    fork(node) {
      const field = byId("fork-text");
      const at = selectedPlace(node);
      field.value = node.text;
      open("fork");
      field.focus();
      field.setSelectionRange(at, at);
      byId("fork-go").onclick = () => {
        const prefix = field.value.slice(0, field.selectionStart);
        close("fork");
        if (!ready()) return;
        strands.fork(node, prefix, settings.read());
        turns.render();
        turns.toBottom(true);
      };
    },
  };

  // ---- dialogs and panels

  function open(id) {
    if (!byId(id).open) byId(id).showModal();
  }
  const close = (id) => byId(id).close();

  function panel(id, wanted = byId(id).hidden) {
    byId(id).hidden = !wanted;
    byId(`show-${id}`).setAttribute("aria-expanded", String(wanted));
    if (id === "live") live.toggle(wanted);
    if (wanted && matchMedia("(max-width: 60rem)").matches) {  // room for one
      const other = id === "live" ? "settings" : "live";
      if (!byId(other).hidden) panel(other, false);
    }
  }

  function askKey() {
    byId("key-text").value = server.key();
    open("key");
  }

  async function useKey() {
    await server.setKey(byId("key-text").value.trim());
    if (server.state.needsKey) {
      dom.notice("The server does not know this key.");
      return byId("key-text").select();
    }
    close("key");
    loadModels();
  }

  function newChat() {
    strands.stopAll();
    tree.clear();
    tree.write();
    turns.reset();
    close("clear");
    byId("draft").focus();
  }

  // ---- the server's state

  async function loadModels() {
    try {
      await settings.loadModels();
    } catch { /* the banner says it */ }
  }

  let wasThere = true;
  function showState({ there, needsKey }) {
    const banner = byId("banner");
    const words = !there ? "The server does not answer. Your draft and all answers are kept; the page keeps trying."
      : needsKey ? "The server asks for an API key." : "";
    if (byId("banner-text").textContent !== words) byId("banner-text").textContent = words;
    banner.hidden = !words;
    const action = byId("banner-action");
    action.textContent = there ? "Give a key" : "Try now";
    action.onclick = there ? askKey : server.look;
    if (there && !wasThere) {
      dom.notice("The server is back.");
      loadModels();
    }
    if (there && !needsKey && !byId("model").value) loadModels();
    wasThere = there;
  }

  function showCount() {
    const count = strands.count();
    byId("stop-all").hidden = count === 0;
    byId("stop-all").textContent = count > 1 ? `Stop all ${count}` : "Stop";
  }

  // ---- look and draft

  const LOOKS = ["auto", "light", "dark"];
  function setLook(look) {
    document.documentElement.dataset.theme = look;
    byId("theme").textContent = `Theme: ${look}`;
    remember(LOOK, look);
  }

  function keepDraft() {
    remember(DRAFT, byId("draft").value);
    byId("draft").rows = Math.min(Math.max(byId("draft").value.split("\n").length, 2), 12);
  }

  // ---- keys

  function onKey(event) {
    if (event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
    const target = event.target;
    const writes = target.matches("textarea, select, input:not([type=checkbox])");
    if (document.querySelector("dialog[open]")) return;
    if (target === byId("draft") && event.key === "Enter" && !event.shiftKey) send();
    else if (event.key === "Escape") {
      if (!strands.stopAll()) for (const id of ["settings", "live"]) if (!byId(id).hidden) panel(id, false);
    } else if (writes || !byId("single-keys").checked || !letter(event.key)) return;
    event.preventDefault();
  }

  function letter(key) {
    if (key === "/") byId("draft").focus();
    else if (key === "?") open("help");
    else if (key === "s") panel("settings");
    else if (key === "l") panel("live");
    else if (/^[1-8]$/.test(key)) turns.chooseStrand(Number(key) - 1);
    else return false;
    return true;
  }

  // ---- begin

  function connect() {
    const clicks = {
      "send": () => { send(); byId("draft").focus(); },
      "stop-all": strands.stopAll,
      "new-chat": () => (tree.path().length ? open("clear") : byId("draft").focus()),
      "show-settings": () => panel("settings"),
      "show-live": () => panel("live"),
      "show-help": () => open("help"),
      "theme": () => setLook(LOOKS[(LOOKS.indexOf(document.documentElement.dataset.theme) + 1) % LOOKS.length]),
      "export-json": exporting.saveJson,
      "export-markdown": exporting.saveMarkdown,
      "ask-key": askKey,
      "key-save": useKey,
      "clear-export": exporting.saveJson,
      "clear-go": newChat,
    };
    for (const [id, click] of Object.entries(clicks)) byId(id).addEventListener("click", click);
    for (const button of document.querySelectorAll("[data-close]")) {
      button.addEventListener("click", () => button.closest("dialog").close());
    }
    byId("key-text").addEventListener("keydown", (event) => { if (event.key === "Enter") useKey(); });
    byId("draft").addEventListener("input", keepDraft);
    document.addEventListener("keydown", onKey);
  }

  connect();
  setLook(LOOKS.includes(localStorage.getItem(LOOK)) ? localStorage.getItem(LOOK) : "auto");
  settings.restore();
  turns.listen(actions);
  strands.listen(turns.news, showCount);
  server.onChange(showState);
  tree.restore();
  byId("draft").value = localStorage.getItem(DRAFT) ?? "";
  keepDraft();
  turns.render();
  server.look();
  loadModels();
  if (matchMedia("(hover: hover)").matches) byId("draft").focus();
})();
