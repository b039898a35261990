// SPDX-License-Identifier: Apache-2.0
//
// What llama.cpp thinks at every scored position of a text: the counterpart of `plait perplexity --positions`, so that
// two programs can be compared position by position. Built by accuracy.py against a llama.cpp build; no part of plait.
//
//   llama_positions MODEL BASE TEXT OUT WINDOW WINDOWS THREADS
//
// BASE is the same model expanded to F32. Windows, scored halves and columns are those of `plait perplexity`:
// index, token, top token, log-probability, base log-probability, KL(base || model), base's top token.
#include <llama.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

struct Runner {
  llama_model* model;
  llama_context* context;

  Runner(const char* path, int window, int threads) {
    model = llama_model_load_from_file(path, llama_model_default_params());
    if (model == nullptr) std::exit(1);
    llama_context_params params = llama_context_default_params();
    params.n_ctx = static_cast<unsigned>(window);
    params.n_batch = static_cast<unsigned>(window);
    params.n_ubatch = static_cast<unsigned>(window);
    params.n_threads = threads;
    params.n_threads_batch = threads;
    context = llama_init_from_model(model, params);
    if (context == nullptr) std::exit(1);
  }

  void read(const std::vector<llama_token>& window) const {
    llama_memory_clear(llama_get_memory(context), true);
    llama_batch batch = llama_batch_init(static_cast<int>(window.size()), 0, 1);
    batch.n_tokens = static_cast<int>(window.size());
    for (std::size_t i = 0; i < window.size(); ++i) {
      batch.token[i] = window[i];
      batch.pos[i] = static_cast<llama_pos>(i);
      batch.n_seq_id[i] = 1;
      batch.seq_id[i][0] = 0;
      batch.logits[i] = i >= window.size() / 2 ? 1 : 0;
    }
    if (llama_decode(context, batch) != 0) std::exit(1);
    llama_batch_free(batch);
  }
};

double log_sum(const float* logits, int n) {
  const double largest = *std::max_element(logits, logits + n);
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += std::exp(static_cast<double>(logits[i]) - largest);
  return largest + std::log(sum);
}

void write_position(std::FILE* out, std::size_t index, int token, const float* logits, const float* base, int n) {
  const double sum = log_sum(logits, n);
  const double base_sum = log_sum(base, n);
  double divergence = 0;
  for (int i = 0; i < n; ++i) {
    const double base_log = base[i] - base_sum;
    divergence += std::exp(base_log) * (base_log - (logits[i] - sum));
  }
  const long top = std::max_element(logits, logits + n) - logits;
  const long base_top = std::max_element(base, base + n) - base;
  std::fprintf(out, "%zu\t%d\t%ld\t%.9g\t%.9g\t%.9g\t%ld\n", index, token, top, logits[token] - sum,
               base[token] - base_sum, divergence, base_top);
}

std::vector<llama_token> tokenize(const llama_vocab* vocabulary, const std::string& text) {
  std::vector<llama_token> tokens(text.size() + 8);
  const int count = llama_tokenize(vocabulary, text.data(), static_cast<int>(text.size()), tokens.data(),
                                   static_cast<int>(tokens.size()), false, false);
  if (count < 0) std::exit(1);
  tokens.resize(static_cast<std::size_t>(count));
  return tokens;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 8) return 2;
  llama_log_set(
      [](ggml_log_level level, const char* text, void*) {
        if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
      },
      nullptr);
  const auto window = static_cast<std::size_t>(std::atoi(argv[5]));
  const Runner model(argv[1], std::atoi(argv[5]), std::atoi(argv[7]));
  const Runner base(argv[2], std::atoi(argv[5]), std::atoi(argv[7]));
  const llama_vocab* vocabulary = llama_model_get_vocab(model.model);
  const int n = llama_vocab_n_tokens(vocabulary);

  std::ifstream file(argv[3], std::ios::binary);
  const std::vector<llama_token> tokens =
      tokenize(vocabulary, {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
  const std::size_t windows =
      std::min<std::size_t>(tokens.size() / window, static_cast<std::size_t>(std::atoi(argv[6])));
  std::FILE* out = std::fopen(argv[4], "w");
  if (out == nullptr) return 1;
  std::fputs("index\ttoken\ttop\tlog_probability\tbase_log_probability\tdivergence\tbase_top\n", out);
  for (std::size_t w = 0; w < windows; ++w) {
    const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(w * window);
    std::vector<llama_token> part(begin, begin + static_cast<std::ptrdiff_t>(window));
    if (llama_vocab_get_add_bos(vocabulary)) part.front() = llama_vocab_bos(vocabulary);
    model.read(part);
    base.read(part);
    for (std::size_t at = window / 2; at + 1 < window; ++at) {
      write_position(out, w * window + at + 1, part[at + 1], llama_get_logits_ith(model.context, static_cast<int>(at)),
                     llama_get_logits_ith(base.context, static_cast<int>(at)), n);
    }
    std::fprintf(stderr, "\rllama.cpp: window %zu of %zu", w + 1, windows);
  }
  std::fputs("\n", stderr);
  return std::fclose(out) == 0 ? 0 : 1;
}
