// Rows that left the table while nobody listened are not in its view: they are read once.
export async function catchUp(rows, told, { parse, fit }) {
  const ids = rows.filter((row) => !told.has(row.id) && !row.matches(".succeeded, .failed, .cancelled")).map((row) => row.querySelector("input").value);
  if (!ids.length) return;
  const page = parse(await (await fetch(`?id=${ids}&columns=${new URLSearchParams(location.search).getAll("columns")}`)).text());
  for (const next of page.querySelectorAll("#rows-body tr")) {
    const row = document.getElementById(next.id);
    if (row) fit(row, next);
  }
}
