// Confirmations: a form with data-ask first gets the server's confirmation page, as without
// scripts, and that page is shown as a dialog. Its main part has one element, with a link
// with data-close that leads back.
const dialog = document.createElement("dialog");
dialog.id = "confirm";
dialog.setAttribute("aria-labelledby", "question");
document.body.append(dialog);
dialog.addEventListener("click", (e) => {
  if (!e.target.closest("[data-close]")) return;
  e.preventDefault();
  dialog.close();
});

function note(text) {
  const p = document.createElement("p");
  p.id = "question";
  p.textContent = `${text} Nothing was done.`;
  return p;
}

export async function confirm(form, submitter, parse) {
  const body = new URLSearchParams(new FormData(form, submitter));
  let answer;
  try {
    const reply = await fetch(form.getAttribute("action"), { method: "POST", body });
    answer = parse(await reply.text()).querySelector("main > *") ?? note(`The hub answered ${reply.status} without a confirmation page.`);
  } catch {
    answer = note("The hub can't be reached now.");
  }
  dialog.replaceChildren(answer);
  if (!dialog.open) dialog.showModal();
  dialog.querySelector("[data-close]")?.focus();
}
