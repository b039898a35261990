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

// ---- keyboard and small screens

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
