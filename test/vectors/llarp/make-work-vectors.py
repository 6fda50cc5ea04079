"""Writes work.json: proofs of work of LLARP v0, made with Python's hashlib and a bencode of this file.

    python3 test/vectors/llarp/make-work-vectors.py
"""
import hashlib
import json
import math
import os

TIME = 1_796_000_000


def encoded(seconds, nonce):
    return b'd1:ti%de1:vi0e1:yi%de1:z32:' % (TIME, seconds) + nonce + b'e'


works = []
for seconds in (1, 2, 3, 7, 8, 20):
    zeros = math.floor(math.log(seconds))
    count = 0
    while True:
        nonce = hashlib.shake_256(b'work %d %d' % (seconds, count)).digest(32)
        digest = hashlib.blake2b(encoded(seconds, nonce), digest_size=32).digest()
        if digest.startswith(bytes(zeros)):
            break
        count += 1
    works.append({'seconds': seconds, 'created': TIME, 'nonce': nonce.hex(), 'hash': digest.hex()})

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'work.json'), 'w') as file:
    json.dump({'works': works}, file, indent=2)
    file.write('\n')
