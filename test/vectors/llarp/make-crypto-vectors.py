"""Writes crypto.json: the cryptography of LLARP v0, computed with libsodium and Python's hashlib only.

    python3 test/vectors/llarp/make-crypto-vectors.py

Needs libsodium.so.23 (Debian: libsodium23). Inputs are made from names by SHA-256, so that every run writes
the same file.
"""
import ctypes
import hashlib
import json
import os

sodium = ctypes.CDLL('libsodium.so.23')
assert sodium.sodium_init() >= 0


def made(name, length=32):
    return hashlib.shake_256(name.encode()).digest(length)


def hs(x):
    return hashlib.blake2b(x, digest_size=32).digest()


def h(x):
    return hashlib.blake2b(x, digest_size=64).digest()


def mds(x, k):
    return hashlib.blake2b(x, digest_size=32, key=k).digest()


def md(x, k):
    return hashlib.blake2b(x, digest_size=64, key=k).digest()


def stream(key, nonce, x):
    out = ctypes.create_string_buffer(len(x))
    assert len(key) == 32 and len(nonce) == 24
    sodium.crypto_stream_xchacha20_xor(out, x, ctypes.c_ulonglong(len(x)), nonce, key)
    return out.raw


def public(secret):
    out = ctypes.create_string_buffer(32)
    assert sodium.crypto_scalarmult_base(out, secret) == 0
    return out.raw


def dh(secret, point):
    out = ctypes.create_string_buffer(32)
    assert sodium.crypto_scalarmult(out, secret, point) == 0
    return out.raw


def signing(seed):
    pk = ctypes.create_string_buffer(32)
    sk = ctypes.create_string_buffer(64)
    assert sodium.crypto_sign_seed_keypair(pk, sk, seed) == 0
    return pk.raw, sk.raw


def sign(sk, x):
    out = ctypes.create_string_buffer(64)
    assert sodium.crypto_sign_detached(out, None, x, ctypes.c_ulonglong(len(x)), sk) == 0
    return out.raw


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def key(client, server, secret, nonce):
    """TKE and PKE, as the client computes them."""
    return mds(nonce, hs(client + server + dh(secret, server)))


text = b'beep'
result = {}

result['hashes'] = [
    {'x': x.hex(), 'k': k.hex(), 'H': h(x).hex(), 'HS': hs(x).hex(), 'MD': md(x, k).hex(), 'MDS': mds(x, k).hex()}
    for x, k in [(b'', made('k0')), (text, made('k1')), (made('x', 300), made('k2', 64))]
]

result['cipher'] = [
    {'key': made('ck%d' % i).hex(), 'nonce': made('cn%d' % i, 24).hex(), 'x': x.hex(),
     'y': stream(made('ck%d' % i), made('cn%d' % i, 24), x).hex()}
    for i, x in enumerate([b'', text, made('long', 1000)])
]

seed = made('signer')
pk, sk = signing(seed)
result['signature'] = {'seed': seed.hex(), 'public': pk.hex(), 'x': text.hex(), 'signature': sign(sk, text).hex()}

client, server, nonce = made('client'), made('server'), made('exchange nonce')
result['exchange'] = {
    'clientSecret': client.hex(), 'clientPublic': public(client).hex(),
    'serverSecret': server.hex(), 'serverPublic': public(server).hex(),
    'nonce': nonce.hex(), 'key': key(public(client), public(server), client, nonce).hex(),
}

# A frame: the sender draws its ephemeral key, then the nonce.
router, sender, n = made('router'), made('sender'), made('frame nonce')
s = key(public(sender), public(router), sender, n)
x = stream(s, n[:24], text)
result['frame'] = {
    'routerSecret': router.hex(), 'routerPublic': public(router).hex(), 'record': text.hex(),
    'senderSecret': sender.hex(), 'nonce': n.hex(),
    'frame': (mds(n + public(sender) + x, s) + n + public(sender) + x).hex(),
}

# A path of three hops: each state of the message, in both directions.
hops = [made('hop %d' % i) for i in range(3)]
y = made('upstream nonce')
states = []
nonces = [y]
for k in hops:
    nonces.append(xor(nonces[-1], hs(k)))
wrapped = text
for k, n in reversed(list(zip(hops, nonces))):
    wrapped = stream(k, n[:24], wrapped)
for k, n in zip(hops, nonces):
    states.append({'x': wrapped.hex(), 'y': n.hex()})
    wrapped = stream(k, n[:24], wrapped)
assert wrapped == text
down = []
x, n = text, made('downstream nonce')
down.append({'x': x.hex(), 'y': n.hex()})
for k in reversed(hops):
    x, n = stream(k, n[:24], x), xor(n, hs(k))
    down.append({'x': x.hex(), 'y': n.hex()})
result['onion'] = {'hopKeys': [k.hex() for k in hops], 'message': text.hex(), 'upstream': states, 'downstream': down}

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'crypto.json'), 'w') as file:
    json.dump(result, file, indent=2)
    file.write('\n')
