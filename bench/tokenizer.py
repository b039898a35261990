#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""plait's tokenizer against the `tokenizers` package: same vocabulary, same text, one thread each, taking turns.

    pip install tokenizers
    bench/tokenizer.py --model smollm2-135m.gguf [--bench build/dev/models_bench] [--text FILE] [--rounds 7]

Without --text, about ten megabytes of English prose are gathered from the documentation under /usr/share, each
paragraph once. Both sides are measured in CPU time, so that a busy machine disturbs less. The package encodes the text
whole and paragraph by paragraph (encode_batch_fast, which computes no offsets); its faster way counts.
"""
import argparse
import gzip
import json
import os
import pathlib
import re
import statistics
import struct
import subprocess
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
         r"|\s+(?!\S)|\s+")


def metadata(path):
    """The metadata of a GGUF file, as far as it starts with tokenizer."""
    formats = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
    with open(path, "rb") as file:
        def number(code):
            return struct.unpack("<" + code, file.read(struct.calcsize("<" + code)))[0]

        def value(kind):
            if kind == 8:
                return file.read(number("Q"))
            if kind != 9:
                return number(formats[kind])
            element, count = number("I"), number("Q")
            if element == 8:
                return [file.read(number("Q")) for _ in range(count)]
            size = struct.calcsize("<" + formats[element])
            return list(struct.unpack(f"<{count}{formats[element]}", file.read(size * count)))

        file.read(8)
        number("Q")
        out = {}
        for _ in range(number("Q")):
            key = file.read(number("Q")).decode()
            out[key.removeprefix("tokenizer.ggml.")] = value(number("I"))
    return out


def package_tokenizer(keys):
    """What the model's tokenizer.json says, from the same vocabulary."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
    tokens = [token.decode("utf-8", "replace") for token in keys["tokens"]]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    if keys["model"] == b"gpt2":
        merges = [tuple(merge.decode().split(" ", 1)) for merge in keys["merges"]]
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=keys["pre"] != b"qwen2")
        if keys["pre"] == b"qwen2":
            first = pre_tokenizers.Split(Regex(QWEN2), "isolated")
            tokenizer.normalizer = normalizers.NFC()
        else:
            first = pre_tokenizers.Digits(individual_digits=True)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([first, byte_level])
        return tokenizer
    # SentencePiece as merges: every split of a token into two tokens, the best token first, as converters write it.
    order = sorted(range(len(tokens)), key=lambda i: -keys["scores"][i])
    merges = []
    for number in order:
        token = tokens[number]
        merges += [(token[:cut], token[cut:]) for cut in range(1, len(token))
                   if token[:cut] in vocabulary and token[cut:] in vocabulary]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True, unk_token="<unk>",
                                     fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    return tokenizer


def documentation():
    for root in ("/usr/share/perl", "/usr/share/doc", "/usr/lib/python3", "/usr/share/info", "/usr/share/man"):
        for path in sorted(pathlib.Path(root).rglob("*")):
            if not path.is_file() or path.is_symlink():
                continue
            data = path.read_bytes()
            if path.suffix == ".gz":
                data = gzip.decompress(data)
            if b"\0" not in data[:1000]:
                yield from re.split(r"\n\s*\n", data.decode("utf-8", "ignore"))


def prose(bytes_wanted):
    seen = set()
    out = []
    size = 0
    for paragraph in documentation():
        text = " ".join(re.sub(r'^[#*/;."\\]+[A-Za-z]{0,2} ?', "", line.strip()) for line in paragraph.splitlines())
        letters = sum(c.isalpha() or c in " ,.;:'-" for c in text)
        key = re.sub("[^a-z]", "", text.lower())[:80]
        if len(text) < 120 or letters < 0.95 * len(text) or text.count(" ") * 9 < len(text) or key in seen:
            continue
        seen.add(key)
        out.append(text)
        size += len(text.encode()) + 2
        if size > bytes_wanted:
            break
    return "\n\n".join(out)


def seconds(work):
    begin = time.process_time()
    work()
    return time.process_time() - begin


def plait_seconds(bench, model, text_path):
    environment = dict(os.environ, PLAIT_BENCH_MODEL=str(model), PLAIT_BENCH_TEXT=str(text_path))
    command = [str(bench), "--benchmark_filter=^tokenizer/encode", "--benchmark_format=json",
               "--benchmark_min_time=0.5"]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    return json.loads(done.stdout)["benchmarks"][0]["cpu_time"] / 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--bench", type=pathlib.Path, default=pathlib.Path("build/dev/models_bench"))
    parser.add_argument("--text", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    import tokenizers
    text = options.text.read_text("utf-8") if options.text else prose(10_000_000)
    size = len(text.encode()) / 1e6
    paragraphs = [part + "\n\n" for part in text.split("\n\n")]
    package = package_tokenizer(metadata(options.model))
    ways = {
        "whole": lambda: package.encode_batch_fast([text]),
        "paragraphs": lambda: package.encode_batch_fast(paragraphs),
    }
    way = min(ways, key=lambda name: seconds(ways[name]))
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "text"
        path.write_text(text, "utf-8")
        for _ in range(options.rounds):
            theirs.append(size / seconds(ways[way]))
            ours.append(size / plait_seconds(options.bench, options.model, path))
    ratios = [a / b for a, b in zip(ours, theirs)]
    for name, values in (("plait MB/s", ours), (f"tokenizers {tokenizers.__version__} ({way}) MB/s", theirs),
                         ("ratio", ratios)):
        print(f"{options.model.stem}: {name}: median {statistics.median(values):.2f}, "
              f"{min(values):.2f} to {max(values):.2f} over {len(values)} rounds, {size:.2f} MB")


if __name__ == "__main__":
    main()
