#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""plait beside llama.cpp and OpenVINO, in one run, interleaved: tokens per second, and their ratio pair by pair.

    bench/peers.py --llama LLAMA_CPP/build/bin --models smollm2-135m --rounds 7
    bench/peers.py --build build/peers     # fetches and builds llama.cpp (about 12 minutes on 2 cores), then measures
    bench/peers.py --openvino VENV/bin/python     # beside OpenVINO GenAI too, see bench/peer_openvino.py

The peer is the copy of llama.cpp inside the Python package llama-cpp-python 0.3.36, built with GGML_NATIVE=ON. One
line of it is mended first: GCC 12 drops the stores of its tile configuration, and its AMX path then crashes. Every
round runs each program once, one after the other, so that both see the same minutes of the machine; ratios are taken
within a round.
`--write FILE` replaces the table between the markers in FILE.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tarfile
import time

PACKAGE = "llama-cpp-python==0.3.36"
MODELS = ["smollm2-135m", "gemma3-270m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"]
OPENVINO_MODEL = "smollm2-135m"  # the only one of them that it loads
REQUANTISED = ("smollm2-135m", "Q4_0")  # llama.cpp is fastest with it; plait keeps the file as shipped
BEGIN, END = "<!-- peers:begin -->", "<!-- peers:end -->"


def mend_tile_configuration(source: pathlib.Path) -> None:
    """GCC 12's _tile_loadconfig names 8 of the 64 bytes that it reads; naming all of them keeps their stores."""
    load, use = "    _tile_loadconfig(&tc);", '    __asm__ volatile("" : : "m"(tc));\n'
    text = source.read_text()
    if use not in text:
        source.write_text(text.replace(load, use + load))


def build_peer(folder: pathlib.Path) -> pathlib.Path:
    """Fetches and builds llama.cpp below `folder`; returns its folder of programs."""
    folder.mkdir(parents=True, exist_ok=True)
    found = list(folder.glob("llama_cpp_python-*/vendor/llama.cpp/build/bin/llama-server"))
    if found:
        return found[0].parent
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "scikit-build-core"], check=True)
    fetch = ["pip", "download", "--quiet", "--no-deps", "--no-binary=llama-cpp-python", "--no-build-isolation", PACKAGE]
    subprocess.run([sys.executable, "-m", *fetch, "-d", str(folder)], check=True)
    with tarfile.open(next(folder.glob("llama_cpp_python-*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    source = next(folder.glob("llama_cpp_python-*/vendor/llama.cpp"))
    mend_tile_configuration(source / "ggml/src/ggml-cpu/amx/mmq.cpp")
    options = ["-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DLLAMA_CURL=OFF", "-DLLAMA_OPENSSL=OFF"]
    subprocess.run(["cmake", "-B", "build", "-G", "Ninja", *options], cwd=source, check=True)
    targets = ["llama-bench", "llama-batched-bench", "llama-tokenize", "llama-perplexity", "llama-quantize",
               "llama-server"]
    subprocess.run(["ninja", "-C", "build", *targets], cwd=source, check=True)
    return source / "build" / "bin"


def requantised(llama: pathlib.Path, path: str, form: str) -> str:
    """The model in another format, made once by llama.cpp beside its programs."""
    made = llama / f"{pathlib.Path(path).stem}-{form}.gguf"
    if not made.exists():
        command = [str(llama / "llama-quantize"), "--allow-requantize", path, str(made), form]
        subprocess.run(command, check=True, capture_output=True)
    return str(made)


def bench_of_plait(program: str, model: str, threads: int, *options: str) -> dict:
    """The report of one `plait bench`, rates only."""
    command = [program, "bench", "--model", model, "--threads", str(threads), *options, "--repeats", "1", "--no-probe",
               "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def run_plait(program: str, model: str, threads: int, prompt: int, decode: int) -> dict:
    report = bench_of_plait(program, model, threads, "--prompt", str(prompt), "--decode", str(decode))
    return {f"prompt of {prompt}": report["prompt"]["tokens_per_second"],
            "decode": report["decode"][0]["tokens_per_second"]}


def run_llama(folder: pathlib.Path, path: str, threads: int, prompt: int, decode: int) -> dict:
    command = [str(folder / "llama-bench"), "-m", path, "-t", str(threads), "-p", str(prompt), "-n", str(decode),
               "-r", "1", "-o", "json"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {f"prompt of {prompt}" if entry["n_prompt"] else "decode": entry["avg_ts"] for entry in report}


def rows_of_plait(program: str, model: str, threads: int, rows: list[int], prompt: int, decode: int) -> dict:
    """Decode tokens/s of all sequences together, by their number."""
    report = bench_of_plait(program, model, threads, "--prompt", "0", "--depth", str(prompt), "--decode", str(decode),
                            "--rows", ",".join(map(str, rows)))
    return {entry["rows"]: entry["tokens_per_second"] for entry in report["decode"]}


def batched_bench(folder: pathlib.Path, path: str, threads: int, rows: list[int], prompt: int, decode: int) -> list:
    command = [str(folder / "llama-batched-bench"), "-m", path, "-t", str(threads), "-tb", str(threads), "-c",
               str(max(rows) * (prompt + decode + 8)), "-npp", str(prompt), "-ntg", str(decode), "-npl",
               ",".join(map(str, rows)), "--output-format", "jsonl"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def rows_of_llama(folder: pathlib.Path, path: str, threads: int, rows: list[int], prompt: int, decode: int) -> dict:
    return {entry["pl"]: entry["speed_tg"] for entry in batched_bench(folder, path, threads, rows, prompt, decode)}


def long_of_plait(program: str, model: str, threads: int, context: int) -> dict:
    """A long prompt, and what a token costs behind it."""
    sizes = ["--prompt", str(context), "--depth", str(context), "--decode", "32"]
    report = bench_of_plait(program, model, threads, *sizes)
    return {f"prompt of {context}": report["prompt"]["tokens_per_second"],
            f"decode after {context}": report["decode"][0]["tokens_per_second"]}


def long_of_llama(folder: pathlib.Path, path: str, threads: int, context: int) -> dict:
    command = [str(folder / "llama-bench"), "-m", path, "-t", str(threads), "-r", "1", "-o", "json"]
    rates = {}
    for key, options in ((f"prompt of {context}", ["-p", str(context), "-n", "0"]),
                         (f"decode after {context}", ["-p", "0", "-n", "32", "-d", str(context)])):
        done = subprocess.run([*command, *options], check=True, capture_output=True, text=True)
        rates[key] = json.loads(done.stdout)[0]["avg_ts"]
    return rates


LOAD = "32 requests, 158 in, 32 out"  # as streams_of_plait() names it


def streams_of_plait(program: str, model: str, threads: int, streams: list[int], prompt: int, generate: int) -> dict:
    """All tokens over the time of a load of so many requests at once, through the engine."""
    report = bench_of_plait(program, model, threads, "--prompt", str(prompt), "--decode", str(generate), "--streams",
                            ",".join(map(str, streams)))
    return {f"{entry['streams']} requests, {prompt} in, {generate} out": entry["tokens_per_second"]
            for entry in report["streams"]}


def streams_of_llama(folder: pathlib.Path, path: str, threads: int, streams: list[int], prompt: int,
                     generate: int) -> dict:
    entries = batched_bench(folder, path, threads, streams, prompt, generate)
    return {f"{entry['pl']} requests, {prompt} in, {generate} out": entry["speed"] for entry in entries}


def load_of_plait(program: str, model: str, threads: int, prompt: int, decode: int) -> dict:
    """As OpenVINO's figures."""
    load = streams_of_plait(program, model, threads, [32], 158, 32)
    return {**run_plait(program, model, threads, prompt, decode), **load}


def load_of_openvino(python: str, model: str, threads: int, prompt: int, decode: int) -> dict:
    script = pathlib.Path(__file__).resolve().parent / "peer_openvino.py"
    command = [python, str(script), "--model", model, "--threads", str(threads), "--prompt", str(prompt),
               "--decode", str(decode)]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    return {f"prompt of {prompt}": report["prompt"], "decode": report["decode"], LOAD: report["load"]}


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.0f} ({min(values):.0f}–{max(values):.0f})"


def ratio(values: list[float]) -> str:
    return f"**{statistics.median(values):.2f}** ({min(values):.2f}–{max(values):.2f})"


def compare(title: str, rounds: int, ours, theirs, threads: int, peer: str = "llama.cpp") -> list[str]:
    """Takes turns; one table line for each key of the two results, without the column of the model."""
    pairs = []
    for turn in range(rounds + 1):  # the first round warms up and is left out
        pair = (ours(), theirs())
        print(f"{title}, round {turn}: {pair}", file=sys.stderr)
        if turn:
            pairs.append(pair)
    lines = []
    for key in pairs[0][0]:
        a, b = [pair[0][key] for pair in pairs], [pair[1][key] for pair in pairs]
        pairwise = ratio([x / y for x, y in zip(a, b)])
        lines.append(f"{key} | {threads} | {peer} | {spread(a)} | {spread(b)} | {pairwise} |")
    return lines


def measure(args, llama: pathlib.Path) -> list[str]:
    table = []
    for name in args.models:
        path = str(args.model_dir / f"{name}.gguf")
        if not os.path.exists(path):
            print(f"{name}: not present, left out", file=sys.stderr)
            continue
        lines = []
        for threads in args.threads:
            lines += compare(f"{name} {threads} threads", args.rounds,
                             lambda: run_plait(args.plait, path, threads, args.prompt, args.decode),
                             lambda: run_llama(llama, path, threads, args.prompt, args.decode), threads)
        threads = max(args.threads)
        if args.rows:
            lines += [f"rows side by side: {line}" for line in compare(
                f"{name} rows", args.rounds,
                lambda: rows_of_plait(args.plait, path, threads, args.rows, args.context, 32),
                lambda: rows_of_llama(llama, path, threads, args.rows, args.context, 32), threads)]
        if args.streams:
            lines += compare(f"{name} streams", args.rounds,
                             lambda: streams_of_plait(args.plait, path, threads, args.streams, 128, 32),
                             lambda: streams_of_llama(llama, path, threads, args.streams, 128, 32), threads)
        if args.long:
            lines += compare(f"{name} long", args.rounds,
                             lambda: long_of_plait(args.plait, path, threads, args.long),
                             lambda: long_of_llama(llama, path, threads, args.long), threads)
        if args.requantised and name == REQUANTISED[0]:
            peer, theirs = f"llama.cpp, {REQUANTISED[1]}", requantised(llama, path, REQUANTISED[1])
            lines += compare(f"{name} beside {REQUANTISED[1]}", args.rounds,
                             lambda: run_plait(args.plait, path, threads, args.prompt, args.decode),
                             lambda: run_llama(llama, theirs, threads, args.prompt, args.decode), threads, peer)
            lines += [f"rows side by side: {line}" for line in compare(
                f"{name} rows beside {REQUANTISED[1]}", args.rounds,
                lambda: rows_of_plait(args.plait, path, threads, args.rows, args.context, 32),
                lambda: rows_of_llama(llama, theirs, threads, args.rows, args.context, 32), threads, peer)]
        if args.openvino and name == OPENVINO_MODEL:
            lines += compare(f"{name} OpenVINO", args.rounds,
                             lambda: load_of_plait(args.plait, path, threads, args.prompt, args.decode),
                             lambda: load_of_openvino(args.openvino, path, threads, args.prompt, args.decode),
                             threads, "OpenVINO")
        table += [f"| {name} | {line}" for line in lines]
    return table


def cpu_name() -> str:
    text = pathlib.Path("/proc/cpuinfo").read_text()
    flags = set(re.search(r"^flags\s*:(.*)$", text, re.M).group(1).split())
    wanted = [flag for flag in ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "amx_int8") if flag in flags]
    return re.search(r"^model name\s*: (.*)$", text, re.M).group(1) + f", {os.cpu_count()} cores, " + " ".join(wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    parser.add_argument("--plait", default="build/release/plait")
    parser.add_argument("--llama", type=pathlib.Path, help="folder with llama-bench")
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/peers"),
                        help="where llama.cpp is built without --llama")
    parser.add_argument("--openvino", metavar="PYTHON", help="a Python that has openvino-genai")
    parser.add_argument("--model-dir", type=pathlib.Path, default=cache / "plait" / "models")
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--decode", type=int, default=64)
    parser.add_argument("--rows", nargs="*", type=int, default=[8, 32], help="sequences side by side, with all threads")
    parser.add_argument("--context", type=int, default=64, help="tokens before each of those decodes")
    parser.add_argument("--streams", nargs="*", type=int, default=[1, 8, 32, 64],
                        help="requests at once, 128 tokens in and 32 out, from first to last token")
    parser.add_argument("--long", type=int, default=4096, help="a long context; 0: none")
    parser.add_argument("--requantised", action=argparse.BooleanOptionalAction, default=True,
                        help="also beside smollm2-135m requantised to Q4_0, llama.cpp's fastest format of it")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", type=pathlib.Path, help="file whose table between the markers is replaced")
    args = parser.parse_args()
    rows = measure(args, args.llama or build_peer(args.build))
    head = f"{time.strftime('%Y-%m-%d')}, {cpu_name()}; {args.rounds} rounds, interleaved"
    table = [f"{head}; tokens/s, median (smallest–largest).", "",
             "| model | what | threads | peer | plait | peer's | ratio |",
             "| --- | --- | --- | --- | --- | --- | --- |", *rows]
    print("\n".join(table))
    if args.write:
        text = args.write.read_text()
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        args.write.write_text(before + BEGIN + "\n" + "\n".join(table) + "\n" + END + after)


if __name__ == "__main__":
    main()
