#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO GenAI on a GGUF file: prompt and decode tokens per second, and those of many requests at once, as JSON.

    pip install openvino-genai==2026.4.1
    bench/peer_openvino.py --model smollm2-135m.gguf --threads 2 --prompt 512 --decode 64 --requests 32

    bench/peer_openvino.py --model smollm2-135m.gguf --load shared --requests 16 --prompt 32 --shared 768 --decode 64

Called by bench/peers.py --openvino, and with --load by bench/server_peers.py: then the requests of such a load, all at
once, without a server in front of it. Of the four models it loads smollm2-135m only.
"""
import argparse
import json
import time

import numpy
import openvino
import openvino_genai


def request(count: int, seed: int, shared: int = 0) -> openvino.Tensor:
    """`count` token ids that no other seed has, so that no prefix is shared but one of so many that all begin with."""
    def drawn(tokens: int, of: int) -> numpy.ndarray:
        return numpy.random.default_rng(of).integers(1000, 40000, (1, tokens), dtype=numpy.int64)
    return openvino.Tensor(numpy.concatenate([drawn(shared, 0), drawn(count, seed)], axis=1))


def config(tokens: int, samples: int = 1) -> openvino_genai.GenerationConfig:
    result = openvino_genai.GenerationConfig()
    result.max_new_tokens = tokens
    result.ignore_eos = True
    result.do_sample = samples > 1
    result.num_return_sequences = samples
    return result


def seconds(pipeline, requests: list[openvino.Tensor], decode: int, samples: int = 1) -> float:
    begin = time.perf_counter()
    pipeline.generate(requests, [config(decode, samples)] * len(requests))
    return time.perf_counter() - begin


def loaded(options, share: bool) -> openvino_genai.ContinuousBatchingPipeline:
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.cache_size = 2
    scheduler.enable_prefix_caching = share
    scheduler.max_num_batched_tokens = 512
    pipeline = openvino_genai.ContinuousBatchingPipeline(options.model, scheduler, "CPU",
                                                         {"INFERENCE_NUM_THREADS": options.threads})
    seconds(pipeline, [request(options.prompt, 1)], 8)  # warms up
    return pipeline


def paces(options) -> dict:
    pipeline = loaded(options, False)
    prompt = seconds(pipeline, [request(options.prompt, 2)], 1)
    whole = seconds(pipeline, [request(8, 3)], options.decode + 1) - seconds(pipeline, [request(8, 4)], 1)
    load = seconds(pipeline, [request(158, 5 + i) for i in range(options.requests)], 32)
    return {"prompt": options.prompt / prompt, "decode": options.decode / whole,
            "load": options.requests * (158 + 32) / load}


def load(options) -> dict:
    """Wall clock of all of them: one after the other if they are `single`, else at once. Prefixes are shared."""
    pipeline = loaded(options, True)
    requests = [request(options.prompt, 10 + i, options.shared) for i in range(options.requests)]
    if options.load == "single":
        return {"seconds": sum(seconds(pipeline, [one], options.decode) for one in requests)}
    return {"seconds": seconds(pipeline, requests, options.decode, options.samples)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--decode", "--output", type=int, default=64)
    parser.add_argument("--requests", type=int, default=32)
    parser.add_argument("--load", choices=["single", "strangers", "shared", "samples"])
    parser.add_argument("--shared", type=int, default=0)
    parser.add_argument("--samples", type=int, default=1)
    options, _ = parser.parse_known_args()
    print(json.dumps(load(options) if options.load else paces(options)))


if __name__ == "__main__":
    main()
