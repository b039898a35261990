#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How far quantised arithmetic strays from floats: plait and llama.cpp in one run, position by position.

    python3 bench/accuracy/accuracy.py --llama LLAMA_CPP_FOLDER MODEL.gguf...

LLAMA_CPP_FOLDER holds the sources and a build in build/, as bench/peers.py leaves them. For each model: the file is
expanded to F32 by llama-quantize; llama.cpp's quantised path is compared with that, plait's production path with its
own reference path, on the same windows of the same text. Printed and checked:

  KL            mean KL(base || model): plait's must not be significantly above 1.1 times llama.cpp's
  same top      share of positions where model and base agree on the likeliest token: the paired difference's
                lower 95 % bound must not be below -0.5 points
  agreement     positions where plait and llama.cpp have the same likeliest token: at least 95 %, and where they
                differ plait's reference must see the two tokens less than 0.5 logits apart
"""
import argparse
import concurrent.futures
import csv
import math
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TEXTS = ["GPL-3", "GFDL-1.3", "Apache-2.0", "GPL-2", "MPL-2.0", "LGPL-2.1"]


def run(command, **options):
    return subprocess.run([str(part) for part in command], check=True, **options)


def build_llama_positions(llama, folder):
    program = folder / "llama_positions"
    libraries = llama / "build" / "bin"
    run([os.environ.get("CXX", "g++"), "-std=c++17", "-O2", HERE / "llama_positions.cc", f"-I{llama}/include",
         f"-I{llama}/ggml/include", f"-L{libraries}", "-lllama", "-lggml", "-lggml-base", f"-Wl,-rpath,{libraries}",
         "-o", program])
    return program


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def mean_and_error(values):
    n = len(values)
    mean = math.fsum(values) / n
    variance = math.fsum((v - mean) ** 2 for v in values) / max(1, n - 1)
    return mean, math.sqrt(variance / n)


def margin(candidates, one, other):
    """How far apart the reference sees two tokens; one that is not among its eight likeliest counts as the eighth."""
    logits = dict((int(token), float(logit)) for token, logit in (pair.split(":") for pair in candidates.split()))
    least = min(logits.values())
    return abs(logits.get(one, least) - logits.get(other, least))


def compare(plait, llama):
    if [(r["index"], r["token"]) for r in plait] != [(r["index"], r["token"]) for r in llama]:
        sys.exit("the two programs read different tokens")
    ours = [float(r["divergence"]) for r in plait]
    theirs = [float(r["divergence"]) for r in llama]
    same = [int(r["top"]) == int(r["base_top"].split(":")[0]) for r in plait]
    their_same = [r["top"] == r["base_top"] for r in llama]
    differ = [(p, q) for p, q in zip(plait, llama) if p["top"] != q["top"]]
    margins = [margin(p["base_top"], int(p["top"]), int(q["top"])) for p, q in differ]
    own = [margin(p["base_top"], int(p["top"]), int(p["base_top"].split(":")[0])) for p in plait]
    excess, excess_error = mean_and_error([a - 1.1 * b for a, b in zip(ours, theirs)])
    top, top_error = mean_and_error([float(a) - float(b) for a, b in zip(same, their_same)])
    result = {
        "positions": len(plait),
        "kl": mean_and_error(ours), "kl_llama": mean_and_error(theirs),
        "kl_excess_lower_95": excess - 1.645 * excess_error,
        "same_top": sum(same) / len(same), "same_top_llama": sum(their_same) / len(same),
        "same_top_difference": top, "same_top_lower_95": top - 1.645 * top_error,
        "agreement": 1 - len(differ) / len(plait),
        "differences": len(differ), "margin_max": max(margins, default=0.0),
        "margins_from_half": sum(m >= 0.5 for m in margins),
        "own_margin_max": max(own), "own_margins_from_half": sum(m >= 0.5 for m in own),
        "ppl": math.exp(-math.fsum(float(r["log_probability"]) for r in plait) / len(plait)),
        "ppl_llama": math.exp(-math.fsum(float(r["log_probability"]) for r in llama) / len(llama)),
        "ppl_base": math.exp(-math.fsum(float(r["base_log_probability"]) for r in plait) / len(plait)),
        "ppl_base_llama": math.exp(-math.fsum(float(r["base_log_probability"]) for r in llama) / len(llama)),
    }
    result["good"] = (result["kl_excess_lower_95"] <= 0 and result["same_top_lower_95"] >= -0.005
                      and result["agreement"] >= 0.95 and result["margin_max"] < 0.5)
    return result


def report(name, r):
    print(f"{name}: {r['positions']} positions")
    print(f"  mean KL        plait {r['kl'][0]:.5f} ± {r['kl'][1]:.5f}   llama.cpp {r['kl_llama'][0]:.5f} ± "
          f"{r['kl_llama'][1]:.5f}   ratio {r['kl'][0] / r['kl_llama'][0]:.3f}   "
          f"(plait - 1.1 llama.cpp: lower 95 % bound {r['kl_excess_lower_95']:+.6f}, at most 0)")
    print(f"  same top       plait {r['same_top']:.2%}   llama.cpp {r['same_top_llama']:.2%}   difference "
          f"{100 * r['same_top_difference']:+.2f} points, lower 95 % bound {100 * r['same_top_lower_95']:+.2f}, "
          "at least -0.50")
    print(f"  agreement      {r['agreement']:.2%} of likeliest tokens; {r['differences']} differ, margin in the "
          f"reference at most {r['margin_max']:.3f} logits, {r['margins_from_half']} from 0.5 on; plait alone against "
          f"its reference: at most {r['own_margin_max']:.3f}, {r['own_margins_from_half']} from 0.5 on")
    print(f"  perplexity     plait {r['ppl']:.4f} (reference {r['ppl_base']:.4f})   llama.cpp {r['ppl_llama']:.4f} "
          f"(F32 {r['ppl_base_llama']:.4f})", flush=True)


def measure(arguments, model, folder, program, text):
    expanded = folder / "expanded.gguf"
    run([arguments.llama / "build" / "bin" / "llama-quantize", "--allow-requantize", model, expanded, "F32"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    name = pathlib.Path(model).stem
    plait, llama = arguments.keep / f"{name}.plait.tsv", arguments.keep / f"{name}.llama.tsv"
    commands = [
        [arguments.plait, "perplexity", text, "--model", model, "--against", "reference",
         "--windows", arguments.windows, "--positions", plait, "--threads", "1"],
        [program, model, expanded, text, llama, "512", arguments.windows, "1"],
    ]
    # One thread each, side by side: the figures do not depend on time.
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda command: run(command, stdout=subprocess.DEVNULL), commands))
    expanded.unlink()
    return compare(rows(plait), rows(llama))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--llama", type=pathlib.Path, help="folder of llama.cpp, built in build/")
    parser.add_argument("--plait", default="build/release/plait")
    parser.add_argument("--text", type=pathlib.Path, help="default: licence texts of Debian, one after the other")
    parser.add_argument("--windows", type=int, default=48, help="windows of 512 tokens, 255 positions each")
    parser.add_argument("--keep", type=pathlib.Path, help="folder for the positions of both programs")
    parser.add_argument("--compare-only", action="store_true", help="read the positions that --keep has")
    parser.add_argument("models", nargs="+")
    arguments = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        arguments.keep = arguments.keep or folder
        text = arguments.text or folder / "text.txt"
        if arguments.text is None:
            text.write_bytes(b"".join((pathlib.Path("/usr/share/common-licenses") / t).read_bytes() for t in TEXTS))
        program = None if arguments.compare_only else build_llama_positions(arguments.llama, folder)
        for model in arguments.models:
            name = pathlib.Path(model).stem
            if arguments.compare_only:
                result = compare(rows(arguments.keep / f"{name}.plait.tsv"),
                                 rows(arguments.keep / f"{name}.llama.tsv"))
            else:
                result = measure(arguments, model, folder, program, text)
            report(name, result)
            good = good and result["good"]
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
