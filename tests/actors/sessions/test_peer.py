"""What waits to be read by a peer goes out whole and in order, however little its connection takes at a time."""

import socket

from perdure.actors.sessions.peer import TOGETHER_MAX, Peer


def test_frames_go_out_together_and_in_order_however_little_is_taken_at_a_time() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for sock in (ours, theirs):
            sock.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        peer = Peer(ours, 1, 0.0)
        frames = [bytes([n % 256]) * (n * 37 % 5000 + 1) for n in range(3 * TOGETHER_MAX)]
        for frame in frames:
            peer.put(frame)
        sends, read = 0, bytearray()
        while peer.out or len(read) < sum(map(len, frames)):
            peer.send()
            sends += 1
            read += theirs.recv(3000)
        assert sends > 1
        assert bytes(read) == b"".join(frames)
        assert peer.out_bytes == 0
