// SPDX-License-Identifier: Apache-2.0
// Rules of accessibility on the page as it stands. Each returns its complaints.

const CONTROLS = "button, input, select, textarea, a[href], meter, [tabindex='0'], summary";

function visible(element) {
  return element.checkVisibility({ checkVisibilityCSS: true }) && element.getClientRects().length > 0;
}

function nameOf(element) {
  const by = (element.getAttribute("aria-labelledby") ?? "").split(" ").filter(Boolean);
  if (by.length) return by.map((id) => document.getElementById(id)?.textContent ?? "").join(" ").trim();
  const label = element.getAttribute("aria-label");
  if (label) return label.trim();
  if (element.labels?.length) return [...element.labels].map((one) => one.textContent).join(" ").trim();
  return element.matches("button, a, summary") ? element.textContent.trim() : "";
}

const shortly = (element) => element.outerHTML.slice(0, 120);

function controlsWithoutName() {
  return [...document.querySelectorAll(CONTROLS), ...document.querySelectorAll("svg[role=img], [role=group], dialog, main")]
    .filter(visible).filter((element) => !nameOf(element)).map(shortly);
}

function idsTwice() {
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  return ids.filter((id, at) => ids.indexOf(id) !== at);
}

// ---- contrast, WCAG 2.2

function channels(color) {
  const numbers = color.match(/[\d.]+/g).map(Number);
  return { rgb: numbers.slice(0, 3), alpha: numbers[3] ?? 1 };
}

function groundOf(element) {
  const layers = [];
  for (let at = element; at; at = at.parentElement) {
    const layer = channels(getComputedStyle(at).backgroundColor);
    if (layer.alpha > 0) layers.push(layer);
    if (layer.alpha === 1) break;
  }
  return layers.reverse().reduce((below, { rgb, alpha }) => rgb.map((value, i) => value * alpha + below[i] * (1 - alpha)),
    [255, 255, 255]);
}

function luminance(rgb) {
  const [r, g, b] = rgb.map((value) => value / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one, two) {
  const [high, low] = [luminance(one), luminance(two)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}

function lowContrast() {
  const problems = [];
  const judge = (element, style, what) => {
    const ratio = contrast(channels(style.color).rgb, groundOf(element));
    if (ratio < 4.5) problems.push(`${ratio.toFixed(2)} ${what} ${shortly(element)}`);
  };
  for (const element of document.querySelectorAll("body *")) {
    if (!visible(element) || element.matches(":disabled, option, script, style")) continue;
    const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (own || element.value) judge(element, getComputedStyle(element), "text");
    if (element.placeholder) judge(element, getComputedStyle(element, "::placeholder"), "placeholder");
  }
  return problems;
}

// ---- structure

const LANDMARKS = "header, main, aside, footer, nav, dialog, [role=alert], [role=status], .skip";

/** What assistive technology builds on: language, title, one h1, no skipped level of headings, and landmarks around it all. */
function structure() {
  const problems = [];
  if (!document.documentElement.lang) problems.push("no language");
  if (!document.title) problems.push("no title");
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")].filter(visible).map((one) => Number(one.localName[1]));
  if (levels.filter((level) => level === 1).length !== 1) problems.push("not one h1");
  levels.forEach((level, i) => { if (i > 0 && level > levels[i - 1] + 1) problems.push(`h${level} after h${levels[i - 1]}`); });
  for (const element of document.body.querySelectorAll("button, input, p, h2")) {
    if (!element.closest(LANDMARKS)) problems.push(`outside of all landmarks: ${shortly(element)}`);
  }
  return problems;
}

/** ARIA that points to nothing, or says what an element cannot be. */
function brokenAria() {
  const problems = [];
  for (const name of ["aria-labelledby", "aria-describedby", "aria-controls", "for"]) {
    for (const element of document.querySelectorAll(`[${name}]`)) {
      const lost = element.getAttribute(name).split(" ").filter((id) => !document.getElementById(id));
      if (lost.length) problems.push(`${name} ${lost}: ${shortly(element)}`);
    }
  }
  for (const element of document.querySelectorAll("[aria-hidden=true]")) {
    if (element.matches(CONTROLS) || [...element.querySelectorAll(CONTROLS)].some(visible)) problems.push(shortly(element));
  }
  for (const element of document.querySelectorAll("[tabindex]")) if (element.tabIndex > 0) problems.push(shortly(element));
  for (const table of document.querySelectorAll("table")) {
    if (!table.querySelector("th[scope=col]") || !table.querySelector("tbody th[scope=row], tbody:empty")) problems.push(shortly(table));
  }
  return problems;
}

/** Regions that speak up by themselves. */
function liveRegions() {
  return [...document.querySelectorAll("[aria-live], [role=alert], [role=status], [role=log]")].map((one) => one.id);
}

// ---- keyboard and small screens

/** Controls below the 24 × 24 CSS pixels of WCAG 2.2, 2.5.8. */
function smallTargets() {
  return [...document.querySelectorAll("button, input, select, textarea")].filter(visible).filter((element) => {
    const box = (element.closest("label") ?? element).getBoundingClientRect();
    return box.width < 24 || box.height < 24;
  }).map(shortly);
}

/** Whether the focused element shows that it is: an outline of 2 pixels or more with a contrast of 3 to its ground. */
function focusIsSeen() {
  const element = document.activeElement;
  const style = getComputedStyle(element);
  if (element === document.body) return true;
  return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 &&
    contrast(channels(style.outlineColor).rgb, groundOf(element.parentElement)) >= 3;
}

/** Numbers everything that the Tab key must reach; returns how many there are. */
function markReachable() {
  const wanted = [...document.querySelectorAll("button, input, select, textarea, a[href], [tabindex='0']")]
    .filter((element) => visible(element) && !element.disabled);
  wanted.forEach((element, i) => { element.dataset.reach = String(i); });
  return wanted.length;
}

function outsideOfScreen() {
  return [...document.querySelectorAll("button, input, select, textarea")].filter(visible)
    .filter((element) => !element.closest(".columns, .code, .tools, .skip"))
    .filter((element) => {
      const box = element.getBoundingClientRect();
      return box.left < -1 || box.right > innerWidth + 1;
    }).map(shortly);
}
