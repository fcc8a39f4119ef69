// The page of a job: lines of output are added at the end of the log, which stays at its
// end while the viewer is there.

const MOST = 1000;  // lines kept on the page
const HELD = 5000;  // the same while somebody reads further up, so that nothing moves there
const log = document.getElementById("log"), tail = document.getElementById("tail");
let following = true, missed = 0;

const atEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 8;
const selecting = () => !getSelection().isCollapsed && log.contains(getSelection().anchorNode);

export function part(next, old) {
  if (old || !next.id.startsWith("job-line-")) return;
  const last = log.lastElementChild;
  const n = Number(next.dataset.n), gap = n - 1 - Number(last?.dataset.n ?? n - 1);
  if (gap < 0) return; // let go before
  if (gap > 0) {
    const note = document.createElement("li");
    note.className = "note turn";
    note.dataset.turn = `${gap} lines came too fast to be shown here`;
    log.append(note);
  }
  log.append(next);
  missed++;
}

export function settled() {
  const free = following && !selecting();
  for (let n = log.childElementCount; n > (free ? MOST : HELD); n--) log.firstElementChild.remove();
  if (free) log.scrollTop = log.scrollHeight;
  show();
}

function show() {
  if (following) missed = 0;
  tail.hidden = following && log.scrollHeight <= log.clientHeight;
  tail.setAttribute("aria-pressed", following);
  tail.textContent = following ? "Following" : missed ? `Follow · ${missed} new` : "Follow";
}

export function start() {
  // A scroll that the viewer did not ask for must not end the following.
  for (const type of ["wheel", "touchmove", "keydown", "pointerup"]) {
    log.addEventListener(type, () => requestAnimationFrame(() => { following = atEnd(); show(); }), { passive: true });
  }
  log.addEventListener("scrollend", () => { if (!following && atEnd()) { following = true; show(); } });
  tail.addEventListener("click", () => { following = !following; settled(); });
  settled();
}
