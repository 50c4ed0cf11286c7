// Everything that is shown comes as text from Python and is set as text: nothing from the wire is markup.

const STALE_MS = 5000;
const UNHEARD_MS = 3000;
const STALE = "No news from the kernel. Where it has died, the capture has ended with it, and its files are whole.";
const UNHEARD =
  "The kernel is busy and has not heard of it yet: it will when the cell that runs has ended, or is interrupted.";

function make(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = `k8scap-live-${name}`;
  if (text !== undefined) element.textContent = text;
  return element;
}

function tile(label) {
  const box = make("div", "tile");
  const value = make("div", "value");
  box.append(value, make("div", "label", label));
  return { box, value };
}

function bars(history) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const most = Math.max(1, ...history);
  svg.setAttribute("viewBox", "0 0 60 20");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `packets each second, at most ${most.toLocaleString("en")}`);
  history.forEach((count, i) => {
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const height = (19 * count) / most + (count ? 0.5 : 0);
    bar.setAttribute("x", 60 - history.length + i + 0.1);
    bar.setAttribute("width", 0.8);
    bar.setAttribute("y", 20 - height);
    bar.setAttribute("height", height);
    svg.append(bar);
  });
  return svg;
}

function table(heads, rows) {
  const whole = make("table", "talks");
  const head = whole.createTHead().insertRow();
  for (const name of heads) head.append(make("th", "", name));
  const body = whole.createTBody();
  for (const cells of rows) {
    const row = body.insertRow();
    for (const cell of cells) {
      const place = row.insertCell();
      place.textContent = cell;
      place.title = cell;
    }
  }
  return whole;
}

function findings(view) {
  const list = make("ul", "findings");
  for (const [severity, rule, title, seen] of view.findings) {
    const line = make("li", `finding k8scap-live-${severity}`);
    line.append(make("span", "severity", severity), make("span", "rule", rule));
    line.append(make("span", "sentence", title), make("span", "seen", seen && `last seen ${seen} UTC`));
    list.append(line);
  }
  if (view.more_findings) list.append(make("li", "more", view.more_findings));
  if (!view.findings.length) list.append(make("li", "none", "nothing so far"));
  return list;
}

export function render({ model, el }) {
  const root = make("div", "panel");
  const dot = make("span", "dot");
  const title = make("span", "title");
  const state = make("span", "state");
  const stop = make("button", "stop", "Stop");
  stop.title = "End the capture and keep what came";
  const header = make("div", "header");
  header.append(dot, title, state, stop);
  const tiles = {
    packet_rate: tile("packets/s"), byte_rate: tile("on the wire"), packets: tile("packets"),
    on_disk: tile("on disk"), dropped: tile("dropped"),
  };
  const numbers = make("div", "tiles");
  for (const { box } of Object.values(tiles)) numbers.append(box);
  const pace = make("div", "pace");
  const talks = make("div", "scroll");
  const found = make("div", "found");
  const left = make("section", "part");
  left.append(make("h4", "", "Top conversations"), talks);
  const right = make("section", "part");
  right.append(make("h4", "", "First findings"), found);
  const parts = make("div", "parts");
  parts.append(left, right);
  const notes = make("div", "notes");
  const warning = make("div", "warning");
  root.append(header, numbers, pace, parts, notes, warning);
  el.append(root);

  let heard = Date.now();
  let asked = 0;

  function draw() {
    const view = model.get("view");
    if (!view || view.title === undefined) return;
    heard = Date.now();
    root.classList.toggle("k8scap-live-over", !view.running);
    title.textContent = view.title;
    state.textContent = view.state;
    for (const [name, { value }] of Object.entries(tiles)) value.textContent = view[name];
    tiles.dropped.box.classList.toggle("k8scap-live-bad", view.some_dropped);
    pace.replaceChildren(bars(view.history));
    talks.replaceChildren(
      view.talks.length
        ? table(["from", "to", "", "now", "packets", "bytes"], view.talks)
        : make("div", "none", "nobody so far"),
    );
    found.replaceChildren(findings(view));
    notes.replaceChildren(...view.notes.map((note) => make("div", "", note)));
    stop.hidden = view.ending;
    warn();
  }

  function warn() {
    const view = model.get("view") || {};
    const now = Date.now();
    const stale = view.running && now - heard > STALE_MS;
    root.classList.toggle("k8scap-live-stale", Boolean(stale));
    const unheard = view.running && !view.ending && asked && now - asked > UNHEARD_MS;
    warning.textContent = stale ? STALE : unheard ? UNHEARD : "";
  }

  stop.addEventListener("click", () => {
    asked = Date.now();
    stop.disabled = true;
    stop.textContent = "Stopping …";
    model.send({ say: "stop" });
  });
  model.on("change:view", draw);
  const timer = setInterval(warn, 1000);
  draw();
  return () => {
    clearInterval(timer);
    model.off("change:view", draw);
  };
}

export default { render };
