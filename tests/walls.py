#!/usr/bin/python3
"""The walls between the rooms: from each room, the public headers of the rooms that it may use compile, and no others.

walls.py COMPILE_COMMANDS: takes the include directories that the build really gives each room. Speaks TAP.
"""
import json
import os
import re
import shlex
import subprocess
import sys

HEADERS = {'base': 'base/bytes.h', 'crypto': 'crypto/job.h', 'ike': 'ike/engine.h', 'dataplane': 'dataplane/dataplane.h',
           'kernel': 'kernel/kernel.h', 'shard': 'shard/shard.h', 'config': 'config/keyvalue.h'}
MAY_USE = {
    'src/base': ['base'],
    'src/crypto': ['base', 'crypto'],
    'src/ike': ['base', 'crypto', 'ike'],
    'src/dataplane': ['base', 'dataplane'],
    'src/kernel': ['base', 'crypto', 'dataplane', 'kernel'],
    'src/shard': ['base', 'crypto', 'ike', 'kernel', 'shard'],
    'config': ['base', 'config'],
    'whack': ['base', 'config'],
    'src/pluto': list(HEADERS),
}


def room_of(entry):
    """The room whose own library the object goes into; a test may compile a room's source once more, its own way."""
    return next((room for room in MAY_USE if re.search(rf'(^|/){room}/[^/]+\.c$', entry['file'])
                 and entry['output'].startswith(f'{room}/')), None)


def include_flags(command, directory):
    flags = []
    for word in shlex.split(command):
        if word.startswith('-I'):
            flags.append('-I' + os.path.join(directory, word[2:]))
    return flags


def compiles(header, flags, directory):
    done = subprocess.run(['cc', '-std=gnu17', '-D_GNU_SOURCE', '-fsyntax-only', '-x', 'c', *flags, '-'],
                          input=f'#include "{header}"\n', text=True, capture_output=True, cwd=directory, check=False)
    return done.returncode == 0


def main():
    with open(sys.argv[1], encoding='utf-8') as file:
        commands = json.load(file)
    rooms = {}
    for entry in commands:
        room = room_of(entry)
        # A part of a room that is given less than the room may use proves nothing about it.
        flags = include_flags(entry['command'], entry['directory'])
        if room and len(flags) > len(rooms.get(room, ([], ''))[0]):
            rooms[room] = flags, entry['directory']
    print(f'1..{len(MAY_USE)}')
    failed = False
    for number, (room, allowed) in enumerate(MAY_USE.items(), 1):
        flags, directory = rooms.get(room, ([], '.'))
        wrong = [name for name, header in HEADERS.items() if compiles(header, flags, directory) != (name in allowed)]
        failed |= bool(wrong)
        print(f'{"not " if wrong else ""}ok {number} - {room} sees {", ".join(allowed)} and no other room')
        for name in wrong:
            print(f'# {HEADERS[name]} {"does not compile" if name in allowed else "compiles"} in {room}')
    sys.exit(failed)


if __name__ == '__main__':
    main()
