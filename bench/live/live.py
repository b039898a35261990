#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The claims of papers on a running `plait serve`, over HTTP.

    bench/live/live.py                                  # everything, about half an hour
    bench/live/live.py paging --rounds 5 --json paging.json
    bench/live/live.py --quick                          # does everything work?

Each measurement starts a server of its own with the settings in question, replays one seeded trace, and ends it; what
is compared takes turns within a round. Printed are tables of medians (smallest–largest) and the lines that should not
be crossed. The exit code is 1 if one is crossed that does not depend on speed (counters and replies that differ), or
if a request failed.
"""
import argparse
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import paging  # noqa: E402
import peers  # noqa: E402
import pte  # noqa: E402
import swap  # noqa: E402
import telemetry  # noqa: E402
import threads  # noqa: E402

KINDS = {"paging": paging, "pte": pte, "swap": swap, "telemetry": telemetry, "threads": threads}


class Setup(argparse.Namespace):
    """What was asked for."""

    @staticmethod
    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def parse_arguments(arguments: list[str] | None) -> Setup:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join(KINDS)}; default: all")
    parser.add_argument("--plait", default="build/release/plait")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3, help="of all but pte")
    parser.add_argument("--scale", type=float, default=1, help="pte: 10 trajectories of each agent, so many times")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", default="/var/tmp", help="for the file of swap: on a real disk")
    parser.add_argument("--quick", action="store_true", help="tiny traces and one round; their figures mean nothing")
    parser.add_argument("--json", type=pathlib.Path, help="file for every single run")
    setup = parser.parse_args(arguments, Setup())
    setup.kinds = setup.kinds or list(KINDS)
    if unknown := set(setup.kinds) - set(KINDS):
        parser.error(f"no kind {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    if setup.quick:
        setup.rounds = 1
    return setup


def main(arguments: list[str] | None = None) -> int:
    setup, kept, broken = parse_arguments(arguments), {}, False
    for kind in setup.kinds:
        load = os.getloadavg()[0]
        report = KINDS[kind].measure_all(setup)
        model = pathlib.Path(setup.model).stem
        print(f"**{kind}**, {time.strftime('%Y-%m-%d')}, {peers.cpu_name()}, {model}, {setup.threads} threads; "
              f"load {load:.1f} before and {os.getloadavg()[0]:.1f} after it\n\n{report.text()}\n", flush=True)
        kept[kind] = {"gates": [vars(gate) | {"holds": gate.holds()} for gate in report.gates], "runs": report.runs}
        broken = broken or any(gate.exact and not gate.holds() for gate in report.gates)
    if setup.json:
        setup.json.write_text(json.dumps(kept, indent=1))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
