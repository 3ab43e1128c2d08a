"""A WebSocket client that asks a node and reads the answer: enough of RFC 6455 for that."""

import base64, hashlib, hmac, json, os, socket, struct


class Asker:
    def __init__(self, port, secret, user="asker", room="asking"):
        def part(value):
            return base64.urlsafe_b64encode(value).rstrip(b"=")

        signed = part(b'{"alg":"HS256"}') + b"." + part(json.dumps({"sub": user}).encode())
        token = signed + b"." + part(hmac.new(secret.encode(), signed, hashlib.sha256).digest())
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.stream = self.socket.makefile("rb")
        self.socket.sendall(
            f"GET /ws?room={room} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
            f"Authorization: Bearer {token.decode()}\r\n\r\n".encode())
        while self.stream.readline().strip():
            pass

    def frame(self):
        first, length = self.stream.read(2)
        if length == 126:
            length, = struct.unpack(">H", self.stream.read(2))
        elif length == 127:
            length, = struct.unpack(">Q", self.stream.read(8))
        text = self.stream.read(length)
        if first & 15 != 1:
            raise RuntimeError(f"a frame of kind {first & 15}")
        return json.loads(text)

    def ask(self, **fields):
        """Sends a command and returns the frame that answers it."""
        text = json.dumps(fields | {"ref": "asked"}).encode()
        header = bytes([0x81, 0x80 | len(text)]) if len(text) < 126 else struct.pack(">BBH", 0x81, 0xFE, len(text))
        self.socket.sendall(header + bytes(4) + text)
        while True:
            frame = self.frame()
            if frame.get("ref") == "asked":
                return frame

    def close(self):
        self.stream.close()
        self.socket.close()
