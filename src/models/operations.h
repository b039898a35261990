// SPDX-License-Identifier: Apache-2.0
//
// The steps that a forward pass is made of. forward.cc tells the order; each arithmetic is one implementation.
// Batches are [row, ...] arrays of floats with `rows` rows; all steps of one batch are called by one thread, which may
// use the team. A row's result depends on no other row of the batch, except through the tokens that it sees.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/id.h"
#include "kernels/attention.h"
#include "models/kv_layout.h"
#include "models/model.h"
#include "models/step_clock.h"
#include "models/weights.h"
#include "parallel/team.h"

namespace plait::models {

/// Consecutive rows of a batch that append to one span.
struct Segment {
  std::span<const ViewEntry> view = {};
  std::size_t row = 0;  ///< First row in the batch.
  std::size_t rows = 0;
  std::size_t done = 0;  ///< Rows of the same view that were computed before: the first row is its token last + done.
  /// Rows behind those of the batch where queries are rotated for entries whose base is not the last one's: entry e of
  /// those has the next `rows` rows after the ones of the entries before it.
  std::size_t turned_row = 0;

  /// Number of the first row's token in its own span: what its key is rotated by.
  [[nodiscard]] std::size_t index() const { return view.back().last + done; }
  /// Of the first row's query.
  [[nodiscard]] std::ptrdiff_t position() const { return view.back().base + static_cast<std::ptrdiff_t>(index()); }
};

/// How many entries of a view need queries of their own.
[[nodiscard]] inline std::size_t turned_entries(std::span<const ViewEntry> view) {
  std::size_t count = 0;
  for (const ViewEntry& entry : view) count += entry.base != view.back().base ? 1 : 0;
  return count;
}

class Operations {
 public:
  virtual ~Operations() = default;

  /// From now on `clock` (or nobody, when null) is told where the time goes; by the production path only.
  virtual void measure(StepClock* /*clock*/) {}
  /// Tells what the next steps are about: `rows` rows in these segments.
  virtual void begin(std::span<const Segment> segments, std::size_t rows) = 0;
  /// x = embedding rows, scaled. x: [rows, width]
  virtual void embed(std::span<const base::TokenId> tokens, float* x) = 0;
  /// y = W n(x) + bias, n the RMS norm with weights `norm`, or nothing if `norm` is empty. x: [rows, inputs], y: [rows,
  /// outputs]
  virtual void project(const Linear& linear, const float* x, std::span<const float> norm, std::size_t rows,
                       float* y) = 0;
  /// Norms and rotates queries and keys in place and puts keys and values into their pages. qkv: [rows, (heads + 2
  /// kv_heads) * dim], and room for the turned rows of the segments.
  virtual void store(std::size_t layer, float* qkv) = 0;
  /// store(), then attention of every row over what it sees. out: [rows, heads * dim]
  virtual void attend(std::size_t layer, float* qkv, float* out) = 0;
  /// y = D (activation(g) * u) + bias, g and u the first and the second half of the outputs of `gate_up` for n(x); n as
  /// in project(), D the weights of `down`. x: [rows, inputs], y: [rows, outputs of down]
  virtual void feed_forward(const Linear& gate_up, const Linear& down, const float* x, std::span<const float> norm,
                            std::size_t rows, float* y) = 0;
  /// y = the weighted sum of what each row's experts make of n(x), in the order of their weights, then the shared
  /// expert's share, if there is one; n as in project(). Both [rows, width].
  virtual void mix(const Experts& experts, const float* x, std::span<const float> norm, std::size_t rows, float* y) = 0;
  /// x += n(y), n as in project(). Both [rows, width]. May be put off until project(), feed_forward(), mix() or
  /// normalise() reads x: nothing else may touch x and y until then.
  virtual void add(const float* y, std::span<const float> norm, std::size_t rows, float* x) = 0;
  /// y = n(x), n as in project(). Both [rows, width]; y may be what was last added to x.
  virtual void normalise(const float* x, std::span<const float> norm, std::size_t rows, float* y) = 0;
  /// Soft cap of logits, if the model has one. [rows, vocabulary]
  virtual void cap_logits(std::size_t rows, float* logits) = 0;
};

[[nodiscard]] std::unique_ptr<Operations> make_reference_operations(const Config& config, const KvLayout& layout,
                                                                    const Weights& weights, parallel::Team& team);
[[nodiscard]] std::unique_ptr<Operations> make_exact_operations(const Config& config, const KvLayout& layout,
                                                                const Weights& weights, kernels::Isa isa,
                                                                kernels::AttentionArithmetic attention,
                                                                parallel::Team& team);

}  // namespace plait::models
