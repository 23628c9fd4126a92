// What the tests ask of a page: join, publish, and tell what is seen and heard.
const LK = LivekitClient;
LK.setLogLevel("warn");

const notices = []; // [event, what it was about]
const data = []; // {text, from, topic}
let room;

function sidOrName(thing) {
  if (thing === null || typeof thing !== "object") return thing;
  return thing.sid ?? thing.trackSid ?? thing.identity ?? null;
}

async function join(url, token, options) {
  room = new LK.Room(options);
  for (const event of Object.values(LK.RoomEvent)) {
    room.on(event, (...about) => notices.push([event, about.map(sidOrName)]));
  }
  // An unsubscribed track has given its element up already. One left behind would push the next
  // out of view, and an adaptive client wants no picture of what is out of view.
  const shown = new Map();
  room.on("trackSubscribed", (track) => {
    shown.set(track, track.attach());
    document.getElementById("media").append(shown.get(track));
  });
  room.on("trackUnsubscribed", (track) => {
    shown.get(track)?.remove();
    shown.delete(track);
  });
  room.on("dataReceived", (bytes, from, _kind, topic) =>
    data.push({ text: new TextDecoder().decode(bytes), from: from?.identity ?? null, topic }));
  await room.connect(url, token);
  room.localParticipant.registerRpcMethod("greet", async (call) => `page got ${call.payload}`);
  return room.localParticipant.sid;
}

async function camera(capture, publish) {
  const publication = await room.localParticipant.setCameraEnabled(true, capture, publish);
  return publication.trackSid;
}

async function microphone() {
  const publication = await room.localParticipant.setMicrophoneEnabled(true);
  return publication.trackSid;
}

function remote(identity, source) {
  return room.remoteParticipants.get(identity)?.getTrackPublication(source);
}

// Calls a method of the publications with false and true, again and again; `ms` after each word.
async function toggle(identity, sources, method, times, ms) {
  for (let word = 0; word < 2 * times; word++) {
    for (const source of sources) remote(identity, source)[method](word % 2 === 1);
    if (ms) await new Promise((resolve) => setTimeout(resolve, ms));
  }
}

async function statistics(track, type) {
  const found = [];
  (await track?.getRTCStatsReport())?.forEach((entry) => entry.type === type && found.push(entry));
  return found;
}

// What comes in of a remote track: counters of the decoder, null while there is none.
async function incoming(identity, source) {
  const [entry] = await statistics(remote(identity, source)?.track, "inbound-rtp");
  if (!entry) return null;
  return {
    pictures: entry.framesDecoded ?? 0,
    width: entry.frameWidth ?? 0,
    height: entry.frameHeight ?? 0,
    energy: entry.totalAudioEnergy ?? 0,
    packets: entry.packetsReceived ?? 0,
    lost: entry.packetsLost ?? 0,
    keyframes: entry.keyFramesDecoded ?? 0,
    freezes: entry.freezeCount ?? 0,
    nacks: entry.nackCount ?? 0,
    plis: entry.pliCount ?? 0,
  };
}

// What goes out of a local track: one entry for each layer.
async function outgoing(source) {
  const track = room.localParticipant.getTrackPublication(source)?.track;
  const codecs = new Map((await statistics(track, "codec")).map((c) => [c.id, c.mimeType]));
  return (await statistics(track, "outbound-rtp")).map((entry) => ({
    rid: entry.rid ?? "",
    active: entry.active,
    width: entry.frameWidth ?? 0,
    pictures: entry.framesEncoded ?? 0,
    codec: codecs.get(entry.codecId) ?? "",
    scalability: entry.scalabilityMode ?? "",
  }));
}

// Mean colour and spread of the picture shown for a remote track (spread 0: one flat colour).
function colours(identity, source) {
  const element = remote(identity, source)?.track?.attachedElements[0];
  if (!element?.videoWidth) return null;
  const canvas = new OffscreenCanvas(64, 36);
  const context = canvas.getContext("2d");
  context.drawImage(element, 0, 0, 64, 36);
  const pixels = context.getImageData(0, 0, 64, 36).data;
  const sums = [0, 0, 0];
  for (let i = 0; i < pixels.length; i += 4) for (const c of [0, 1, 2]) sums[c] += pixels[i + c];
  const count = pixels.length / 4;
  const mean = sums.map((sum) => sum / count);
  let spread = 0;
  for (let i = 0; i < pixels.length; i += 4) spread += Math.abs(pixels[i + 1] - mean[1]) / count;
  return { red: mean[0], green: mean[1], blue: mean[2], spread };
}
