"""A WebSocket of Python's websockets, for who reads and writes lines: python3 socket.py

stdin: "open URL", "send TEXT", "beat" (a ping of RFC 6455), "quit". stdout: "open",
"< TEXT" for each line of a message, "beat", "closed CODE".
"""

import asyncio
import sys

import websockets


def say(text):
    print(text, flush=True)


async def listen(socket):
    try:
        while True:
            message = await socket.recv()
            if not isinstance(message, str):
                say("a binary message")
                continue
            for line in message.split("\n"):
                say("< " + line)
    except websockets.exceptions.ConnectionClosed:
        say(f"closed {socket.close_code}")


async def main():
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    socket = listening = None
    while line := (await commands.readline()).decode():
        command, _, rest = line.rstrip("\n").partition(" ")
        if command == "open":
            try:
                socket = await websockets.connect(rest, subprotocols=["jobhub.v1"])
            except (OSError, websockets.exceptions.WebSocketException):
                say("closed 1006")
                continue
            say("open")
            listening = asyncio.create_task(listen(socket))
        elif command == "send":
            await socket.send(rest)
        elif command == "beat":
            await (await socket.ping(b"tick"))
            say("beat tick")
        elif command == "quit":
            break


asyncio.run(main())
