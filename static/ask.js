// Questions before something is done: a form with data-ask asks the server, as it does
// without script, and the answer's page is shown as a dialog here. The page of a question
// has one element in its main part, and a link with data-close that leads back.
const dialog = document.createElement("dialog");
dialog.id = "ask";
dialog.setAttribute("aria-labelledby", "question");
document.body.append(dialog);
dialog.addEventListener("click", (e) => {
  if (!e.target.closest("[data-close]")) return;
  e.preventDefault();
  dialog.close();
});

export async function ask(form, submitter, parse) {
  const body = new URLSearchParams(new FormData(form, submitter));
  let answer = document.createElement("p");
  try {
    answer = parse(await (await fetch(form.getAttribute("action"), { method: "POST", body })).text()).querySelector("main > *");
  } catch {
    answer.id = "question";
    answer.textContent = "The hub can't be reached now. Nothing was done.";
  }
  dialog.replaceChildren(answer);
  if (!dialog.open) dialog.showModal();
  dialog.querySelector("[data-close]")?.focus();
}
