// The room as this page sees it: who is in it, their tiles, what this page publishes.

import { byId, notice } from "./dom.js";
import { Tile } from "./tile.js";

const FACTS_EVERY_MS = 1000;
const CAMERA = { resolution: { width: 640, height: 360, frameRate: 24 } };

/** Ask the server for a token for the demo's room. */
async function tokenFor(name) {
  const answer = await fetch("token", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ name }),
  });
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(found.error || `the server answered ${answer.status}`);
  return found.token;
}

/** Why the room ended, as a sentence; nothing when it was left on purpose. */
function farewell(reason) {
  const { DisconnectReason } = LivekitClient;
  const sentences = {
    [DisconnectReason.SERVER_SHUTDOWN]: "The server was shut down.",
    [DisconnectReason.ROOM_DELETED]: "The room was closed.",
    [DisconnectReason.ROOM_CLOSED]: "The room was closed.",
    [DisconnectReason.PARTICIPANT_REMOVED]: "You were removed from the room.",
    [DisconnectReason.DUPLICATE_IDENTITY]: "You joined from somewhere else.",
  };
  if (reason === DisconnectReason.CLIENT_INITIATED) return "";
  return sentences[reason] ?? "The connection to the server was lost.";
}

export class Call {
  #tiles = new Map();
  #sounds = new Set();
  #sound = true;
  #facts = 0;
  #before = new Map();

  /** `changed()` after anything that controls show; `ended(sentence)` when it is over. */
  constructor({ changed, ended }) {
    const { Room, RoomEvent, Track } = LivekitClient;
    this.room = new Room({
      adaptiveStream: true,
      videoCaptureDefaults: CAMERA,
      publishDefaults: { videoCodec: "vp8", simulcast: true },
    });
    const update = () => { this.#update(); changed(); };
    for (const event of [
      RoomEvent.ParticipantConnected, RoomEvent.ParticipantDisconnected, RoomEvent.ParticipantNameChanged,
      RoomEvent.TrackMuted, RoomEvent.TrackUnmuted, RoomEvent.TrackPublished, RoomEvent.TrackUnpublished,
      RoomEvent.TrackSubscribed, RoomEvent.TrackUnsubscribed,
      RoomEvent.LocalTrackPublished, RoomEvent.LocalTrackUnpublished,
      RoomEvent.ActiveSpeakersChanged, RoomEvent.Connected, RoomEvent.ConnectionStateChanged,
      RoomEvent.AudioPlaybackStatusChanged,
    ]) this.room.on(event, update);
    this.room.on(RoomEvent.TrackSubscribed, (track) => { if (track.kind === Track.Kind.Audio) this.#listen(track); });
    this.room.on(RoomEvent.TrackUnsubscribed, (track) => this.#hush(track));
    this.room.on(RoomEvent.MediaDevicesError, (error) => notice(`Camera or microphone: ${error.message}`));
    this.room.on(RoomEvent.Disconnected, (reason) => { this.#clear(); ended(farewell(reason)); });
  }

  async join(name, { camera, microphone }) {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    await this.room.connect(`${scheme}://${location.host}`, await tokenFor(name));
    await this.room.startAudio().catch(() => {});
    await Promise.all([
      camera && this.#device("Camera", () => this.camera(true)),
      microphone && this.#device("Microphone", () => this.microphone(true)),
    ]);
  }

  leave() { return this.room.disconnect(); }

  get here() { return this.room.localParticipant; }

  camera(on) { return this.here.setCameraEnabled(on); }

  microphone(on) { return this.here.setMicrophoneEnabled(on); }

  screen(on) { return this.here.setScreenShareEnabled(on); }

  get sound() { return this.#sound && this.room.canPlaybackAudio; }

  set sound(on) {
    this.#sound = on;
    if (on) this.room.startAudio().catch(() => {});
    for (const element of this.#sounds) element.muted = !on;
  }

  get factsShown() { return this.#facts !== 0; }

  set factsShown(shown) {
    clearInterval(this.#facts);
    this.#facts = shown ? setInterval(() => this.#measure(), FACTS_EVERY_MS) : 0;
    byId("stage").classList.toggle("with-facts", shown);
    if (shown) this.#measure();
  }

  get people() { return [this.here, ...this.room.remoteParticipants.values()]; }

  // --- tiles

  #update() {
    if (this.room.state === "disconnected") return;
    const { Track } = LivekitClient;
    const wanted = new Set();
    for (const person of this.people) {
      const camera = person.getTrackPublication(Track.Source.Camera);
      this.#tile(wanted, person, camera, false);
      const screen = person.getTrackPublication(Track.Source.ScreenShare);
      if (screen?.track) this.#tile(wanted, person, screen, true);
    }
    for (const [key, tile] of this.#tiles) {
      if (wanted.has(key)) continue;
      tile.remove();
      this.#tiles.delete(key);
    }
    layOut();
  }

  #tile(wanted, person, publication, screen) {
    const key = `${screen ? "screen" : "person"} ${person.identity}`;
    const own = person === this.here;
    wanted.add(key);
    if (!this.#tiles.has(key)) {
      const made = new Tile({ identity: person.identity, own, screen });
      this.#tiles.set(key, made);
      byId("stage").append(made.element);
    }
    const tile = this.#tiles.get(key);
    tile.name = person.name || person.identity;
    tile.muted = !screen && !person.isMicrophoneEnabled;
    tile.speaking = !screen && person.isSpeaking;
    tile.show(publication && !publication.isMuted ? publication.track ?? null : null);
  }

  #clear() {
    this.factsShown = false;
    for (const tile of this.#tiles.values()) tile.remove();
    this.#tiles.clear();
    for (const element of this.#sounds) element.remove();
    this.#sounds.clear();
  }

  // --- sound

  #listen(track) {
    const element = track.attach();
    element.muted = !this.#sound;
    element.hidden = true;
    document.body.append(element);
    this.#sounds.add(element);
  }

  #hush(track) {
    for (const element of track.detach()) {
      this.#sounds.delete(element);
      element.remove();
    }
  }

  async #device(what, start) {
    try {
      await start();
    } catch (error) {
      notice(`${what}: ${error.name === "NotAllowedError" ? "the browser did not allow it" : error.message}`);
    }
  }

  // --- facts

  async #measure() {
    for (const tile of this.#tiles.values()) {
      tile.facts = tile.track ? await this.#factsOf(tile.track) : "";
    }
  }

  async #factsOf(track) {
    const report = await track.getRTCStatsReport();
    if (!report) return "";
    let bytes = 0;
    let largest = null;
    let codec = "";
    for (const row of report.values()) {
      if (!["inbound-rtp", "outbound-rtp"].includes(row.type) || row.kind !== "video") continue;
      bytes += row.bytesReceived ?? row.bytesSent ?? 0;
      if (row.frameWidth && row.frameWidth >= (largest?.frameWidth ?? 0)) largest = row;
      codec = report.get(row.codecId)?.mimeType?.split("/")[1] ?? codec;
    }
    const now = performance.now();
    const before = this.#before.get(track.sid);
    this.#before.set(track.sid, { bytes, now });
    const rate = before && bytes >= before.bytes ? `${Math.round((8 * (bytes - before.bytes)) / (now - before.now))} kbit/s` : "";
    const size = largest ? `${largest.frameWidth}×${largest.frameHeight}` : "";
    const pace = largest?.framesPerSecond ? `${Math.round(largest.framesPerSecond)} fps` : "";
    return [codec, size, pace, rate].filter(Boolean).join("  ");
  }
}

/** Give the tiles the largest size at which all fit on the stage. */
export function layOut() {
  const stage = byId("stage");
  const count = stage.children.length;
  const { clientWidth: width, clientHeight: height } = stage;
  if (!count || !width || !height) return;
  const gap = parseFloat(getComputedStyle(stage).columnGap) || 0;
  let best = 0;
  for (let columns = 1; columns <= count; columns += 1) {
    const lines = Math.ceil(count / columns);
    const wide = (width - gap * (columns - 1)) / columns;
    const tall = ((height - gap * (lines - 1)) / lines) * (16 / 9);
    best = Math.max(best, Math.min(wide, tall));
  }
  stage.style.setProperty("--tile", `${Math.floor(best)}px`);
}
