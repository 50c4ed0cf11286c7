// A conversation followed: what its sides said, its time sequence, its ladder.

import { decoded, element } from "./dom.js";

const VIEWS = [["payload", "Payload"], ["sequence", "Time sequence"], ["ladder", "Ladder"]];

export class Conversation {
  constructor(on) {
    this.on = on;
    this.form = "text";
    this.tabs = element("div", { class: "k8-tabs" });
    this.title = element("div", { class: "k8-note" });
    this.body = element("div", { class: "k8-said", tabIndex: 0 });
    this.node = element("div", { class: "k8-conversation", hidden: true }, this.tabs, this.title, this.body);
  }

  open(row) {
    this.row = row;
    this.title.textContent = "";
    this.node.hidden = false;
    this.choose("payload");
  }

  choose(what) {
    this.what = what;
    this.paintTabs();
    this.body.replaceChildren(element("p", { class: "k8-note" }, "…"));
    this.on.ask(this.row, what);
  }

  paintTabs() {
    const tabs = VIEWS.map(([name, title]) => element("button", {
      class: name === this.what ? "k8-open" : "", onclick: () => this.choose(name),
    }, title));
    const form = element("button", {
      hidden: this.what !== "payload",
      onclick: () => { this.form = this.form === "text" ? "hex" : "text"; this.paintTabs(); this.show(this.told); },
    }, this.form === "text" ? "as hex" : "as text");
    const close = element("button", { class: "k8-close", title: "Back to the frame (Esc)", onclick: () => this.close() }, "✕");
    this.tabs.replaceChildren(...tabs, form, close);
    this.body.focus({ preventScroll: true }); // the button that was clicked is gone, and with it the focus
  }

  close() {
    this.node.hidden = true;
    this.on.close();
  }

  show(told) {
    if (!told || told.what !== this.what) return;
    this.told = told;
    this.title.textContent = told.title;
    if (told.what === "payload") this.body.replaceChildren(...this.pieces(told));
    else if (!told.picture) this.say(told.why);
    else this.body.replaceChildren(element("img", { class: `k8-${told.what}`, alt: told.what, src: `data:image/svg+xml;base64,${told.picture}` }));
  }

  say(text) {
    this.body.replaceChildren(element("p", { class: "k8-note" }, text));
  }

  pieces(told) {
    if (!told.pieces.length) return [element("p", { class: "k8-note" }, "Nobody said anything: there is no payload.")];
    const made = [];
    for (const piece of told.pieces) {
      if (piece.missing) made.push(element("p", { class: "k8-note" }, `[${piece.missing} bytes were not captured]`));
      const text = this.form === "text" ? piece.text : hexLines(decoded(piece.bytes));
      made.push(element("pre", {
        class: piece.side ? "k8-server" : "k8-client", title: `frame ${piece.number}`,
        onclick: () => this.on.frame(piece.number),
      }, text));
    }
    if (told.cut) made.push(element("p", { class: "k8-note" }, "… the conversation goes on; this is its beginning."));
    return made;
  }
}

function hexLines(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const line = [...bytes.slice(at, at + 16)];
    const hex = line.map((byte) => byte.toString(16).padStart(2, "0")).join(" ").padEnd(48);
    lines.push(hex + line.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join(""));
  }
  return lines.join("\n");
}
