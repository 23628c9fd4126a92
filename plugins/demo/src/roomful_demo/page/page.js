// Wires the page: the entrance, the controls, the chat.

import { Call, layOut } from "./call.js";
import { Chat } from "./chat.js";
import { byId, notice } from "./dom.js";

let call = null;
const chat = new Chat((text) => chat.send(call.room, text).catch((error) => notice(`Not sent: ${error.message}`)));

function problem(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = !text;
}

// --- coming in

function enter() {
  byId("entrance").hidden = true;
  byId("room").hidden = false;
  update();
  layOut();
}

function back(sentence) {
  call = null;
  byId("room").hidden = true;
  byId("entrance").hidden = false;
  byId("enter").disabled = false;
  problem(sentence);
}

async function join(event) {
  event.preventDefault();
  problem("");
  byId("enter").disabled = true;
  call = new Call({ changed: update, ended: back });
  chat.attach(call.room);
  call.room.once(LivekitClient.RoomEvent.Connected, enter);
  try {
    await call.join(byId("name").value, {
      camera: byId("with-camera").checked,
      microphone: byId("with-microphone").checked,
    });
  } catch (error) {
    await call?.leave();
    back(`You could not join: ${error.message}`);
  }
}

function prepare() {
  if (typeof LivekitClient === "undefined") {
    byId("enter").disabled = true;
    problem(
      "The JavaScript client is missing from this installation, so this page cannot join. " +
      "In a checkout of the repository, python plugins/demo/fetch_client.py fetches it.",
    );
    return;
  }
  if (!navigator.mediaDevices) {
    for (const id of ["with-camera", "with-microphone"]) {
      byId(id).checked = false;
      byId(id).disabled = true;
    }
    problem("Browsers give camera and microphone to pages on this machine or over https only; you can join without.");
  }
  byId("toggle-screen").hidden = !navigator.mediaDevices?.getDisplayMedia;
  byId("join").addEventListener("submit", join);
}

// --- in the room

const CONTROLS = {
  "toggle-microphone": { is: () => call.here.isMicrophoneEnabled, set: (on) => call.microphone(on) },
  "toggle-camera": { is: () => call.here.isCameraEnabled, set: (on) => call.camera(on) },
  "toggle-screen": { is: () => call.here.isScreenShareEnabled, set: (on) => call.screen(on) },
  "toggle-sound": { is: () => call.sound, set: (on) => { call.sound = on; } },
  "toggle-facts": { is: () => call.factsShown, set: (on) => { call.factsShown = on; } },
};

const STATES = { connected: "connected", connecting: "connecting …" };

function update() {
  if (!call) return;
  for (const [id, { is }] of Object.entries(CONTROLS)) byId(id).setAttribute("aria-pressed", String(is()));
  const count = call.people.length;
  byId("count").textContent = count === 1 ? "you alone" : `${count} participants`;
  byId("state").textContent = STATES[call.room.state] ?? "reconnecting …";
  byId("state").classList.toggle("unsure", call.room.state !== "connected");
}

for (const [id, { is, set }] of Object.entries(CONTROLS)) {
  byId(id).addEventListener("click", async () => {
    const button = byId(id);
    button.disabled = true;
    try {
      await set(!is());
    } catch (error) {
      if (error.name !== "NotAllowedError") notice(error.message);
    } finally {
      button.disabled = false;
      update();
    }
  });
}
byId("leave-room").addEventListener("click", () => call?.leave());
new ResizeObserver(layOut).observe(byId("stage"));
prepare();
