// A WebSocket of the npm package ws, for who reads and writes lines: node socket.cjs
//
// stdin: "open URL", "send TEXT", "beat" (a ping of RFC 6455), "quit". stdout: "open",
// "< TEXT" for each line of a message, "beat", "closed CODE".

const WebSocket = require("ws");
let socket;

const commands = {
  open(url) {
    socket = new WebSocket(url, "jobhub.v1");
    socket.on("open", () => console.log("open"));
    socket.on("message", (data, binary) => {
      if (binary) return console.log("a binary message");
      for (const line of data.toString().split("\n")) console.log("< " + line);
    });
    socket.on("pong", (data) => console.log("beat " + data));
    socket.on("close", (code) => console.log("closed " + code));
    socket.on("error", () => {}); // close follows
  },
  send: (text) => socket.send(text),
  beat: () => socket.ping("tick"),
  quit: () => process.exit(0),
};

require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const [command] = line.split(" ", 1);
  commands[command](line.slice(command.length + 1));
});
