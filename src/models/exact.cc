// SPDX-License-Identifier: Apache-2.0
//
// The production path: every step through the kernels, whose results depend neither on the instruction set nor on how
// rows are grouped or shared out. Rows are dealt to the team's members in contiguous ranges; a single row's small steps
// stay on the caller, where they cost less than a region of the team.
#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <vector>

#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "kernels/gated_product.h"
#include "kernels/logits.h"
#include "kernels/rope.h"
#include "models/operations.h"
#include "models/routing.h"
#include "tensor/dequantise.h"

namespace plait::models {
namespace {

/// Numbers from which a region of the team (1 to 2 µs) costs less than it saves: of simple steps, at some 0.1 ns each.
constexpr std::size_t kParallelNumbers = 16'384;
/// The same of what comes between products, at some 0.4 ns each.
constexpr std::size_t kParallelRowNumbers = 8192;
/// Rows, of steps that touch several places of memory.
constexpr std::size_t kParallelRows = 4;
/// Rows of a block share cache lines once they are quantised, so members get whole blocks where there are enough, and
/// never less than this.
constexpr std::size_t kRowGranule = 4;
/// Inputs of a share of quantising without a norm: whole groups of all forms of rows.
constexpr std::size_t kInputGranule = 128;

/// Cosines and sines of one kind of rotation for the rows of the current batch.
struct RotationTable {
  kernels::RopeTable rope;
  std::vector<float> cosines = {};  ///< [rows and turned rows, pairs]
  std::vector<float> sines = {};
};

/// What a product reads: n(x + n'(y)), n and n' norms with weights, or nothing if these are empty.
struct Input {
  const float* x = nullptr;  ///< [rows, width]
  std::span<const float> norm = {};
  std::size_t width = 0;
  float* sum = nullptr;  ///< x, where it is to be replaced by x + n'(y); else null.
  const float* added = nullptr;
  std::span<const float> added_norm = {};
};

class ExactOperations final : public Operations {
 public:
  ExactOperations(const Config& config, const KvLayout& layout, const Weights& weights, kernels::Isa isa,
                  kernels::AttentionArithmetic attention, parallel::Team& team)
      : config_(config),
        layout_(layout),
        weights_(weights),
        isa_(isa),
        arithmetic_(attention),
        team_(team),
        tables_{RotationTable{kernels::RopeTable(config.rope)}, RotationTable{kernels::RopeTable(config.rope_window)}} {
  }

  void measure(StepClock* clock) override { clock_ = clock; }

  void begin(std::span<const Segment> segments, std::size_t rows) override {
    if (clock_ != nullptr) clock_->start();
    segments_ = segments;
    rows_ = rows;
    put_off_ = {};
    segment_of_row_.clear();
    own_spans_ = true;
    for (const Segment& segment : segments) {
      segment_of_row_.insert(segment_of_row_.end(), segment.rows, &segment);
      own_spans_ = own_spans_ && segment.view.size() == 1;
    }
    for (RotationTable& table : tables_) fill(table);
    for (std::size_t group = 0; group < kLayerGroups; ++group) plan(group);
    lap(StepPart::rotate_store);
  }

  void embed(std::span<const base::TokenId> tokens, float* x) override {
    const tensor::MatrixView& matrix = weights_.embedding;
    const std::size_t bytes = tensor::row_bytes(matrix.type, matrix.columns);
    for_rows(tokens.size(), 8 * config_.width, [&](std::size_t row) {
      const std::span<float> out(x + row * config_.width, config_.width);
      const auto token = static_cast<std::size_t>(tokens[row].value());
      if (weights_.tied) {
        weights_.output.packed->dequantise_row(token, out);
      } else {
        tensor::dequantise(matrix.type, matrix.bytes.subspan(token * bytes, bytes), out);
      }
      if (config_.embedding_scale != 1)
        kernels::scale(isa_, out.data(), config_.embedding_scale, out.size(), out.data());
    });
    lap(StepPart::embedding);
  }

  void project(const Linear& linear, const float* x, std::span<const float> norm, std::size_t rows, float* y) override {
    const Input input = input_of(x, norm, linear.inputs);
    make_room(input, rows, linear.packed->row_form());
    run_on_rows(input, rows,
                kernels::Product(isa_, *linear.packed, quantised_, y, linear.outputs, linear.bias, members()));
    lap(&linear == &weights_.output ? StepPart::logits : StepPart::product);
  }

  void feed_forward(const Linear& gate_up, const Linear& down, const float* x, std::span<const float> norm,
                    std::size_t rows, float* y) override {
    const Input input = input_of(x, norm, gate_up.inputs);
    make_room(input, rows, gate_up.packed->row_form());
    kernels::GatedProduct gated(isa_, *gate_up.packed, quantised_, gate_up.bias, gate_function(),
                                down.packed->row_form(), gated_rows_, gated_, gate_scratch_, members());
    double activation = 0;
    if (clock_ != nullptr) gated.measure(&activation);
    const kernels::Product product(isa_, *down.packed, gated_rows_, y, down.outputs, down.bias, members());
    run_on_rows(input, rows, gated, product);
    lap(StepPart::product);
    if (clock_ != nullptr) clock_->move(StepPart::product, StepPart::activation, activation);
  }

  void store(std::size_t layer, float* qkv) override {
    for_segment_rows([&](const Segment& segment, std::size_t first, std::size_t last) {
      for (std::size_t head = 0; head < config_.kv_heads; ++head) store_head(layer, qkv, segment, first, last, head);
    });
    lap(StepPart::rotate_store);
  }

  /// Where each piece of the attention sees no other's new tokens, whoever computes it stores them: they stay in that
  /// core's caches, and nobody waits.
  void attend(std::size_t layer, float* qkv, float* out) override {
    const std::size_t group = layout_.group_of(layer);
    std::atomic<double> stored = 0;  // seconds of all members; relaxed: a statistic
    const auto store_piece = [&](std::size_t row, std::size_t rows, std::size_t head) {
      StepClock::Stopwatch watch(clock_);
      store_head(layer, qkv, *segment_of_row_[row], row, row + rows, head);
      if (clock_ != nullptr) stored.fetch_add(watch.seconds(), std::memory_order_relaxed);
    };
    kernels::BeforeAttention before;
    if (own_spans_ && plans_[group].whole_views()) {
      before = {[](const void* context, std::size_t row, std::size_t rows, std::size_t head) {
                  (*static_cast<decltype(&store_piece)>(context))(row, rows, head);
                },
                &store_piece};
    } else {
      store(layer, qkv);
    }
    kernels::attention(isa_, attention_shape(layer), plans_[group], layout_.offset_of(layer), qkv, qkv_width(), out,
                       config_.heads * config_.head_dim, team_, attention_, before);
    lap(StepPart::attention);
    if (clock_ != nullptr) clock_->move(StepPart::attention, StepPart::rotate_store, stored / members());
  }

  void mix(const Experts& experts, const float* x, std::span<const float> norm, std::size_t rows, float* y) override {
    const std::size_t width = config_.width;
    const float* normed = normalised(input_of(x, norm, width), rows);
    choose(experts.router, normed, rows);
    const std::size_t places = routing_.places();
    grow(gathered_, places * width);
    grow(gate_up_, places * 2 * config_.ffn);
    grow(gated_, places * config_.ffn);
    for_rows(places, width, [&](std::size_t place) {
      std::copy_n(normed + routing_.row_of(place) * width, width, gathered_.data() + place * width);
    });
    project_places(experts.gate_up, gathered_.data(), gate_up_.data());
    for_rows(places, 4 * config_.ffn, [&](std::size_t place) {
      const float* gates = gate_up_.data() + place * 2 * config_.ffn;
      gate_function()(isa_, gates, gates + config_.ffn, config_.ffn, gated_.data() + place * config_.ffn);
    });
    lap(StepPart::activation);
    project_places(experts.down, gated_.data(), gathered_.data());
    for_rows(rows, config_.mixture.used * width, [&](std::size_t row) {
      float* sum = y + row * width;
      std::fill_n(sum, width, 0.0F);
      for (const Routing::Choice& choice : routing_.row(row)) {
        add_weighted(gathered_.data() + choice.place * width, choice.weight, sum);
      }
    });
    lap(StepPart::rows);
    if (config_.mixture.shared_ffn != 0) add_shared(experts, normed, rows, y);
  }

  void add(const float* y, std::span<const float> norm, std::size_t /*rows*/, float* x) override {
    put_off_ = {.x = x, .sum = x, .added = y, .added_norm = norm};
  }

  void normalise(const float* x, std::span<const float> norm, std::size_t rows, float* y) override {
    const float* normed = normalised(input_of(x, norm, config_.width), rows);
    std::copy_n(normed, rows * config_.width, y);
    lap(StepPart::rows);
  }

  void cap_logits(std::size_t rows, float* logits) override {
    if (config_.logit_soft_cap == 0) return;
    for_rows(rows, 8 * config_.vocabulary, [&](std::size_t row) {
      float* values = logits + row * config_.vocabulary;
      kernels::soft_cap(isa_, values, config_.logit_soft_cap, config_.vocabulary, values);
    });
    lap(StepPart::logits);
  }

 private:
  [[nodiscard]] int members() const { return team_.size(); }

  [[nodiscard]] kernels::GateFunction gate_function() const {
    switch (config_.activation) {
      case Activation::gelu:
        return kernels::gelu_mul;
      case Activation::clamped_swiglu:
        return kernels::clamped_swiglu;
      case Activation::silu:
        break;
    }
    return kernels::silu_mul;
  }

  /// What a step reads, together with the addition to it that was put off and is now the reader's.
  Input input_of(const float* x, std::span<const float> norm, std::size_t width) {
    Input input{.x = x, .norm = norm, .width = width};
    if (put_off_.x == x) {
      input.sum = put_off_.sum;
      input.added = put_off_.added;
      input.added_norm = put_off_.added_norm;
      put_off_ = {};
    }
    return input;
  }

  /// Row `row` of x with what is added to it, and n(x) of that in normed_.
  void make_row(const Input& input, std::size_t row) {
    const std::size_t at = row * input.width;
    if (input.added != nullptr) {
      const float* added = input.added + at;
      if (!input.added_norm.empty()) {
        norm_row(added, input.added_norm, normed_.data() + at);
        added = normed_.data() + at;
      }
      kernels::add(isa_, input.sum + at, added, input.width, input.sum + at);
    }
    if (!input.norm.empty()) norm_row(input.x + at, input.norm, normed_.data() + at);
  }

  void norm_row(const float* x, std::span<const float> norm, float* out) const {
    kernels::rms_norm(isa_, x, norm.data(), config_.norm_epsilon, norm.size(), out);
  }

  /// n(x) of the input, [rows, width].
  const float* normalised(const Input& input, std::size_t rows) {
    grow(normed_, rows * input.width);
    for_rows(rows, 2 * input.width, [&](std::size_t row) { make_row(input, row); });
    lap(StepPart::rows);
    return normed_.data();
  }

  /// Sizes and form of quantised_, for the rows of an input.
  void make_room(const Input& input, std::size_t rows, kernels::RowForm form) {
    grow(normed_, input.norm.empty() && input.added_norm.empty() ? 0 : rows * input.width);
    quantised_.resize(rows, input.width, form);
    quantised_.set_source(input.norm.empty() ? input.x : normed_.data(), input.width);
  }

  /// Rows [begin, end) of the input into quantised_; block by block, so that they stay in the level-1 cache.
  void make_rows(const Input& input, parallel::Range rows) {
    const float* source = quantised_.view().x;
    while (rows.begin < rows.end) {
      const std::size_t end = std::min(rows.end, (rows.begin / kernels::kRowBlock + 1) * kernels::kRowBlock);
      for (std::size_t row = rows.begin; row < end; ++row) make_row(input, row);
      kernels::quantise_part(isa_, source + rows.begin * input.width, input.width, {rows.begin, end}, {0, input.width},
                             quantised_);
      rows.begin = end;
    }
  }

  /// A member's share of making the rows. Where there is nothing to do but to quantise, it is one of their inputs.
  void make_share(const Input& input, std::size_t rows, int member) {
    if (!input.norm.empty() || input.added != nullptr) {
      return make_rows(input, parallel::part(rows, member, members(), kRowGranule));
    }
    const parallel::Range inputs = parallel::part(input.width, member, members(), kInputGranule);
    if (inputs.begin == inputs.end) return;
    kernels::quantise_part(isa_, input.x + inputs.begin, input.width, {0, rows}, inputs, quantised_);
  }

  /// Makes the rows of the input, then runs the products one after the other; what is little, the caller does alone.
  template <class Product, class... Next>
  void run_on_rows(const Input& input, std::size_t rows, const Product& product, const Next&... next) {
    const bool floats = quantised_.view().form == kernels::RowForm::floats;
    const bool nothing = floats && input.norm.empty() && input.added == nullptr;
    if (nothing || rows * input.width < kParallelRowNumbers || members() == 1) {
      if (!nothing) make_rows(input, {0, rows});
      lap(StepPart::rows);
      return team_.run_in_turn(product, next...);
    }
    const auto timed = [&](int member) {
      if (member == 0) lap(StepPart::rows);
      product(member);
    };
    team_.run_in_turn([&](int member) { make_share(input, rows, member); }, timed, next...);
  }

  /// The experts of each row, x being the router's input, into routing_.
  void choose(const Linear& router, const float* x, std::size_t rows) {
    const std::size_t experts = config_.mixture.experts;
    grow(scores_, rows * experts);
    project(router, x, {}, rows, scores_.data());
    routing_.resize(rows, config_.mixture.used);
    for (std::size_t row = 0; row < rows; ++row) {
      choose_row(std::span(scores_).subspan(row * experts, experts), routing_.row(row));
    }
    routing_.order(experts);
    lap(StepPart::activation);
  }

  /// Overwrites the scores.
  void choose_row(std::span<float> scores, std::span<Routing::Choice> choices) {
    const std::span<const kernels::Candidate> best = top_.select(isa_, scores, choices.size());
    const bool numbers = best.size() == choices.size();  // else so many are NaN that the row is lost
    for (std::size_t i = 0; i < choices.size(); ++i) {
      choices[i].expert = numbers ? best[i].index : i;
      choices[i].weight = numbers ? best[i].logit : std::numeric_limits<float>::quiet_NaN();
    }
    if (!numbers) return;
    if (config_.mixture.normalised) {
      for (std::size_t i = 0; i < choices.size(); ++i) scores[i] = choices[i].weight;
      kernels::softmax(isa_, scores.data(), choices.size(), scores.data());
      for (std::size_t i = 0; i < choices.size(); ++i) choices[i].weight = scores[i];
    } else {
      kernels::softmax(isa_, scores.data(), scores.size(), scores.data());
      for (Routing::Choice& choice : choices) choice.weight = scores[choice.expert];
    }
  }

  /// y = W x + bias, each place with its expert's.
  void project_places(std::span<const Linear> linears, const float* x, float* y) {
    groups_.clear();
    for (const Routing::Group& group : routing_.groups()) {
      groups_.push_back({&*linears[group.expert].packed, group.first, group.count});
    }
    const std::size_t outputs = linears.front().outputs;
    kernels::matmul_grouped(isa_, groups_, x, linears.front().inputs, y, outputs, grouped_, team_);
    lap(StepPart::product);
    if (linears.front().bias.empty()) return;
    for_rows(routing_.places(), outputs, [&](std::size_t place) {
      float* row = y + place * outputs;
      kernels::add(isa_, row, linears[routing_.expert_of(place)].bias.data(), outputs, row);
    });
    lap(StepPart::rows);
  }

  /// sum += weight * values, both [width]; overwrites the values.
  void add_weighted(float* values, float weight, float* sum) const {
    kernels::scale(isa_, values, weight, config_.width, values);
    kernels::add(isa_, sum, values, config_.width, sum);
  }

  /// y += sigmoid(gate) * the shared expert's outputs, x being its input.
  void add_shared(const Experts& experts, const float* x, std::size_t rows, float* y) {
    grow(gathered_, rows * config_.width);
    grow(scores_, rows);
    feed_forward(experts.shared_gate_up, experts.shared_down, x, {}, rows, gathered_.data());
    project(experts.shared_gate, x, {}, rows, scores_.data());
    for_rows(rows, config_.width, [&](std::size_t row) {
      float power = -scores_[row];
      kernels::exp(isa_, &power, 1, &power);
      add_weighted(gathered_.data() + row * config_.width, 1 / (1 + power), y + row * config_.width);
    });
    lap(StepPart::rows);
  }

  /// store() for rows [first, last) of a segment and one key-value head with its queries.
  void store_head(std::size_t layer, float* qkv, const Segment& segment, std::size_t first, std::size_t last,
                  std::size_t head) {
    const Layer& weights = weights_.layers[layer];
    const RotationTable& table = tables_[config_.layer_windowed[layer] ? 1 : 0];
    const std::size_t width = qkv_width();
    const std::size_t dim = config_.head_dim;
    const std::size_t queries = config_.heads / config_.kv_heads;
    const std::size_t query_at = head * queries * dim;
    const std::size_t key_at = (config_.heads + head) * dim;
    const std::size_t value_at = key_at + config_.kv_heads * dim;
    for (std::size_t row = first; row < last; ++row) {
      float* query = qkv + row * width + query_at;
      norm_heads(query, queries, weights.query_norm);
      for (std::size_t turned = segment.turned_row + row - segment.row; turned < turned_end(segment);
           turned += segment.rows) {
        std::copy_n(query, queries * dim, qkv + turned * width + query_at);
        rotate_heads(qkv + turned * width + query_at, queries, table, turned);
      }
      rotate_heads(query, queries, table, row);
      float* key = qkv + row * width + key_at;
      norm_heads(key, 1, weights.key_norm);
      rotate_heads(key, 1, table, row);
    }
    kernels::store_kv_head(isa_, attention_shape(layer), layout_.offset_of(layer),
                           segment.view.back().pages[layout_.group_of(layer)], segment.index() + first - segment.row,
                           last - first, head, qkv + first * width + key_at, width, qkv + first * width + value_at,
                           width);
  }

  [[nodiscard]] std::size_t qkv_width() const { return (config_.heads + 2 * config_.kv_heads) * config_.head_dim; }

  [[nodiscard]] kernels::AttentionShape attention_shape(std::size_t layer) const {
    const std::vector<float>& sinks = weights_.layers[layer].sinks;
    return {.heads = config_.heads,
            .kv_heads = config_.kv_heads,
            .dim = config_.head_dim,
            .scale = config_.attention_scale,
            .soft_cap = config_.attention_soft_cap,
            .window = config_.layer_windowed[layer] ? config_.window : 0,
            .arithmetic = arithmetic_,
            .sinks = sinks.empty() ? nullptr : sinks.data()};
  }

  void lap(StepPart part) {
    if (clock_ != nullptr) clock_->lap(part);
  }

  template <class Vector>
  static void grow(Vector& buffer, std::size_t size) {
    if (buffer.size() < size) buffer.resize(size);
  }

  /// f(row) for every row of `width` numbers, shared out among the team when there are many.
  template <class F>
  void for_rows(std::size_t rows, std::size_t width, F&& f) {
    if (rows * width < kParallelNumbers) {
      for (std::size_t row = 0; row < rows; ++row) f(row);
      return;
    }
    team_.run([&](int member) {
      const auto [begin, end] = parallel::part(rows, member, team_.size());
      for (std::size_t row = begin; row < end; ++row) f(row);
    });
  }

  /// f(segment, first, last) for runs of rows of one segment, together all rows of the batch.
  template <class F>
  void for_segment_rows(F&& f) {
    const auto run = [&](std::size_t begin, std::size_t end) {
      for (const Segment& segment : segments_) {
        const std::size_t first = std::max(begin, segment.row);
        const std::size_t last = std::min(end, segment.row + segment.rows);
        if (first < last) f(segment, first, last);
      }
    };
    if (rows_ < kParallelRows) {
      run(0, rows_);
      return;
    }
    team_.run([&](int member) {
      const auto [begin, end] = parallel::part(rows_, member, team_.size());
      run(begin, end);
    });
  }

  [[nodiscard]] static std::size_t turned_end(const Segment& segment) {
    return segment.turned_row + turned_entries(segment.view) * segment.rows;
  }

  /// Angles of every row and turned row. The token's number in its own span turns its key, and its query for all
  /// entries with the same base.
  void fill(RotationTable& table) {
    const std::size_t pairs = table.rope.pairs();
    const std::size_t rows = segments_.empty() ? rows_ : turned_end(segments_.back());
    grow(table.cosines, rows * pairs);
    grow(table.sines, rows * pairs);
    const auto fill_row = [&](std::size_t row, std::ptrdiff_t position) {
      table.rope.fill(position, table.cosines.data() + row * pairs, table.sines.data() + row * pairs);
    };
    for_segment_rows([&](const Segment& segment, std::size_t first, std::size_t last) {
      for (std::size_t row = first; row < last; ++row) {
        const auto offset = static_cast<std::ptrdiff_t>(row - segment.row);
        fill_row(row, static_cast<std::ptrdiff_t>(segment.index()) + offset);
        std::size_t turned = segment.turned_row + row - segment.row;
        for (const ViewEntry& entry : segment.view) {
          if (entry.base == segment.view.back().base) continue;
          fill_row(turned, segment.position() + offset - entry.base);
          turned += segment.rows;
        }
      }
    });
  }

  /// What the rows see in the layers of a group.
  void plan(std::size_t group) {
    if (layout_.page_bytes(group) == 0) return;
    entries_.clear();
    batch_.clear();
    for (const Segment& segment : segments_) {
      std::size_t turned = segment.turned_row;
      for (const ViewEntry& entry : segment.view) {
        const bool own = &entry == &segment.view.back();
        const bool turns = entry.base != segment.view.back().base;
        entries_.push_back({.pages = entry.pages[group],
                            .first = entry.first,
                            .last = own ? segment.index() + 1 : entry.last,
                            .grows = own,
                            .base = entry.base,
                            .query_row = turns ? turned : segment.row});
        if (turns) turned += segment.rows;
      }
    }
    const kernels::AttentionEntry* entry = entries_.data();
    for (const Segment& segment : segments_) {
      batch_.push_back({.rows = segment.rows, .position = segment.position(), .entries = {entry, segment.view.size()}});
      entry += segment.view.size();
    }
    kernels::AttentionShape shape = attention_shape(0);
    shape.window = layout_.window(group);
    plans_[group].prepare(shape, batch_, team_.size());
  }

  void norm_heads(float* heads, std::size_t count, std::span<const float> norm) const {
    if (norm.empty()) return;
    kernels::rms_norm_heads(isa_, heads, count, config_.head_dim, norm.data(), config_.norm_epsilon);
  }

  void rotate_heads(float* heads, std::size_t count, const RotationTable& table, std::size_t row) const {
    const std::size_t at = row * table.rope.pairs();
    const auto rotate = config_.rope_interleaved ? kernels::rope_norm : kernels::rope_neox;
    rotate(isa_, heads, count, config_.head_dim, config_.rotated, table.cosines.data() + at, table.sines.data() + at);
  }

  const Config& config_;
  const KvLayout& layout_;
  const Weights& weights_;
  kernels::Isa isa_;
  kernels::AttentionArithmetic arithmetic_;
  parallel::Team& team_;
  StepClock* clock_ = nullptr;
  std::array<RotationTable, 2> tables_;  ///< Layers that see everything, layers with a window.
  std::span<const Segment> segments_;
  std::size_t rows_ = 0;
  std::vector<const Segment*> segment_of_row_;  ///< [rows]
  bool own_spans_ = false;                      ///< Every row sees its own span only.
  Input put_off_ = {};                          ///< An addition that nobody has needed yet.
  os::HugeVector<float> normed_;
  Routing routing_;
  kernels::TopK top_;
  std::vector<kernels::RowGroup> groups_;
  std::vector<kernels::QuantisedRows> grouped_;
  std::vector<float> scores_;       ///< [rows, experts]
  os::HugeVector<float> gathered_;  ///< [places, width]
  os::HugeVector<float> gate_up_;   ///< [places, 2 * ffn]
  os::HugeVector<float> gated_;     ///< [places, ffn], or rows of a feed-forward layer where they stay floats.
  os::HugeVector<float> gate_scratch_;
  kernels::QuantisedRows quantised_;   ///< What products read,
  kernels::QuantisedRows gated_rows_;  ///< and the second ones of feed-forward layers.
  std::vector<kernels::AttentionEntry> entries_;
  std::vector<kernels::AttentionRows> batch_;
  std::array<kernels::AttentionPlan, kLayerGroups> plans_;
  kernels::AttentionWorkspace attention_;
};

}  // namespace

std::unique_ptr<Operations> make_exact_operations(const Config& config, const KvLayout& layout, const Weights& weights,
                                                  kernels::Isa isa, kernels::AttentionArithmetic attention,
                                                  parallel::Team& team) {
  return std::make_unique<ExactOperations>(config, layout, weights, isa, attention, team);
}

}  // namespace plait::models
