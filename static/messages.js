// The list of messages on the page of the hub, as they are sent: newest first, at most 200.
const MOST = 200;

export function start({ hub }) {
  const list = document.getElementById("messages-lines"), note = document.getElementById("messages-note");
  const pause = document.getElementById("messages-pause"), clear = document.getElementById("messages-clear"), filter = document.getElementById("messages-filter");
  let paused = false, waiting = [], missed = 0, frame = 0, seen = 0;

  const fits = (li) => li.textContent.toLowerCase().includes(filter.value.toLowerCase());

  function line(m) {
    const li = document.createElement("li");
    const at = document.createElement("time"), text = document.createElement("span");
    at.textContent = m.seq ?? "";
    const { type, job, queue, data } = m;
    text.textContent = li.title = [type, queue, job?.slice?.(-8), data === undefined ? "" : JSON.stringify(data).slice(0, 200)].filter(Boolean).join("  ");
    li.append(at, text);
    li.hidden = !fits(li);
    return li;
  }

  function draw() {
    frame = 0;
    list.prepend(...waiting.splice(0).reverse().map(line));
    while (list.childElementCount > MOST) list.lastElementChild.remove();
    note.textContent = `${seen} messages`;
  }

  hub.subscribe({ all: true }, (m) => {
    if (paused) {
      note.textContent = `paused, ${++missed} since`;
      return;
    }
    seen++;
    waiting.push(m);
    if (waiting.length > MOST) waiting.shift();
    frame ||= requestAnimationFrame(draw);
  });

  pause.addEventListener("click", () => {
    paused = !paused;
    missed = 0;
    pause.textContent = paused ? "Resume" : "Pause";
    pause.setAttribute("aria-pressed", String(paused));
  });
  clear.addEventListener("click", () => list.replaceChildren());
  filter.addEventListener("input", () => { for (const li of list.children) li.hidden = !fits(li); });
  pause.hidden = clear.hidden = filter.hidden = false;
}
