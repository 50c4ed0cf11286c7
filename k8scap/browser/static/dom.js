// Elements, made of text alone: nothing that came from the wire is ever read as HTML.

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && name !== "list") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function decoded(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

export function counted(number) {
  return number.toLocaleString("en");
}

// The first of several calls that follow one another at once is made, and the last.
export function firstAndLast(wait, action) {
  let due = 0;
  const last = later(wait, action);
  return (...given) => {
    const now = performance.now();
    if (now >= due) action(...given);
    else last(...given);
    due = now + wait;
  };
}

// The last call counts, `wait` milliseconds after it.
export function later(wait, action) {
  let timer = null;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...given), wait);
  };
}
