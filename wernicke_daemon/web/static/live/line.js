// A line to the server that comes back by itself.
const FIRST_MS = 300;
const LONGEST_MS = 5000;

export function socketAddress(path) {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
}

/** Calls take(message) for each; changed(open, code) when the line is there or lost. */
export function follow(path, take, changed) {
  let delay = FIRST_MS;
  function open() {
    const socket = new WebSocket(socketAddress(path));
    socket.onopen = () => { delay = FIRST_MS; changed(true); };
    socket.onmessage = (event) => take(JSON.parse(event.data));
    socket.onclose = (event) => {
      changed(false, event.code);
      setTimeout(open, delay * (0.8 + Math.random() * 0.4));
      delay = Math.min(LONGEST_MS, delay * 2);
    };
  }
  open();
}
