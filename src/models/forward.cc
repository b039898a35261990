// SPDX-License-Identifier: Apache-2.0
//
// The forward pass, from tokens to logits. The rows of all sequences of a batch go through the layers together, in
// chunks of at most kStepRows rows; only rows of which something is asked go through the end of the last layer, and
// only those whose logits are asked for through the output matrix.
#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "models/parts.h"

namespace plait::models {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

std::size_t logit_rows(const Rows& rows) {
  switch (rows.logits) {
    case Logits::none:
      return 0;
    case Logits::last:
      return rows.tokens.empty() ? 0 : 1;
    case Logits::all:
      return rows.tokens.size() - std::min(rows.logits_first, rows.tokens.size());
  }
  return 0;
}

Result<void> check_batch(const Model& model, std::span<const Rows> batch, std::size_t logits_size) {
  std::size_t asked = 0;
  for (const Rows& rows : batch) {
    PLAIT_CHECK(!rows.view.empty());
    const ViewEntry& own = rows.view.back();
    const std::ptrdiff_t length = own.base + static_cast<std::ptrdiff_t>(own.last + rows.tokens.size());
    if (length > static_cast<std::ptrdiff_t>(model.context())) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{} tokens are beyond the context of {}", length, model.context()));
    }
    for (const base::TokenId token : rows.tokens) {
      if (token.value() < 0 || static_cast<std::size_t>(token.value()) >= model.vocabulary()) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("token {} is outside the vocabulary of {}", token.value(), model.vocabulary()));
      }
    }
    const std::size_t width = model.width();
    PLAIT_CHECK(rows.hidden.size() % width == 0 && rows.hidden.size() / width <= rows.tokens.size(), rows.hidden.size(),
                rows.tokens.size());
    asked += logit_rows(rows);
  }
  PLAIT_CHECK(asked * model.vocabulary() == logits_size, asked, logits_size);
  return {};
}

/// Moves the asked rows to the front of x, [rows, width].
void keep_asked(std::span<const AskedRow> asked, std::size_t width, float* x) {
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (asked[i].row != i) std::copy_n(x + asked[i].row * width, width, x + i * width);
  }
}

/// The hidden states of the asked rows go to who wants them; the stream keeps those rows whose logits are asked for.
void give_hidden(const Model::Parts& model, Workspace::Buffers& buffers) {
  const std::size_t width = model.config.width;
  float* stream = buffers.stream.data();
  float* normed = buffers.branch.data();
  buffers.operations->normalise(stream, model.weights.output_norm, buffers.asked.size(), normed);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < buffers.asked.size(); ++i) {
    const AskedRow& asked = buffers.asked[i];
    if (asked.hidden != nullptr) std::copy_n(normed + i * width, width, asked.hidden);
    if (!asked.logits) continue;
    if (kept != i) std::copy_n(stream + i * width, width, stream + kept * width);
    ++kept;
  }
}

/// One chunk through all layers, and what is asked of its rows.
void run_chunk(const Model::Parts& model, Workspace::Buffers& buffers, float* logits) {
  const Config& config = model.config;
  Operations& operations = *buffers.operations;
  std::size_t rows = buffers.tokens.size();
  float* stream = buffers.stream.data();
  float* branch = buffers.branch.data();
  float* attended = buffers.attended.data();

  operations.begin(buffers.segments, rows);
  operations.embed(buffers.tokens, stream);
  for (std::size_t index = 0; index < config.layers; ++index) {
    const Layer& layer = model.weights.layers[index];
    operations.project(layer.query_key_value, stream, layer.attention_norm, rows, buffers.qkv.data());
    if (index + 1 == config.layers && buffers.asked.empty()) {  // nothing reads the rest
      return operations.store(index, buffers.qkv.data());
    }
    operations.attend(index, buffers.qkv.data(), attended);
    if (index + 1 == config.layers) {  // all keys and values are stored: only asked rows go on
      rows = buffers.asked.size();
      keep_asked(buffers.asked, config.heads * config.head_dim, attended);
      keep_asked(buffers.asked, config.width, stream);
    }
    operations.project(layer.attention_output, attended, {}, rows, branch);
    operations.add(branch, layer.attention_post_norm, rows, stream);

    if (layer.experts) {
      operations.mix(*layer.experts, stream, layer.ffn_norm, rows, branch);
    } else {
      operations.feed_forward(layer.gate_up, layer.down, stream, layer.ffn_norm, rows, branch);
    }
    operations.add(branch, layer.ffn_post_norm, rows, stream);
  }
  const bool hidden = std::ranges::any_of(buffers.asked, [](const AskedRow& row) { return row.hidden != nullptr; });
  if (hidden) give_hidden(model, buffers);
  if (buffers.logit_rows == 0) return;
  operations.project(model.weights.output, stream, model.weights.output_norm, buffers.logit_rows, logits);
  operations.cap_logits(buffers.logit_rows, logits);
}

/// Collects rows into chunks and runs them as they fill up.
class Batcher {
 public:
  Batcher(const Model::Parts& model, Workspace::Buffers& buffers, float* logits)
      : model_(model), buffers_(buffers), logits_(logits) {
    clear();
  }

  void add(const Rows& rows) {
    for (std::size_t done = 0; done < rows.tokens.size();) {
      const std::size_t here = std::min(kStepRows - buffers_.tokens.size(), rows.tokens.size() - done);
      const std::size_t first = buffers_.tokens.size();
      buffers_.segments.push_back({.view = rows.view, .row = first, .rows = here, .done = done});
      const auto tokens = rows.tokens.subspan(done, here);
      buffers_.tokens.insert(buffers_.tokens.end(), tokens.begin(), tokens.end());
      done += here;
      for (std::size_t i = 0; i < here; ++i) ask(rows, done - here + i, first + i);
      if (buffers_.tokens.size() == kStepRows) flush();
    }
  }

  void flush() {
    if (buffers_.tokens.empty()) return;
    std::size_t rows = buffers_.tokens.size();
    for (Segment& segment : buffers_.segments) {
      segment.turned_row = rows;
      rows += turned_entries(segment.view) * segment.rows;
    }
    buffers_.reserve_queries(model_.config, rows);
    run_chunk(model_, buffers_, logits_);
    logits_ += buffers_.logit_rows * model_.config.vocabulary;
    clear();
  }

 private:
  /// Notes what is wanted of token `index` of the rows, which is row `row` of the chunk.
  void ask(const Rows& rows, std::size_t index, std::size_t row) {
    const std::size_t count = rows.tokens.size();
    const std::size_t width = model_.config.width;
    AskedRow asked{.row = row};
    asked.logits = (rows.logits == Logits::all && index >= rows.logits_first) ||
                   (rows.logits == Logits::last && index + 1 == count);
    const std::size_t hidden_first = count - rows.hidden.size() / width;
    if (index >= hidden_first) asked.hidden = rows.hidden.data() + (index - hidden_first) * width;
    if (!asked.logits && asked.hidden == nullptr) return;
    buffers_.asked.push_back(asked);
    buffers_.logit_rows += asked.logits ? 1 : 0;
  }

  void clear() {
    buffers_.segments.clear();
    buffers_.tokens.clear();
    buffers_.asked.clear();
    buffers_.logit_rows = 0;
  }

  const Model::Parts& model_;
  Workspace::Buffers& buffers_;
  float* logits_;
};

}  // namespace

Result<void> Model::forward(std::span<const Rows> batch, Workspace& workspace, std::span<float> logits) const {
  PLAIT_TRY_VOID(check_batch(*this, batch, logits.size()));
  std::size_t total = 0;
  for (const Rows& rows : batch) total += rows.tokens.size();
  Workspace::Buffers& buffers = workspace.buffers();
  buffers.reserve(config(), std::min(total, kStepRows));
  Batcher batcher(parts(), buffers, logits.data());
  for (const Rows& rows : batch) batcher.add(rows);
  batcher.flush();
  return {};
}

Result<void> Model::forward(Sequence& sequence, std::span<const base::TokenId> tokens, Logits which,
                            Workspace& workspace, std::span<float> logits) const {
  const SequenceRows rows{&sequence, tokens, which};
  return forward(std::span(&rows, 1), workspace, logits);
}

Result<void> Model::forward(std::span<const SequenceRows> batch, Workspace& workspace, std::span<float> logits) const {
  Workspace::Buffers& buffers = workspace.buffers();
  buffers.views.clear();
  buffers.entries.resize(batch.size());
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const SequenceRows& rows = batch[i];
    const std::size_t room = context() - std::min(context(), rows.sequence->length());  // more is an error anyway
    buffers.entries[i] = rows.sequence->reserve(std::min(rows.tokens.size(), room));
    buffers.views.push_back({.tokens = rows.tokens, .view = {&buffers.entries[i], 1}, .logits = rows.logits});
  }
  PLAIT_TRY_VOID(forward(buffers.views, workspace, logits));
  for (const SequenceRows& rows : batch) rows.sequence->append(rows.tokens.size());
  return {};
}

void Workspace::Buffers::reserve(const Config& config, std::size_t rows) {
  const auto grow = [&](os::HugeVector<float>& buffer, std::size_t width) {
    if (buffer.size() < rows * width) buffer.resize(rows * width);
  };
  const std::size_t query = config.heads * config.head_dim;
  grow(stream, config.width);
  grow(branch, config.width);
  grow(attended, query);
}

void Workspace::Buffers::reserve_queries(const Config& config, std::size_t rows) {
  const std::size_t size = rows * (config.heads + 2 * config.kv_heads) * config.head_dim;
  if (qkv.size() < size) qkv.resize(size);
}

}  // namespace plait::models
