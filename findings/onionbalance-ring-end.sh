#!/usr/bin/env bash
# onionbalance 0.2.2 publishes nothing for a descriptor whose place is near the end of the ring of HSDirs. Each replica
# takes the next four HSDirs of the ring; after the end it must go on at the begin. onionbalance takes the first HSDir of
# the ring twice there, notices it, and stops with fewer than eight, unless one HSDir of the begin is enough: "Got the
# wrong number of responsible HSDirs". The place is fixed for a service and a time period, so all tries of that period end
# so: the frontend address is not published for up to a day while both backends run.
#
# That happens in some 6 of N periods for N HSDirs: seldom on the public network, in one of ten periods of a private one
# with 50. What helps: watch the log for that line, and dial the frontend address from outside.
#
# The script asks the function of the package for 4,000 services on rings of 50 and of 500 HSDirs, and computes for
# each whether a replica needs the first HSDir of the ring after the last one, and another one behind it.
#
# Seen: onionbalance 0.2.2-1.1 (Debian 12). Exits with 0 while that is so. Needs Debian with its package lists,
# dpkg-deb and python3 with python3-cryptography; installs nothing.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

apt-get -qq -o APT::Sandbox::User="$(id -un)" download \
  onionbalance python3-stem python3-future python3-pycryptodome python3-setproctitle
for deb in ./*.deb; do dpkg-deb -x "$deb" root; done
[[ -e root/usr/lib/python3/dist-packages/onionbalance/hs_v3/hashring.py ]]

cat >ring.py <<'PY'
import bisect
import datetime
import hashlib
import logging
import sys

from onionbalance.hs_v3 import hashring, onionbalance

logging.disable(logging.CRITICAL)


class HsDir:
    def __init__(self, number):
        self.name = hashlib.sha256(b'hsdir %d' % number).digest()

    def get_hex_fingerprint(self):
        return self.name[:20].hex()

    def get_hsdir_index(self, srv, period):
        return hashlib.sha3_256(b'%s%s%d' % (self.name, srv, period)).digest()


class Consensus:
    """The parts of a consensus that the function asks for."""

    def __init__(self, count):
        self.nodes = [HsDir(i) for i in range(count)]
        self.consensus = self
        self.valid_after = datetime.datetime(2026, 11, 28, 13)

    def is_live(self):
        return True

    def get_time_period_num(self):
        return 20000

    def get_time_period_length(self):
        return 1440

    def get_start_time_of_current_srv_run(self):
        return 0

    def get_start_time_of_next_time_period(self, start):
        return start

    def get_previous_srv(self, period):
        return b'p' * 32

    def get_current_srv(self, period):
        return b'c' * 32


class Program:
    is_testnet = False


def crosses_the_end(consensus, key):
    """Whether a replica needs the first HSDir of the ring after the last one, and another one behind it."""
    srv, period = hashring.get_srv_and_time_period(True)
    ring = sorted(node.get_hsdir_index(srv, period) for node in consensus.nodes)
    used = set()
    for replica in (1, 2):
        place = bisect.bisect_left(ring, hashring._get_hidden_service_index(key, replica, True))
        taken = []
        while len(taken) < 4:
            if place % len(ring) not in used:
                taken.append(place)
            place += 1
        if len(ring) in taken and taken[-1] > len(ring):
            return True
        used.update(i % len(ring) for i in taken)
    return False


changed = False
for count in (50, 500):
    onionbalance.my_onionbalance = Program()
    onionbalance.my_onionbalance.consensus = Consensus(count)
    failed = crossing = failed_crossing = 0
    for i in range(4000):
        key = hashlib.sha256(b'service %d' % i).digest()
        across = crosses_the_end(onionbalance.my_onionbalance.consensus, key)
        try:
            fails = len(hashring.get_responsible_hsdirs(key, True)) != 8
        except hashring.EmptyHashRing:
            fails = True
        failed += fails
        crossing += across
        failed_crossing += fails and across
    print('%d HSDirs: %d of 4000 services cross the end of the ring, %d of these get no descriptor; %d others'
          % (count, crossing, failed_crossing, failed - failed_crossing))
    changed |= crossing == 0 or failed_crossing != crossing
sys.exit(changed)
PY

PYTHONPATH=root/usr/lib/python3/dist-packages /usr/bin/python3 ring.py || {
  printf 'changed: services at the end of the ring get a descriptor\n'
  exit 1
}
