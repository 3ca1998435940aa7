"""Makes the input of hash_search.wgsl, and shows what it found. Needs Python alone."""

import argparse
import hashlib
import struct

NONCES_A_RECORD = 16
TEXT_BYTES_MAX = 48


def message(text, nonce):
    data = text.encode()
    assert len(data) <= TEXT_BYTES_MAX, f"at most {TEXT_BYTES_MAX} bytes of text"
    return data.ljust(TEXT_BYTES_MAX, b"\0") + struct.pack(">I", nonce)


def make(args):
    # SHA-256's own padding: a one bit, zeros, and the length in bits.
    block = message(args.text, 0) + b"\x80" + bytes(3) + struct.pack(">Q", 52 * 8)
    with open("block.bin", "wb") as file:
        file.write(struct.pack("<16I", *struct.unpack(">16I", block)))
    with open("ranges.bin", "wb") as file:
        for first in range(0, args.nonces, NONCES_A_RECORD):
            file.write(struct.pack("<II", first, min(NONCES_A_RECORD, args.nonces - first)))


def show(args):
    with open(args.result, "rb") as file:
        best = max(struct.iter_unpack("<II", file.read()), key=lambda found: found[1])
    digest = hashlib.sha256(message(args.text, best[0])).hexdigest()
    zeros = 256 - int(digest, 16).bit_length()
    print(f"nonce {best[0]}: {best[1]} zero bits; {digest}")
    assert zeros == best[1], f"its hash has {zeros}"


parser = argparse.ArgumentParser(description=__doc__)
commands = parser.add_subparsers(required=True)
command = commands.add_parser("make", help="write block.bin and ranges.bin")
command.add_argument("text")
command.add_argument("--nonces", type=int, default=1_000_000)
command.set_defaults(run=make)
command = commands.add_parser("show", help="the best nonce, checked by hashlib")
command.add_argument("text")
command.add_argument("result")
command.set_defaults(run=show)
args = parser.parse_args()
args.run(args)
