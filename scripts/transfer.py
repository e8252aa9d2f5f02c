#!/usr/bin/python3
"""A TCP transfer with proof. transfer.py receive ADDRESS PORT; transfer.py send ADDRESS PORT MEGABYTES.

Both print "BYTES SHA256"; the sender sends random bytes and its speed goes to stderr.
"""
import hashlib
import os
import socket
import sys
import time

TIMEOUT = 30


def receive(address, port):
    digest, length = hashlib.sha256(), 0
    with socket.create_server((address, port), family=socket.AF_INET6 if ':' in address else socket.AF_INET) as server:
        server.settimeout(TIMEOUT)
        connection, _ = server.accept()
        with connection:
            connection.settimeout(TIMEOUT)
            while data := connection.recv(1 << 16):
                digest.update(data)
                length += len(data)
            connection.sendall(b'.')
    return length, digest


def send(address, port, megabytes):
    digest, start = hashlib.sha256(), time.monotonic()
    with socket.create_connection((address, port), TIMEOUT) as connection:
        for _ in range(megabytes):
            data = os.urandom(1 << 20)
            digest.update(data)
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        if connection.recv(1) != b'.':  # the last byte has arrived
            raise OSError('the receiver went away')
    seconds = time.monotonic() - start
    print(f'{megabytes} MiB in {seconds:.2f} s, {megabytes * 8.388608 / seconds:.0f} Mbit/s', file=sys.stderr)
    return megabytes << 20, digest


def main():
    address, port = sys.argv[2], int(sys.argv[3])
    length, digest = receive(address, port) if sys.argv[1] == 'receive' else send(address, port, int(sys.argv[4]))
    print(length, digest.hexdigest())


if __name__ == '__main__':
    main()
