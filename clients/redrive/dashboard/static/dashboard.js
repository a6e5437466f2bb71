// Runs before the page is drawn: the theme, and times in the viewer's time zone.
"use strict";

// cycles through: system (the default), light, dark
const redriveTheme = {
  names: ["system", "light", "dark"],
  get() {
    return this.names.includes(localStorage.redriveTheme) ? localStorage.redriveTheme : "system";
  },
  apply() {
    document.documentElement.dataset.theme = this.get();
    const word = document.querySelector(".theme-word");
    if (word) word.textContent = "Theme: " + this.get();
  },
  turn() {
    localStorage.redriveTheme = this.names[(this.names.indexOf(this.get()) + 1) % this.names.length];
    this.apply();
  },
};
redriveTheme.apply();

// <red-time datetime="2026-01-31T12:00:00Z"> shows the time in the viewer's time zone; with age="true" its age.
class RedTime extends HTMLElement {
  static observedAttributes = ["datetime", "age"];
  static all = new Set();
  connectedCallback() {
    RedTime.all.add(this);
    this.draw();
  }
  disconnectedCallback() {
    RedTime.all.delete(this);
  }
  attributeChangedCallback() {
    this.draw();
  }
  draw() {
    const time = new Date(this.getAttribute("datetime"));
    const text = isNaN(time) ? "–" : this.hasAttribute("age") ? age(time) : full(time, this.hasAttribute("zone") ? "long" : "short");
    if (this.textContent !== text) this.textContent = text;
    if (!isNaN(time)) this.title = full(time, "long");
  }
}
function full(time, zone) {
  const day = time.toDateString() === new Date().toDateString() && zone === "short" ? {} : { day: "numeric", month: "short", year: "numeric" };
  const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
  return time.toLocaleString(undefined, { ...day, ...clock, ...(zone === "long" ? { timeZoneName: "long" } : {}) });
}
function age(time) {
  const seconds = (Date.now() - time) / 1000;
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  for (const [size, unit] of [[86400, "day"], [3600, "hour"], [60, "minute"]])
    if (Math.abs(seconds) >= size) return words.format(-Math.round(seconds / size), unit);
  return Math.abs(seconds) < 10 ? "just now" : words.format(-Math.round(seconds), "second");
}
customElements.define("red-time", RedTime);
setInterval(() => RedTime.all.forEach((element) => element.draw()), 5000);

// <red-moment typed="2027-03-28T02:30"> shows the moment of a local time in the viewer's time zone. `new Date` reads a time that
// the clock skips with the offset before the change, and takes the first of a time that occurs twice.
class RedMoment extends HTMLElement {
  static observedAttributes = ["typed"];
  connectedCallback() {
    this.draw();
  }
  attributeChangedCallback() {
    this.draw();
  }
  draw() {
    const text = meaning(this.getAttribute("typed") ?? "");
    if (this.textContent !== text) this.textContent = text;
  }
}
function meaning(typed) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const time = new Date(typed);
  if (isNaN(time)) return `Time zone: ${zone}.`;
  const words = `${full(time, "long")} (${zone}).`;
  const offset = (days) => new Date(+time + days * 864e5).getTimezoneOffset();
  const wall = (moment) => +moment - moment.getTimezoneOffset() * 6e4;
  const change = offset(1) - offset(-1); // minutes by which the clock is set back
  if (Math.abs(wall(time) - Date.parse(typed + "Z")) >= 6e4) return `The clock skips this time. It is taken as ${words}`;
  const second = new Date(+time + change * 6e4);
  return change > 0 && wall(second) === wall(time) ? `This time occurs twice. The first is taken, ${words}` : words;
}
customElements.define("red-moment", RedMoment);

// NiceGUI draws the page after this script runs: then set the theme's name, and the target of the skip link.
new MutationObserver((_, observer) => {
  const main = document.querySelector("main.q-page");
  if (!main) return;
  main.id = "content";
  main.tabIndex = -1;
  redriveTheme.apply();
  observer.disconnect();
}).observe(document, { childList: true, subtree: true });
