// Shows the agent's answer while it is made. Without this script the form is posted and the page comes back.
"use strict";

const form = document.getElementById("ask");

function show(role, text) {
  const item = document.createElement("li");
  item.className = role;
  item.textContent = text;
  document.getElementById("messages").append(item);
  return item;
}

function report(text) {
  const place = document.getElementById("end");
  place.textContent = text;
  place.hidden = !text;
}

function take(name, data, answer) {
  if (name === "token") answer.textContent += data.text;
  if (name === "error") report(data.error);
  if (name === "done") {
    document.getElementById("credits").textContent = data.credits_left;
    form.elements.conversation.value = data.conversation_id;
    form.elements.message.value = "";
  }
  // Whatever the end was, the next question is another attempt.
  if (data.key) form.elements.key.value = data.key;
  return name === "done" || name === "error";
}

async function read(response, answer) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let ended = false;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const events = (text + part.value).split("\n\n");
    text = events.pop();
    for (const event of events) {
      const [name, data] = event.split("\n").map((line) => line.slice(line.indexOf(": ") + 2));
      ended = take(name, JSON.parse(data), answer) || ended;
    }
  }
  if (!ended) report("The connection broke. Reload the page to see what was stored.");
}

async function send() {
  const body = new URLSearchParams(new FormData(form));
  const question = show("user", form.elements.message.value);
  const answer = show("assistant", "");
  try {
    const response = await fetch(form.action, { method: "POST", body, headers: { Accept: "text/event-stream" } });
    if (response.ok) await read(response, answer);
    else take("error", await response.json(), answer);
  } finally {
    // Without a word of an answer the question only stands in the form, to be sent again.
    if (!answer.textContent) [question, answer].forEach((item) => item.remove());
  }
}

async function ask(event) {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  report("");
  try {
    await send();
  } catch {
    report("The connection broke. Reload the page to see what was stored.");
  } finally {
    button.disabled = false;
  }
}

if (form) form.addEventListener("submit", ask);
