// The buttons that copy a command.
export async function press(button) {
  const element = document.getElementById(button.dataset.copy);
  button.textContent = await copy(element) ? "copied" : "press Ctrl C";
  setTimeout(() => { button.textContent = "copy"; }, 1500);
}

// Without a clipboard (plain HTTP on another host) the text is only selected.
async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent.trim());
    return true;
  } catch {
    element.closest("details")?.setAttribute("open", "");
    getSelection().selectAllChildren(element);
    return false;
  }
}
