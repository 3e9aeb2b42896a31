// The microphone, or the sound of a tab, as Int16Array pieces.

/** Why there is no sound: `kind` is a key of the page's words. */
export class NoSound extends Error {
  constructor(kind) {
    super(kind);
    this.kind = kind;
  }
}

async function streamOf(source) {
  if (source === "tab") {
    if (!navigator.mediaDevices?.getDisplayMedia) throw new NoSound("no_tabs");
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: true, audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
    if (!stream.getAudioTracks().length) {
      stream.getTracks().forEach((track) => track.stop());
      throw new NoSound("no_tab");
    }
    stream.getVideoTracks().forEach((track) => track.stop()); // no browser shares the sound without the picture
    return stream;
  }
  return navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: false, autoGainControl: false } });
}

async function permitted(source) {
  try {
    return await streamOf(source);
  } catch (error) {
    if (error instanceof NoSound) throw error;
    if (source === "tab") throw new NoSound("no_tab"); // nothing was chosen
    throw new NoSound(error.name === "NotFoundError" || error.name === "NotReadableError" ? "none" : "denied");
  }
}

export class Recorder {
  /** take(Int16Array): each piece. ended(): the browser took the sound away. */
  static async start(source, take, ended) {
    const stream = await permitted(source);
    try {
      return await Recorder.of(stream, take, ended);
    } catch (error) {
      stream.getTracks().forEach((track) => track.stop()); // or the browser shows that it listens
      throw error;
    }
  }

  static async of(stream, take, ended) {
    const made = new Recorder();
    made.stream = stream;
    made.context = new AudioContext({ latencyHint: "interactive" });
    await made.context.audioWorklet.addModule("/static/live/recorder-worklet.js");
    made.node = new AudioWorkletNode(made.context, "recorder", { numberOfOutputs: 0 });
    made.context.createMediaStreamSource(new MediaStream(stream.getAudioTracks())).connect(made.node);
    made.node.port.onmessage = ({ data }) => (data === "flushed" ? made.flushed?.() : take(data));
    stream.getAudioTracks()[0].onended = ended;
    await made.context.resume();
    return made;
  }

  get sampleRate() {
    return this.context.sampleRate;
  }

  /** The last piece has been taken when this is done. */
  async stop() {
    const flushed = new Promise((resolve) => { this.flushed = resolve; });
    this.node.port.postMessage("flush");
    await Promise.race([flushed, new Promise((resolve) => setTimeout(resolve, 500))]);
    this.stream.getTracks().forEach((track) => track.stop());
    await this.context.close();
  }
}
