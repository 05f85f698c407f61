// Shows what the service tells. All text is set as text: nothing that anybody wrote becomes markup.
"use strict";

const { prefix, token } = document.body.dataset;
const byId = (id) => document.getElementById(id);
const WORDS = { ready: "Ready", starting: "Starting", stopped: "Stopped", trouble: "Trouble", unknown: "Unknown" };
const SOON = { "for want of use": 900e3, "for its age": 3600e3 }; // so long before, an end is announced

let state = { sessions: [], site: [], totals: null, trouble: "" };
let source = null;
const shown = new Map(); // session -> what its card was made of

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function marked(name, words) {
  return element("span", { class: `state ${name}` }, words ?? WORDS[name]);
}

function left(text) {
  const seconds = (Date.parse(text) - Date.now()) / 1000;
  if (seconds <= 0) return "over";
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    const count = Math.floor(seconds / size);
    if (count >= 1) return `${count} ${unit}${count > 1 ? "s" : ""}`;
  }
  return "less than a minute";
}

function until(time) {
  return element("time", { datetime: time, title: new Date(time).toLocaleString() }, left(time));
}

function table(caption, heads, rows) {
  const made = element("table", {}, element("caption", { class: "visually-hidden" }, caption));
  const head = heads.map((text) => element("th", { scope: "col" }, text));
  made.append(element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
  return made;
}

function snippet(title, code) {
  const button = element("button", { type: "button", class: "btn btn-sm btn-outline-contrast", "aria-label": `Copy: ${title}` }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code);
    tell(`copied: ${title}`);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  const head = element("div", { class: "head" }, element("h3", {}, title), button);
  return element("div", { class: "snippet" }, head, element("pre", {}, element("code", {}, code)));
}

function snippets(session) {
  const inside = "from distributed import Client\n\nclient = Client()";
  const parts = [snippet("In a notebook", inside)];
  if (session.external) {
    const folder = session.name;
    const code = [
      "# Once, in a terminal of JupyterLab: the session's files as one archive, to be kept like a password.",
      `tar -C /etc/cmsaf-secrets -hczf ~/${folder}.tgz .`,
      "# Download it, unpack it on the laptop into a folder of this name, and there, in Python:",
      "from casita.dask.connect import connect",
      `client = connect("${folder}", external=True)  # ${session.external}`,
    ].join("\n");
    parts.push(snippet("From a laptop", code));
  }
  const summary = element("summary", {}, "How to use it");
  return element("details", { class: "mt-2" }, summary, ...parts);
}

async function press(session, action, button) {
  button.disabled = true;
  tell(`${action} ${session.name} …`);
  const where = `${prefix}sessions/${encodeURIComponent(session.name)}/${action}`;
  let words = `${action} of ${session.name}: done`;
  try {
    const answer = await fetch(where, { method: "POST", headers: { "X-XSRFToken": token } });
    if (!answer.ok) words = (await answer.json()).message;
    if (answer.ok) tell(words); else complain(words);
  } catch (error) {
    complain(`${action} of ${session.name}: the hub does not answer (${error.message})`);
  }
  button.disabled = false;
}

function tell(words) { byId("told").textContent = words; }

function complain(words) {
  const place = byId("trouble");
  place.textContent = words;
  place.hidden = !words;
}

function buttons(session) {
  const made = [];
  const add = (words, action, style) => {
    const button = element("button", { type: "button", class: `btn btn-sm ${style}`, "aria-label": `${words} ${session.name}` }, words);
    button.addEventListener("click", () => press(session, action, button));
    made.push(button);
  };
  if (session.running && session.server?.ready) {
    made.push(element("a", { class: "btn btn-sm btn-primary", href: session.server.url, "aria-label": `Open ${session.name}` }, "Open"));
  }
  if (session.running) {
    add("Restart", "restart", "btn-outline-contrast");
    add("Stop", "stop", "btn-outline-danger");
  } else {
    add("Start", "start", "btn-primary");
  }
  return element("div", { class: "buttons" }, ...made);
}

function conditions(session) {
  const items = session.conditions.map((one) => element("li", {}, marked(one.state, one.title), ": ", one.words));
  return element("section", {}, element("h3", {}, "How it is"), element("ul", { class: "facts" }, ...items));
}

function credentials(session) {
  const items = session.credentials.map((one) =>
    element("li", {}, one.title, ": ", until(one.notAfter), one.renewed ? " left, renewed by itself" : " left"));
  if (!items.length) items.push(element("li", {}, "none: the session is not running"));
  return element("section", {}, element("h3", {}, "Credentials"), element("ul", { class: "facts" }, ...items));
}

function pools(session) {
  const rows = session.pools.map((one) => element("tr", {},
    element("th", { scope: "row" }, one.pool),
    ...[one.desired, one.requested, one.ready].map((count) => element("td", { class: "number" }, String(count)))));
  const body = rows.length
    ? table(`Workers of ${session.name}`, ["Pool", "Wanted", "Requested", "Ready"], rows)
    : element("p", {}, "none");
  return element("section", {}, element("h3", {}, "Workers"), body);
}

function card(session) {
  const made = element("article", { class: "session", "data-session": session.name, "aria-label": `Session ${session.name}` });
  const whose = session.user === session.name ? "" : ` (${session.user})`;
  made.append(
    element("div", { class: "head" },
      element("h2", {}, session.name + whose), marked(session.state),
      element("span", {}, session.words), buttons(session)),
    element("p", { class: "ends", hidden: "" }),
    element("div", { class: "parts" }, conditions(session), credentials(session), pools(session)),
    snippets(session));
  return made;
}

function announce(made, session) {
  const place = made.querySelector(".ends");
  const soon = session.ends && Date.parse(session.ends.at) - Date.now() < SOON[session.ends.why];
  place.hidden = !soon;
  if (!soon) return;
  const words = `This server ends in ${left(session.ends.at)} ${session.ends.why}. `;
  const cure = session.ends.why === "for want of use" ? "Use it to keep it; running Dask work counts." : "Save your work, and start it anew afterwards.";
  if (place.textContent !== words + cure) {
    place.textContent = words + cure;
    warn(session, words);
  }
}

const warned = new Set();

// Whoever wants it is told of an end by the browser too, with the page in the background.
function offer() {
  const button = byId("notify");
  button.hidden = window.Notification?.permission !== "default";
  button.addEventListener("click", async () => {
    button.hidden = (await Notification.requestPermission()) !== "default";
  });
}

function warn(session, words) {
  if (warned.has(session.name + session.ends.at)) return;
  warned.add(session.name + session.ends.at);
  tell(`${session.name}: ${words}`);
  if (window.Notification?.permission === "granted") new Notification(session.name, { body: words });
}

function wanted(session) {
  const text = (byId("filter")?.value ?? "").toLowerCase();
  return [session.name, session.user, session.profile, session.state].join(" ").toLowerCase().includes(text);
}

function show() {
  const place = byId("sessions");
  const names = new Set(state.sessions.map((session) => session.name));
  for (const [name, kept] of shown) {
    if (!names.has(name)) { kept.made.remove(); shown.delete(name); }
  }
  let before = null;
  for (const session of state.sessions) {
    const text = JSON.stringify(session);
    const kept = shown.get(session.name);
    let made = kept?.made;
    if (kept?.text !== text) {
      made = card(session);
      made.querySelector("details").open = kept?.made.querySelector("details").open ?? false;
      const focused = kept?.made.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
      if (kept) kept.made.replaceWith(made); else place.append(made);
      shown.set(session.name, { text, made });
      if (focused) made.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
      if (kept && kept.state !== session.state) tell(`${session.name}: ${WORDS[session.state]}`);
      shown.get(session.name).state = session.state;
    }
    if (before ? made.previousElementSibling !== before : place.firstElementChild !== made) {
      if (before) before.after(made); else place.prepend(made);
    }
    made.hidden = !wanted(session);
    announce(made, session);
    before = made;
  }
  byId("none").hidden = state.sessions.length > 0;
  byId("site").replaceChildren(...state.site.map((one) =>
    element("li", {}, marked(one.state, one.title), ": ", one.words)));
  if (byId("totals")) {
    const sums = state.totals;
    byId("totals").textContent = sums
      ? `${sums.sessions} sessions of ${sums.users} users: ${sums.ready} ready, ${sums.trouble} in trouble; ${sums.workersReady} of ${sums.workersWanted} workers ready`
      : "";
  }
}

function follow() {
  source?.close();
  const query = new URLSearchParams({ _xsrf: token, all: byId("everybody")?.checked ? "1" : "" });
  source = new EventSource(`${prefix}events?${query}`);
  source.onmessage = (event) => {
    state = JSON.parse(event.data);
    complain(state.trouble);
    show();
  };
  source.onerror = () => {
    const refused = source.readyState === EventSource.CLOSED;
    complain(refused ? "The status service refuses: reload this page to log in again." : "The status service does not answer; trying again …");
    if (refused) setTimeout(follow, 30000);
  };
}

byId("everybody")?.addEventListener("change", follow);
byId("filter")?.addEventListener("input", show);
offer();
setInterval(() => {
  for (const time of document.querySelectorAll("#sessions time")) time.textContent = left(time.dateTime);
  for (const session of state.sessions) announce(shown.get(session.name).made, session);
}, 20000);
follow();
