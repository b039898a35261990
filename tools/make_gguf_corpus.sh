#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Rewrites the committed corpus of the GGUF fuzz target: of the damaged files of the tests and of what fuzzing adds to
# them in the given time, only those that reach something new.
#   tools/make_gguf_corpus.sh BUILD_WITH_TESTS BUILD_WITH_FUZZERS [SECONDS]
set -eu
tests=$1
fuzz=$2/gguf_fuzz
seconds=${3:-60}
corpus=$(cd "$(dirname "$0")/.." && pwd)/src/models/corpus/gguf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seeds=$work/seeds
mkdir "$seeds" "$work/found" "$work/kept"
PLAIT_GGUF_SEEDS=$seeds "$tests/models_test" --gtest_brief=1 --gtest_filter=GgufDamage.WritesSeedsWhenAsked
"$fuzz" -max_total_time="$seconds" -max_len=4096 -print_final_stats=1 -verbosity=0 "$work/found" "$seeds"
"$fuzz" -set_cover_merge=1 -use_counters=0 -max_len=4096 -verbosity=0 "$work/kept" "$seeds" "$work/found"
rm -rf "$corpus"
mkdir -p "$corpus"
cp "$work/kept"/* "$corpus/"
du -sh --apparent-size "$corpus"
