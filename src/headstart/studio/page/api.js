// What the studio's page asks its server.

/** An answer of the server that says what is wrong. */
export class Problem extends Error {
  constructor(message, { where = null, hint = null, status = 0 } = {}) {
    super(message);
    Object.assign(this, { where, hint, status });
  }
}

const GONE = {
  hint: "Start it again with `headstart studio`. Work that was running has gone on without it, and is there again.",
};

/** Ask the server; returns the JSON of its answer, or throws a Problem. */
export async function ask(path, { method = "GET", json, body, signal } = {}) {
  const options = { method, signal, headers: {} };
  if (json !== undefined) {
    options.body = JSON.stringify(json);
    options.headers["content-type"] = "application/json";
  } else if (body !== undefined) options.body = body;
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The studio does not answer: it was probably closed.", GONE);
  }
  if (answer.ok) return answer.json();
  if (answer.status === 403)
    throw new Problem("The studio was started anew, and does not know this page any more.", {
      hint: "Open the address that it printed when it started; nothing is lost.",
      status: 403,
    });
  const told = (await answer.json().catch(() => ({}))).error || {};
  throw new Problem(sentence(told.message || `The studio answered with ${answer.status}.`), {
    where: told.where,
    hint: told.hint ? sentence(told.hint) : null,
    status: answer.status,
  });
}

/** Begin with a capital letter. */
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Read along what happens in a piece of work; returns how to stop reading. */
export function follow(job, onEvent, onEnd, onLost) {
  const source = new EventSource(`/api/jobs/${encodeURIComponent(job)}/events`);
  source.onmessage = (message) => onEvent(JSON.parse(message.data));
  source.addEventListener("end", () => {
    source.close();
    onEnd();
  });
  source.onerror = () => onLost(source.readyState === EventSource.CLOSED);
  source.onopen = () => onLost(false, true);
  return () => source.close();
}

/** Send files to the studio's home; returns the path to read. */
export async function send(files, onProgress, signal) {
  const total = files.reduce((sum, one) => sum + one.file.size, 0);
  const { upload } = await ask("/api/uploads", { method: "POST", json: { files: files.length, bytes: total } });
  const base = `/api/uploads/${upload}`;
  let next = 0;
  let done = 0;
  let sent = 0;
  const worker = async () => {
    while (next < files.length) {
      const { file, name } = files[next++];
      await ask(`${base}?name=${encodeURIComponent(name)}`, { method: "PUT", body: file, signal });
      done += 1;
      sent += file.size;
      onProgress({ done, files: files.length, sent, total });
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(4, files.length) }, worker));
    return (await ask(`${base}/end`, { method: "POST", signal })).path;
  } catch (error) {
    ask(base, { method: "DELETE" }).catch(() => {});
    throw error;
  }
}

/** Return the files of a drop, those in folders too, each with its path. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, name: file.name }));
  const found = [];
  const walk = async (entry, path) => {
    if (entry.name.startsWith(".")) return;
    const name = path ? `${path}/${entry.name}` : entry.name;
    if (entry.isFile) {
      found.push({ file: await new Promise((done, fail) => entry.file(done, fail)), name });
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const part = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (!part.length) return;
      for (const one of part) await walk(one, name);
    }
  };
  for (const entry of entries) await walk(entry, "");
  return found;
}
