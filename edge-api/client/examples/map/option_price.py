"""Makes the input of option_price.wgsl from a table, and shows prices beside Black and Scholes'."""

import argparse
import csv
import math
import struct

COLUMNS = ["spot", "strike", "rate", "volatility", "years"]


def contracts(path):
    with open(path, newline="") as file:
        return [[float(row[column]) for column in COLUMNS] for row in csv.DictReader(file)]


def make(args):
    with open("contracts.bin", "wb") as file:
        for seed, contract in enumerate(contracts(args.table)):
            file.write(struct.pack("<5fI", *contract, seed))
    with open("paths.bin", "wb") as file:
        file.write(struct.pack("<4I", args.paths, 0, 0, 0))


def black_scholes(spot, strike, rate, volatility, years):
    normal = lambda x: 0.5 * (1 + math.erf(x / math.sqrt(2)))
    spread = volatility * math.sqrt(years)
    d1 = (math.log(spot / strike) + (rate + volatility**2 / 2) * years) / spread
    return spot * normal(d1) - strike * math.exp(-rate * years) * normal(d1 - spread)


def show(args):
    with open(args.result, "rb") as file:
        prices = list(struct.iter_unpack("<ff", file.read()))
    for contract, (price, error) in zip(contracts(args.table), prices, strict=True):
        print(*contract, f"{price:.4f} ± {error:.4f}", f"exact {black_scholes(*contract):.4f}", sep="\t")


parser = argparse.ArgumentParser(description=__doc__)
commands = parser.add_subparsers(required=True)
command = commands.add_parser("make", help="write contracts.bin and paths.bin")
command.add_argument("table", help="CSV with the columns " + ", ".join(COLUMNS))
command.add_argument("--paths", type=int, default=20_000)
command.set_defaults(run=make)
command = commands.add_parser("show", help="prices with their standard errors")
command.add_argument("table")
command.add_argument("result")
command.set_defaults(run=show)
args = parser.parse_args()
args.run(args)
