// Files, and what is pasted, as items that the model takes.

import { Problem } from "./ask.js";

const TABLE = /\.(csv|tsv|tab|jsonl|ndjson|txt)$/i;

/** Return items of files, or {rows, columns} of a table of texts whose column must be chosen. */
export async function itemsOf(files, info) {
  const { modality } = info.task;
  if (modality === "image" || modality === "audio") return files.map((file) => fileItem(file, info));
  const found = [];
  for (const file of files) {
    if (!TABLE.test(file.name)) {
      throw new Problem("this kind of file is not read here", { where: file.name, hint: modality === "text" ? "A CSV, TSV, JSON Lines or plain text file is." : "A CSV, TSV or JSON Lines file is." });
    }
    found.push(...rowsOf(await decoded(file), file.name));
  }
  if (!found.length) throw new Problem("there is nothing in it", { where: files[0]?.name });
  return modality === "text" ? textsOf(found) : rowItems(found, info);
}

function fileItem(file, { task, limits }) {
  const wanted = task.modality;
  if (file.type && !file.type.startsWith(`${wanted}/`) && !file.type.includes("octet")) {
    throw new Problem(wanted === "image" ? "this is no picture" : "this is no recording", { where: file.name });
  }
  if (limits?.body_bytes && file.size > limits.body_bytes * 0.95) {
    throw new Problem("this file is too large", { where: file.name, hint: `At most ${Math.floor(limits.body_bytes / 1e6)} MB are taken.` });
  }
  return { name: file.name || "pasted", file, url: URL.createObjectURL(file) };
}

async function decoded(file) {
  const raw = await file.arrayBuffer();
  const bytes = new Uint8Array(raw);
  const name = bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : bytes[0] === 0xfe && bytes[1] === 0xff ? "utf-16be" : "utf-8";
  try {
    return new TextDecoder(name, { fatal: true }).decode(raw);
  } catch {
    return new TextDecoder("windows-1252").decode(raw);
  }
}

function rowsOf(text, name) {
  if (/\.txt$/i.test(name)) return text.split(/\r\n|\r|\n/).filter((line) => line.trim());
  if (/\.(jsonl|ndjson)$/i.test(name)) return text.split("\n").filter((line) => line.trim()).map((line, place) => jsonOf(line, name, place));
  const [header, ...rows] = delimited(text, /\.(tsv|tab)$/i.test(name) ? "\t" : delimiterOf(text));
  if (!header) return [];
  return rows.map((cells, place) => {
    if (cells.length !== header.length) throw new Problem(`this row has ${cells.length} cells, and the header ${header.length}`, { where: `${name}, row ${place + 1}` });
    return Object.fromEntries(header.map((key, at) => [key.trim(), cells[at]]));
  });
}

function jsonOf(line, name, place) {
  try {
    return JSON.parse(line);
  } catch {
    throw new Problem("this line is not JSON", { where: `${name}, line ${place + 1}` });
  }
}

/** Return the sign that parts the cells of a CSV file: the one that parts its first line most. */
export function delimiterOf(text) {
  const first = text.slice(0, 20000).replace(/"[^"]*"/g, "").split(/\r|\n/)[0];
  return [",", ";", "\t", "|"].map((sign) => [first.split(sign).length, sign]).reduce((a, b) => (b[0] > a[0] ? b : a))[1];
}

/** Return the records of a CSV text (RFC 4180): quoted cells may hold anything. */
export function delimited(text, sign) {
  const records = [];
  let record = [];
  let cell = "";
  let quoted = false;
  const end = () => {
    record.push(cell);
    if (record.length > 1 || record[0] !== "") records.push(record);
    record = [];
    cell = "";
  };
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (quoted) {
      if (character !== '"') cell += character;
      else if (text[at + 1] === '"') cell += text[at++];
      else quoted = false;
    } else if (character === '"' && cell === "") quoted = true;
    else if (character === sign) {
      record.push(cell);
      cell = "";
    } else if (character === "\n" || character === "\r") {
      if (character === "\r" && text[at + 1] === "\n") at++;
      end();
    } else cell += character;
  }
  if (cell !== "" || record.length) end();
  return records;
}

function textsOf(rows) {
  if (rows.every((row) => typeof row === "string")) return rows.map((text, place) => ({ name: `line ${place + 1}`, text }));
  const columns = Object.keys(rows[0]);
  const known = columns.length === 1 ? columns[0] : columns.find((name) => name.toLowerCase() === "text");
  return known === undefined ? { rows, columns } : inColumn(rows, known);
}

/** Return the texts of a column as items. */
export function inColumn(rows, column) {
  return rows.map((row, place) => ({ name: `row ${place + 1}`, text: String(row[column] ?? "") }));
}

function rowItems(rows, { task }) {
  const names = task.columns.map((column) => column.name);
  const missing = names.filter((name) => !(name in rows[0]));
  if (missing.length) throw new Problem(`a column is missing: ${missing.slice(0, 5).join(", ")}`, { hint: `The model takes ${names.join(", ")}.` });
  return rows.map((row, place) => ({ name: `row ${place + 1}`, values: Object.fromEntries(task.columns.map(({ name, type }) => [name, cellOf(row[name], type)])) }));
}

/** Return a cell as the service takes it: nothing for an empty one, a number where one is wanted. */
export function cellOf(value, type) {
  if (value === "" || value === null || value === undefined) return null;
  const number = Number(value);
  return typeof value === "string" && /^(number|numeric|float|int)/.test(type) && Number.isFinite(number) ? number : value;
}

const EDGE = /[",\r\n]/;

function csvCell(value) {
  const text = value === null || value === undefined ? "" : String(value);
  return EDGE.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

/** Return answers as CSV, with the columns of `headstart predict`. */
export function csvOf(done, classes) {
  const lines = [["input", "label", "confidence", "abstained", ...classes.map((name) => `p_${name}`)]];
  for (const { item, answer } of done) {
    lines.push([item.text ?? item.name, answer.label, answer.confidence, answer.abstained ? "True" : "False", ...classes.map((name) => answer.probabilities?.[name])]);
  }
  return `${lines.map((line) => line.map(csvCell).join(",")).join("\n")}\n`;
}
