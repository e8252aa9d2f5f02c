#!/usr/bin/python3
"""What went over a wire, from a capture of tcpdump -w (Ethernet): wire.py FILE prints a line per kind and direction.

As a module: packets(file) gives Packet objects. Kinds: esp, esp-in-udp, ike, keepalive, arp, nd (IPv6 neighbours and
routers), other. What is "other" on a wire between two gateways was not protected.
"""
import collections
import ipaddress
import struct
import sys

Packet = collections.namedtuple('Packet', 'kind source target length spi payload')

ESP, UDP, ICMPV6 = 50, 17, 58
NEIGHBOURS = (133, 134, 135, 136, 137, 143)


def udp_kind(data):
    """(kind, SPI) of a UDP header and what follows."""
    source, target, length = struct.unpack('!HHH', data[:6])
    payload = data[8:]
    if 500 in (source, target):
        return 'ike', 0
    if payload == b'\xff' and length == 9:
        return 'keepalive', 0
    if 4500 in (source, target) or target > 1023:
        if payload[:4] == bytes(4):
            return 'ike', 0
        if 4500 in (source, target):
            return 'esp-in-udp', int.from_bytes(payload[:4], 'big')
    return 'other', 0


def packet(frame):
    kind = struct.unpack('!H', frame[12:14])[0]
    data = frame[14:]
    if kind == 0x0806:
        return Packet('arp', '', '', len(data), 0, b'')
    if kind == 0x0800:
        source, target = (str(ipaddress.IPv4Address(data[i:i + 4])) for i in (12, 16))
        length, protocol, payload = struct.unpack('!H', data[2:4])[0], data[9], data[(data[0] & 15) * 4:]
        if struct.unpack('!H', data[6:8])[0] & 0x1fff:
            protocol = None  # a later fragment: of what, nobody can see
    elif kind == 0x86dd:
        source, target = (str(ipaddress.IPv6Address(data[i:i + 16])) for i in (8, 24))
        length, protocol, payload = struct.unpack('!H', data[4:6])[0] + 40, data[6], data[40:]
        if protocol == 0:  # hop-by-hop options, as in multicast listener reports
            protocol, payload = payload[0], payload[(payload[1] + 1) * 8:]
        if protocol == ICMPV6 and payload[:1] and payload[0] in NEIGHBOURS:
            return Packet('nd', source, target, length, 0, payload)
    else:
        return Packet('other', '', '', len(data), 0, data)
    if protocol == ESP:
        return Packet('esp', source, target, length, int.from_bytes(payload[:4], 'big'), payload)
    what, spi = udp_kind(payload) if protocol == UDP and len(payload) >= 8 else ('other', 0)
    return Packet(what, source, target, length, spi, payload)


def packets(path):
    with open(path, 'rb') as file:
        header = file.read(24)
        if len(header) < 24:
            return
        order = '<' if struct.unpack('<I', header[:4])[0] in (0xa1b2c3d4, 0xa1b23c4d) else '>'
        if struct.unpack(order + 'I', header[20:24])[0] != 1:
            raise ValueError(f'{path} is not a capture of Ethernet frames')
        while len(head := file.read(16)) == 16:
            frame = file.read(struct.unpack(order + 'I', head[8:12])[0])
            if len(frame) >= 14:
                yield packet(frame)


def main():
    sums = collections.defaultdict(lambda: [0, 0])
    for p in packets(sys.argv[1]):
        total = sums[p.kind, p.source or '-', p.target or '-']
        total[0] += 1
        total[1] += p.length
    for (kind, source, target), (count, length) in sorted(sums.items()):
        print(kind, source, target, count, length)


if __name__ == '__main__':
    main()
