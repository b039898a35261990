// SPDX-License-Identifier: Apache-2.0
// Elements made of data. Text becomes text nodes only; no string is ever read as HTML.
"use strict";

const dom = (() => {
  const SVG = "http:" + "//www.w3.org/2000/svg";

  function put(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
    }
    append(node, children.flat());
    return node;
  }

  /** One by one: a call with all of a long text's nodes as its arguments would overflow the stack. */
  function append(node, children) {
    for (const child of children) if (child !== null && child !== undefined) node.append(child);
  }

  /** make("button", {type: "button", onclick: f}, "Stop") */
  function make(tag, attributes = {}, ...children) {
    return put(document.createElement(tag), attributes, children);
  }

  function svg(tag, attributes = {}, ...children) {
    return put(document.createElementNS(SVG, tag), attributes, children);
  }

  /** A button whose name says what it does to what, where the visible word alone does not. */
  function button(word, name, onclick, attributes = {}) {
    const label = name && name !== word ? { "aria-label": name, title: name } : {};
    return make("button", { type: "button", ...label, ...attributes, onclick }, word);
  }

  /** Sets properties that have another value: what stays the same costs no layout. */
  function set(element, properties) {
    for (const [name, value] of Object.entries(properties)) if (element[name] !== value) element[name] = value;
  }

  const byId = (id) => document.getElementById(id);

  let saying = 0;
  /** Tells a screen reader, politely, once. */
  function announce(text) {
    const status = byId("status");
    status.textContent = "";
    clearTimeout(saying);
    saying = setTimeout(() => { status.textContent = text; }, 50);
  }

  async function copy(text, what) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      if (!copyOldWay(text)) return notice(`The browser did not let the page copy ${what}.`);
    }
    notice(`Copied: ${what}.`);
  }

  // Pages that did not come over https from elsewhere have no clipboard object.
  function copyOldWay(text) {
    const field = make("textarea", { "aria-hidden": "true", class: "hidden-label" });
    field.value = text;
    const focused = document.activeElement;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    focused?.focus();
    return done;
  }

  let noticing = 0;
  /** A short word below the message field. */
  function notice(text) {
    byId("notice").textContent = text;
    announce(text);
    clearTimeout(noticing);
    noticing = setTimeout(() => { byId("notice").textContent = ""; }, 6000);
  }

  function download(name, type, text) {
    const address = URL.createObjectURL(new Blob([text], { type }));
    make("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }

  function plural(count, word) {
    return `${count} ${word}${count === 1 ? "" : "s"}`;
  }

  return { make, svg, append, button, set, byId, announce, notice, copy, download, plural };
})();
