"""Writes structures.json: an example of each structure and message of LLARP v0, in bencode.

    python3 test/vectors/llarp/make-structure-vectors.py

Bencode is written here, signatures are made with libsodium (Debian: libsodium23). Keys and nonces are made from names,
so that every run writes the same file. `row` is the row of docs/llarp.md; the example of AI is that of the document.
"""
import ctypes
import hashlib
import json
import os

sodium = ctypes.CDLL('libsodium.so.23')
assert sodium.sodium_init() >= 0


def made(name, length=32):
    return hashlib.shake_256(name.encode()).digest(length)


def be(x):
    if isinstance(x, bool):
        raise TypeError(x)
    if isinstance(x, int):
        return b'i%de' % x
    if isinstance(x, str):
        x = x.encode()
    if isinstance(x, bytes):
        return b'%d:' % len(x) + x
    if isinstance(x, list):
        return b'l' + b''.join(map(be, x)) + b'e'
    pairs = sorted((k.encode() if isinstance(k, str) else k, v) for k, v in x.items())
    return b'd' + b''.join(be(k) + be(v) for k, v in pairs) + b'e'


def signing(name):
    pk = ctypes.create_string_buffer(32)
    sk = ctypes.create_string_buffer(64)
    assert sodium.crypto_sign_seed_keypair(pk, sk, made(name)) == 0
    return pk.raw, sk.raw


def signed(x, name, field):
    zeroed = be({**x, field: bytes(64)})
    out = ctypes.create_string_buffer(64)
    assert sodium.crypto_sign_detached(out, None, zeroed, ctypes.c_ulonglong(len(zeroed)), signing(name)[1]) == 0
    return {**x, field: out.raw}


TIME = 1_796_000_000_000
ai = {'c': 1, 'd': 'wank', 'e': b'a' * 32, 'i': '123.123.123.123', 'p': 1234, 'v': 0}
tp = {'a': 6, 'b': 25, 'd': 1, 'v': 0}
xi = {'a': '10.0.0.1', 'b': '255.255.0.0', 'k': made('exit'), 'p': [tp, {'a': 17, 'b': 53, 'v': 0}], 'v': 0}
xr = {'a': made('gw', 16), 'b': made('mask', 16), 'c': made('src', 16), 'l': 600_000, 'v': 0}
rc = signed({
    'a': [{**ai, 'd': 'iwp', 'i': '127.0.0.1', 'e': made('rc enc')}], 'e': {'relay': 1, 'exit': 0}, 'i': 'testnet',
    'k': signing('router')[0], 'n': 'a router', 'p': made('path key'),
    's': [['_joinmarket', '_tcp', 600, 10, 0, 5222]], 'u': TIME, 'v': 0, 'x': [xi]}, 'router', 'z')
bare_rc = signed({'a': [], 'i': 'lokinet', 'k': signing('router')[0], 'p': made('path key'), 'r': [0, 9, 11],
                  'u': TIME, 'v': 0, 'x': []}, 'router', 'z')
si = {'e': made('service enc'), 's': signing('service')[0], 'v': 0}
vanity_si = {**si, 'x': made('vanity', 16)}
intro = {'k': signing('router')[0], 'l': 120, 'p': made('path', 16), 'v': 0, 'x': TIME + 600_000}
bare_intro = {'k': signing('router')[0], 'p': made('path', 16), 'v': 0, 'x': 2 ** 64 - 1}
introset = signed({
    'a': si, 'h': [['_joinmarket', '_tcp', 600, 10, 0, 5222, made('target')]], 'i': [intro, bare_intro],
    'k': made('sntrup', 1218), 'n': 'topic'.encode().ljust(16, b'\0'), 't': TIME, 'v': 0, 'w': {'any': ['thing', 7]}},
    'service', 'z')
work = {'t': TIME // 1000, 'v': 0, 'y': 60, 'z': made('work nonce')}
lrcr = {'c': made('commit'), 'd': 5, 'i': made('next'), 'l': 300, 'n': made('nonce'), 'r': made('rx', 16),
        't': made('tx', 16), 'u': rc, 'v': 0, 'w': work}
bare_lrcr = {'c': made('commit'), 'i': made('next'), 'n': made('nonce'), 'r': made('rx', 16), 't': made('tx', 16),
             'v': 0}
frame = made('frame', 300)
relayed = {'p': made('path', 16), 'v': 0, 'x': made('data', 500), 'y': made('y')}
fim = {'A': 'F', 'R': 0, 'S': made('address'), 'T': 1, 'V': 0}
dht = [
    ('FIM by address', fim),
    ('FIM by topic', {'A': 'F', 'E': [made('not this')], 'N': made('topic', 16), 'R': 1, 'T': 2, 'V': 0}),
    ('GIM', {'A': 'G', 'I': [introset], 'K': made('closer'), 'T': 3, 'V': 0}),
    ('PIM', {'A': 'I', 'I': introset, 'R': 0, 'S': 2, 'T': 4, 'V': 0}),
    ('AIM', {'A': 'A', 'P': 3, 'T': 5, 'V': 0}),
    ('FRCM', {'A': 'R', 'E': 0, 'I': 1, 'K': made('key'), 'T': 6, 'V': 0}),
    ('GRCM', {'A': 'S', 'K': made('closer'), 'N': [made('near')], 'R': [rc], 'T': 7, 'V': 0}),
    ('GRCM without a contact', {'A': 'S', 'R': [], 'T': 8, 'V': 0}),
    ('timeout', {'A': 'T', 'T': 9, 'V': 0}),
]
hsd = {'a': 0, 'd': 'beep', 'i': intro, 'n': 0, 'o': 30, 's': si, 't': made('convotag', 16), 'v': 0}
begin = signed({'A': 'H', 'C': made('ciphertext', 1047), 'D': made('encrypted', 200), 'F': made('source', 16),
                'N': made('n'), 'V': 0}, 'service', 'Z')
following = signed({'A': 'H', 'D': made('encrypted', 200), 'F': made('source', 16), 'N': made('n'),
                    'T': made('convotag', 16), 'V': 0}, 'service', 'Z')
reject = signed({'A': 'H', 'F': made('source', 16), 'R': 1, 'T': made('convotag', 16), 'V': 0}, 'service', 'Z')
answer = {'S': 5, 'V': 0, 'Y': made('y16', 16)}

# (row, codec, name, value); a signed one also has its signer and the key of its signature.
examples = [
    ('D4', 'AI', 'AI', ai), ('D5', 'TP', 'TP', tp), ('D5', 'TP', 'TP without d', {'a': 17, 'b': 53}),
    ('D6', 'XI', 'XI', xi), ('D7', 'XR', 'XR', xr),
    ('D8', 'RC', 'RC', rc), ('D8', 'RC', 'RC as live routers write it', bare_rc),
    ('D9', 'SI', 'SI', si), ('D9', 'SI', 'SI of a vanity address', vanity_si),
    ('D11', 'I', 'I', intro), ('D11', 'I', 'I without latency', bare_intro), ('D12', 'IS', 'IS', introset),
    ('D17', 'PoW', 'PoW', work), ('D16', 'LRCR', 'LRCR', lrcr), ('D16', 'LRCR', 'LRCR of the farthest hop', bare_lrcr),
    ('D14', 'link', 'LIM', signed({'a': 'i', 'e': made('lim'), 'n': made('lim n'), 'p': 600_000, 'r': rc, 'v': 0},
                                  'router', 'z')),
    ('D15', 'link', 'LRCM', {'a': 'c', 'c': [frame, frame], 'v': 0}),
    ('D19', 'link', 'LRUM', {'a': 'u', **relayed}), ('D20', 'link', 'LRDM', {'a': 'd', **relayed}),
    ('D21', 'link', 'LIDM', {'a': 'm', 'm': [fim], 'v': 0}),
    ('D22', 'link', 'LISM', {'a': 's', 's': {'A': 'J', 'R': made('joined'), 'V': 0}, 'v': 0}),
    ('D22', 'state', 'joined', {'A': 'J', 'R': made('joined'), 'V': 0}),
    ('D22', 'state', 'parted', {'A': 'P', 'R': made('parted'), 'V': 0}),
    ('D22', 'state', 'list request', {'A': 'R', 'I': 0, 'R': 100, 'V': 0}),
    ('D22', 'state', 'list', {'A': 'L', 'S': {made('one'): 1, made('two'): 1}, 'V': 0}),
    ('D23', 'routing', 'PCM', {'A': 'P', 'L': 600_000, 'S': 0, 'T': TIME, 'V': 0}),
    ('D24', 'routing', 'PLM request', {'A': 'L', 'S': 1, 'V': 0}),
    ('D24', 'routing', 'PLM response', {'A': 'L', 'S': 2, 'T': TIME, 'V': 0}),
    ('D25', 'routing', 'OXM', signed({'A': 'X', 'B': [tp], 'E': 1, 'I': signing('client')[0], 'S': 3, 'T': 7, 'V': 0,
                                      'W': [], 'X': 600}, 'client', 'Z')),
    ('D25', 'routing', 'GXM', signed({'A': 'G', 'T': 7, **answer}, 'router', 'Z')),
    ('D25', 'routing', 'RXM', signed({'A': 'J', 'B': 1000, 'R': [tp], 'T': 7, **answer}, 'router', 'Z')),
    ('D26', 'routing', 'DDFM', {'A': 'D', 'P': made('path', 16), 'S': 4, 'V': 0}),
    ('D26', 'routing', 'TDFM', {'A': 'T', 'P': made('path', 16), 'S': 6, 'T': begin, 'V': 0}),
    ('D27', 'HSD', 'HSD', hsd), ('D28', 'HSF', 'HSF variant 1', begin), ('D28', 'HSF', 'HSF variant 2', following),
    ('D28', 'HSF', 'HSF reject', reject),
    ('D29', 'routing', 'TITM', {'A': 'I', 'S': 8, 'V': 0, 'X': [(1).to_bytes(8, 'big') + made('packet', 60)]}),
    ('D30', 'routing', 'UXPM', signed({'A': 'U', 'P': made('old', 16), 'T': 7, **answer}, 'client', 'Z')),
    ('D30', 'routing', 'EXVM', signed({'A': 'V', 'T': 7, **answer}, 'router', 'Z')),
    ('D30', 'routing', 'CXPM', signed({'A': 'C', **answer}, 'client', 'Z')),
    ('D31', 'routing', 'DHTM', {'A': 'M', 'M': [fim, dht[4][1]], 'S': 9, 'V': 0}),
] + [('D21', 'dht', name, value) for name, value in dht]

signers = {'RC': 'router', 'IS': 'service', 'LIM': 'router', 'OXM': 'client', 'GXM': 'router', 'RXM': 'router',
           'UXPM': 'client', 'EXVM': 'router', 'CXPM': 'client', 'HSF variant 1': 'service',
           'HSF variant 2': 'service', 'HSF reject': 'service', 'RC as live routers write it': 'router'}
result = []
for row, codec, name, value in examples:
    entry = {'row': row, 'codec': codec, 'name': name, 'hex': be(value).hex()}
    if name in signers:
        entry['signedBy'] = signing(signers[name])[0].hex()
    result.append(entry)

# The example of AI as the document prints it, with a second key d after e.
printed = (b'd1:ci1e1:d4:wank1:e32:' + b'a' * 32 + b'1:d3:iwp1:i15:123.123.123.1231:pi1234e1:vi0ee')
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'structures.json'), 'w') as file:
    addresses = [hashlib.blake2b(be(x), digest_size=32).hexdigest() for x in (si, vanity_si)]
    json.dump({'printedAddressInfo': printed.hex(), 'addresses': addresses, 'examples': result}, file, indent=1)
    file.write('\n')
