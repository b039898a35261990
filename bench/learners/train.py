#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains a small learner on the CPU, of CountDown or of sums in threads, and writes it as GGUF, which plait runs.

  build/release/plait-lab traces spawned 100000 > spawned.jsonl            lines of {"prompt": TEXT, "text": TEXT}
  build/release/plait-lab traces spawned 300 --part validation > held-out.jsonl
  bench/learners/train.py spawned.jsonl --out spawned.gguf --bf16 --minutes 30 --validation held-out.jsonl
  build/release/plait-lab traces products 80000 > products.jsonl
  bench/learners/train.py products.jsonl --out threads.gguf --layers 4 --context 512 --batch-tokens 4096 --minutes 70
  build/release/plait ask -m ./spawned.gguf 'Current state: 24 from [3,5,7], operations []'

Needs PyTorch and a good BLAS: `apt-get install python3-torch libopenblas0-pthread`, run with /usr/bin/python3. Of the
two ways to compute, --bf16 is the faster one where the processor has instructions for it (avx512_bf16 in /proc/cpuinfo,
or AMX). More than one --threads helps little with models this small: train two of them side by side instead.

Progress goes to stderr every 30 seconds; at the end stdout gets a line of JSON. SIGINT ends a training early, and
--resume goes on from its checkpoint, or from the last one that was made on the way.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import sys

from gguf_writer import LearnerShape


def whole(text: str) -> int:
    """8192, 200_000 or 2e8."""
    return int(float(text))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="+", metavar="TEXTS.jsonl")
    parser.add_argument("--out", required=True, type=pathlib.Path, metavar="FILE.gguf")
    parser.add_argument("--validation", metavar="TEXTS.jsonl", help="texts whose loss is told at the end")
    parser.add_argument("--name", help="general.name of the model; the name of its file if there is none")
    parser.add_argument("--resume", action="store_true", help="go on from FILE.gguf.checkpoint, if it is there")
    shape = parser.add_argument_group("the model")
    shape.add_argument("--layers", type=int, default=LearnerShape.layers)
    shape.add_argument("--width", type=int, default=LearnerShape.width)
    shape.add_argument("--heads", type=int, default=LearnerShape.heads)
    shape.add_argument("--kv-heads", type=int, default=LearnerShape.kv_heads)
    shape.add_argument("--head-dim", type=int, default=LearnerShape.head_dim)
    shape.add_argument("--ffn", type=int, default=LearnerShape.ffn)
    shape.add_argument("--context", type=int, default=LearnerShape.context, help="tokens, with prompt and end")
    shape.add_argument("--cut", action="store_true", help="cut longer texts instead of leaving them out")
    training = parser.add_argument_group("the training")
    budget = training.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float)
    budget.add_argument("--tokens", type=whole)
    training.add_argument("--rate", type=float, default=1e-3, help="of learning, at its peak")
    training.add_argument("--warm-up", type=float, default=0.02, help="share of the budget")
    training.add_argument("--decay", type=float, default=0.1, help="of weights")
    training.add_argument("--clip", type=float, default=1.0, help="largest norm of a gradient")
    training.add_argument("--batch-tokens", type=whole, default=8192, help="tokens of a step")
    training.add_argument("--part-tokens", type=whole, default=2048, help="of them, how many are computed at a time")
    training.add_argument("--seed", type=int, default=1)
    training.add_argument("--threads", type=int, default=1)
    training.add_argument("--bf16", action="store_true", help="products of matrices in bfloat16")
    training.add_argument("--checkpoint-minutes", type=float, default=3)
    return parser.parse_args()


def settle_libraries(threads: int) -> None:
    """Before PyTorch and NumPy are loaded. Threads of OpenBLAS wait for each other at full speed: more of them than
    cores that are free take ten times as long. Debian's libraries do not use the wide vectors of AMD's processors
    unless they are told to: twice the time of all that is no product, and of products in 32 bits."""
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        flags = set(pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return
    if flags >= {"avx512f", "avx512bw", "avx512dq", "avx512vl"}:
        os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx512")
        os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")


def main() -> None:
    given = arguments()
    settle_libraries(given.threads)
    import torch

    import training
    from texts import read_texts

    torch.set_num_threads(given.threads)
    torch.set_flush_denormal(True)
    shape = LearnerShape(**{field.name: getattr(given, field.name) for field in dataclasses.fields(LearnerShape)
                            if hasattr(given, field.name)})
    options = training.Options(
        out=given.out, shape=shape, name=given.name or given.out.stem, seed=given.seed,
        kind=torch.bfloat16 if given.bf16 else torch.float32, minutes=given.minutes, tokens=given.tokens,
        step_tokens=given.batch_tokens, batch_tokens=given.part_tokens, rate=given.rate, warm_up=given.warm_up,
        decay=given.decay, clip=given.clip, checkpoint_minutes=given.checkpoint_minutes)
    try:
        texts = read_texts(given.texts, shape.context, given.cut)
        held_out = read_texts([given.validation], shape.context, given.cut) if given.validation else None
    except (OSError, ValueError) as error:
        sys.exit(f"train.py: {error}")
    for found in filter(None, (texts, held_out)):
        print(found.about(), file=sys.stderr, flush=True)
    if not len(texts) or held_out is not None and not len(held_out):
        sys.exit("train.py: no text is short enough")
    run = training.Training(options, texts)
    if given.resume and options.checkpoint.exists():
        try:
            run.resume()
        except ValueError as error:
            sys.exit(f"train.py: {error}")
    run.run()
    run.export()
    progress = run.progress
    print(json.dumps({
        "file": str(options.out), "parameters": sum(parameter.numel() for parameter in run.parameters),
        "tokens": progress.tokens, "seconds": round(progress.seconds, 1), "steps": progress.steps,
        "epochs": progress.epoch, "texts": len(texts), "left_out": texts.left_out, "cut": texts.cut,
        "loss": round(run.loss(), 5) if run.losses else None,
        "validation_loss": None if held_out is None else round(run.validation_loss(held_out), 5)}))


if __name__ == "__main__":
    main()
