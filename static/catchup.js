// Rows that left the table during a lost connection are not in its view, so they are read
// once over HTTP.
export async function catchUp(rows, told, { parse, fit }) {
  const ids = rows.filter((row) => !told.has(row.id) && !row.matches(".succeeded, .failed, .cancelled")).map((row) => row.querySelector("input").value);
  if (!ids.length) return;
  const page = parse(await (await fetch(`?id=${ids}&columns=${new URLSearchParams(location.search).getAll("columns")}`)).text());
  for (const next of page.querySelectorAll("#rows-body tr")) {
    const row = document.getElementById(next.id);
    if (row) fit(row, next);
  }
}
