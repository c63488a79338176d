// What the page asks the service. Addresses are relative: the page may stand below another one.

/** An answer of the service that says what is wrong. */
export class Problem extends Error {
  constructor(message, { where = null, hint = null, status = 0 } = {}) {
    super(message.charAt(0).toUpperCase() + message.slice(1));
    Object.assign(this, { where, hint, status });
  }
}

/** Ask; returns the JSON of the answer, or throws a Problem. */
export async function ask(path, { json, form, signal } = {}) {
  const options = { signal, headers: {} };
  if (json !== undefined) {
    options.method = "POST";
    options.body = JSON.stringify(json);
    options.headers["content-type"] = "application/json";
  } else if (form) {
    options.method = "POST";
    options.body = form;
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The service does not answer.", { hint: "It may have been stopped. Try again in a moment." });
  }
  if (answer.ok) return answer.json();
  const told = (await answer.json().catch(() => ({}))).error || {};
  throw new Problem(told.message || `The service answered with ${answer.status}.`, { where: told.where, hint: told.hint, status: answer.status });
}

/** Return the body that carries items, with further fields beside them. */
export function bodyOf(items, fields = {}) {
  if (items[0].file) {
    const form = new FormData();
    for (const item of items) form.append("files", item.file, item.name);
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    return { form };
  }
  const plain = items.map((item) => item.text ?? item.values);
  return { json: plain.length === 1 && Object.keys(fields).length ? { item: plain[0], ...fields } : { items: plain, ...fields } };
}

const AT_ONCE = 64;
const BYTES_AT_ONCE = 8e6;

/** Return parts of items that a request carries well. */
export function parts(items, limits = {}) {
  const most = Math.min(AT_ONCE, limits.items || AT_ONCE);
  const room = Math.min(BYTES_AT_ONCE, (limits.body_bytes || BYTES_AT_ONCE) * 0.9);
  const found = [];
  let size = Infinity;
  for (const item of items) {
    const own = item.file ? item.file.size : 4 * JSON.stringify(item.text ?? item.values).length;
    if (size + own > room || found[found.length - 1].length >= most) {
      found.push([]);
      size = 0;
    }
    found[found.length - 1].push(item);
    size += own;
  }
  return found;
}
