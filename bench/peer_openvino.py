#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO GenAI on a GGUF file: prompt and decode tokens per second, and those of many requests at once, as JSON.

    pip install openvino-genai==2026.4.1
    bench/peer_openvino.py --model smollm2-135m.gguf --threads 2 --prompt 512 --decode 64 --requests 32

Called by bench/peers.py --openvino. Of the four models it loads smollm2-135m only.
"""
import argparse
import json
import time

import numpy
import openvino
import openvino_genai


def request(count: int, seed: int) -> openvino.Tensor:
    """`count` token ids that no other seed has, so that no prefix is shared."""
    return openvino.Tensor(numpy.random.default_rng(seed).integers(1000, 40000, (1, count), dtype=numpy.int64))


def greedy(tokens: int) -> openvino_genai.GenerationConfig:
    config = openvino_genai.GenerationConfig()
    config.max_new_tokens = tokens
    config.ignore_eos = True
    config.do_sample = False
    return config


def seconds(pipeline, requests: list[openvino.Tensor], decode: int) -> float:
    begin = time.perf_counter()
    pipeline.generate(requests, [greedy(decode)] * len(requests))
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--decode", type=int, default=64)
    parser.add_argument("--requests", type=int, default=32)
    options = parser.parse_args()
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.cache_size = 2
    scheduler.enable_prefix_caching = False
    scheduler.max_num_batched_tokens = 512
    pipeline = openvino_genai.ContinuousBatchingPipeline(options.model, scheduler, "CPU",
                                                         {"INFERENCE_NUM_THREADS": options.threads})
    seconds(pipeline, [request(options.prompt, 1)], 8)  # warms up
    prompt = seconds(pipeline, [request(options.prompt, 2)], 1)
    whole = seconds(pipeline, [request(8, 3)], options.decode + 1) - seconds(pipeline, [request(8, 4)], 1)
    load = seconds(pipeline, [request(158, 5 + i) for i in range(options.requests)], 32)
    print(json.dumps({"prompt": options.prompt / prompt, "decode": options.decode / whole,
                      "load": options.requests * (158 + 32) / load}))


if __name__ == "__main__":
    main()
