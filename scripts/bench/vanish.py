"""10,000 clients that vanish at once: does the node still answer, and does the memory come back?

A child process opens the connections, reads what comes, and is killed; the kernel then closes all its sockets. Meanwhile
this process asks /health, one request after the other, each on a connection of its own.
"""

import base64, hashlib, hmac, http.client, json, os, select, signal, socket, sys, time

from node import SECRET

ROOM_SIZE = 20


def token(user):
    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    signed = part(b'{"alg":"HS256"}') + b"." + part(json.dumps({"sub": user, "exp": int(time.time()) + 3600}).encode())
    return (signed + b"." + part(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest())).decode()


def hold(port, count, ready):
    """The child: opens `count` connections, a few at a time, says so on `ready`, and reads until it is killed."""
    poller = select.epoll()
    sockets, waiting, sent, opened, started = {}, set(), set(), 0, 0
    while True:
        while started < count and len(waiting) < 100:
            s = socket.socket()
            s.setblocking(False)
            # So that ports don't run out.
            s.bind((f"127.0.0.{2 + started % 4}", 0))
            s.connect_ex(("127.0.0.1", port))
            sockets[s.fileno()] = s
            waiting.add(s.fileno())
            poller.register(s.fileno(), select.EPOLLOUT)
            started += 1
        for fd, _ in poller.poll(1):
            s = sockets[fd]
            if fd in waiting and s not in sent:
                number = len(sent)
                sent.add(s)
                s.send((f"GET /ws?room=room-{number // ROOM_SIZE}&token={token(f'user-{number}')} HTTP/1.1\r\nHost: bench\r\n"
                        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode())
                poller.modify(fd, select.EPOLLIN)
                continue
            received = s.recv(65536)
            if not received:
                sys.exit("the node closed a connection")
            if fd in waiting and b"welcome" in received:
                waiting.discard(fd)
                opened += 1
                if opened == count:
                    os.write(ready, b"!")


def health(port):
    """Seconds until /health answers."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/health")
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200 or body.strip() != b"ok":
        raise RuntimeError(f"/health answered {answer.status} {body!r}")
    return time.monotonic() - began


def vanish(node, count):
    before = node.resident()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.sched_setaffinity(0, {1})
            hold(node.port, count, write_end)
        finally:
            os._exit(1)
    os.close(write_end)
    try:
        if not select.select([read_end], [], [], 120)[0] or os.read(read_end, 1) != b"!":
            raise RuntimeError("the clients could not all connect")
        time.sleep(2)
        connected = node.resident()
        calm = max(health(node.port) for _ in range(200))
        used = node.processor_time()
    finally:
        os.kill(child, signal.SIGKILL)
        vanished = time.monotonic()
    latencies, gone = [], None
    while time.monotonic() - vanished < 60:
        latencies.append(health(node.port))
        if gone is None and len(latencies) % 20 == 0 and node.metric("sessions") == 0:
            gone = time.monotonic() - vanished
            used = node.processor_time() - used
        # By then what follows from their going is stored, and the node has given memory back (it looks every 5 s).
        if gone is not None and time.monotonic() - vanished > gone + 8:
            break
        time.sleep(0.002)
    os.waitpid(child, 0)
    os.close(read_end)
    return {
        "clients": count, "health_before_ms": calm * 1e3, "health_max_ms": max(latencies) * 1e3,
        "health_asked": len(latencies), "gone_after_s": gone, "cpu_s": used, "rss_before": before, "rss_connected": connected,
        "rss_after": node.resident(),
    }
