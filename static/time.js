// Times for the viewer: relative to now, or absolute in the local zone or UTC. The server
// sends absolute times only, as all viewers get the same bytes.

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;

// A duration in its two largest units, as web/view writes it.
export function span(ms) {
  const n = (unit) => Math.floor(ms / unit);
  if (ms < MINUTE) return `${Math.max(0, n(SECOND))} s`;
  if (ms < HOUR) return `${n(MINUTE)} min ${n(SECOND) % 60} s`;
  if (ms < DAY) return `${n(HOUR)} h ${n(MINUTE) % 60} min`;
  return `${n(DAY)} d ${n(HOUR) % 24} h`;
}

// zoned is a date whose UTC parts are those of the chosen zone.
const zoned = (t) => document.documentElement.dataset.zone === "UTC" ? t : new Date(t - t.getTimezoneOffset() * MINUTE);
const iso = (t, from, to) => zoned(t).toISOString().slice(from, to);
const minute = (t) => iso(t, 11, 16);
export const clock = (t) => iso(t, 11, 19);

const write = {
  since: (t, now) => span(now - t),
  ago: (t, now) => `${span(now - t).replace(/^(\d+ (?:min|h|d)) .*/, "$1")} ago`,
  in: (t, now) => t > now ? `in ${span(t - now + 999)}` : "now",
  minute, clock,
  day: (t) => `${iso(t, 0, 10)} ${minute(t)}`,
  precise: (t) => iso(t, 11, 23),
};

// tick updates all times of the page.
export function tick() {
  const now = new Date();
  for (const element of document.querySelectorAll("time[data-rel]")) {
    const text = write[element.dataset.rel]?.(new Date(element.dateTime), now);
    if (text !== undefined && element.textContent !== text) element.textContent = text;
  }
}
