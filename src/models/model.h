// SPDX-License-Identifier: Apache-2.0
//
// A language model: weights that never change, and the forward pass.
//
//   PLAIT_TRY(auto model, Model::load(path, {}, team));
//   PLAIT_TRY(auto tokenizer, Tokenizer::load(model->file()));
//   Sequence sequence(*model);
//   Workspace workspace(*model, team);
//   std::vector<float> logits(model->vocabulary());
//   PLAIT_TRY_VOID(model->forward(sequence, prompt, Logits::last, workspace, logits));   // then token by token
//
// Same bits: logits depend only on the tokens of their own sequence, never on how the prompt was cut, who shares the
// batch, the number of threads or (with Arithmetic::exact and attention exact or int8) the instruction set.
//
// Threads: a Model may be used by many threads at once; a Sequence, a Workspace and a Team by one at a time.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "base/id.h"
#include "base/result.h"
#include "base/units.h"
#include "kernels/attention.h"
#include "kernels/isa.h"
#include "kernels/matmul.h"
#include "models/config.h"
#include "models/gguf.h"
#include "models/kv_layout.h"
#include "models/sequence.h"
#include "models/step_clock.h"
#include "parallel/team.h"

namespace plait::models {

/// How the linear layers and the cache compute.
enum class Arithmetic {
  exact,      ///< Activations in 8-bit groups of 32, keys and values in 16 or 8 bits: the production path.
  reference,  ///< Plain floats, weights expanded on the fly, keys and values in f32: the oracle; slow.
};

struct LoadOptions {
  Arithmetic arithmetic = Arithmetic::exact;
  /// How weights are held. `exact`: as in the file, which `reference` reads while it computes. `int8`, `bf16`:
  /// not for `reference`. `f32`: 4 bytes each, which makes `reference` many times faster on long texts.
  kernels::Weights weights = kernels::Weights::exact;
  /// What the cache holds and how attention computes; bf16 and int8 not for `reference`.
  kernels::AttentionArithmetic attention = kernels::AttentionArithmetic::exact;
  std::optional<kernels::Isa> isa = {};  ///< Instruction set of the kernels; nothing: the best that the machine has.
  std::size_t context = 0;  ///< Most tokens of a sequence; 0: what the model was made for. Larger is allowed.
  std::optional<base::Bytes> memory = {};  ///< What loading may use; nothing: what the machine has available.
};

/// Which rows of logits a forward pass writes.
enum class Logits {
  none,
  last,  ///< Of the last token.
  all,   ///< Of every token from Rows::logits_first on.
};

/// Tokens to compute in a forward pass, and what they see.
struct Rows {
  std::span<const base::TokenId> tokens = {};
  /// In the order of attention; the last entry is the span that the tokens become part of: they are its tokens last,
  /// last + 1, …, and each sees those up to itself. Its pages have room for them and are nobody else's from there on.
  /// The other entries may already count tokens that other rows of the same step append.
  std::span<const ViewEntry> view = {};
  Logits logits = Logits::last;
  std::size_t logits_first = 0;  ///< With Logits::all: the first of `tokens` that has a row of logits.
  /// [count, width]: where the final hidden states of the last `count` tokens go, as the output matrix sees them
  /// (behind the output norm). Whole rows, at most one for each token.
  std::span<float> hidden = {};
};

/// The same for a sequence that looks after its own memory.
struct SequenceRows {
  Sequence* sequence = nullptr;
  std::span<const base::TokenId> tokens = {};
  Logits logits = Logits::last;
};

/// Most rows that go through the layers at once: enough to reuse each weight well, few enough that the activations of a
/// layer stay in the second-level cache's reach.
inline constexpr std::size_t kStepRows = 512;

/// Scratch memory and threads of one caller. Grows to the widest batch it has seen (at most 512 rows at a time).
class Workspace {
 public:
  /// Both must outlive the workspace.
  Workspace(const Model& model, parallel::Team& team);
  Workspace(Workspace&&) noexcept;
  Workspace& operator=(Workspace&&) noexcept;
  ~Workspace();

  /// From now on `clock` adds up where the time of forward passes goes (production path only; some 0.1 % slower); null:
  /// no longer. Must outlive that.
  void measure(StepClock* clock);

  class Buffers;
  [[nodiscard]] Buffers& buffers() { return *buffers_; }  ///< For the forward pass.

 private:
  std::unique_ptr<Buffers> buffers_;
};

class Model {
 public:
  /// Opens the file, checks it against its metadata and prepares the weights, with the team's threads.
  /// Errors: those of GgufFile::open; unsupported (architecture, type or variant, by name); invalid_data (the key or
  /// tensor, by name); out_of_resources (with what is needed and what is available) before anything is loaded.
  [[nodiscard]] static base::Result<std::unique_ptr<Model>> load(const std::filesystem::path& path,
                                                                 const LoadOptions& options, parallel::Team& team);
  /// The same for a file that is open already.
  [[nodiscard]] static base::Result<std::unique_ptr<Model>> load(GgufFile file, const LoadOptions& options,
                                                                 parallel::Team& team);
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  ~Model();

  [[nodiscard]] const Config& config() const;
  [[nodiscard]] const GgufFile& file() const;  ///< For tokenizer, chat template and `model show`.
  [[nodiscard]] Arithmetic arithmetic() const;
  [[nodiscard]] kernels::Weights weights() const;
  [[nodiscard]] kernels::AttentionArithmetic attention() const;
  [[nodiscard]] kernels::Isa isa() const;
  [[nodiscard]] std::size_t vocabulary() const;     ///< Logits per row.
  [[nodiscard]] std::size_t width() const;          ///< Floats of a hidden state.
  [[nodiscard]] std::size_t context() const;        ///< Most tokens of a sequence.
  [[nodiscard]] const KvLayout& kv_layout() const;  ///< Of the pages that rows name.
  [[nodiscard]] base::Bytes weight_bytes() const;   ///< Memory of the prepared weights.
  /// Bytes of the weights that one step reads, as in the file or, made int8 or bf16, as in memory: every layer and the
  /// output matrix; one row of the embeddings.
  [[nodiscard]] base::Bytes bytes_per_step() const;
  /// Multiplications and additions of the linear layers per token, the output matrix included.
  [[nodiscard]] double operations_per_token() const;
  /// Of these, those of the output matrix.
  [[nodiscard]] double operations_per_logits() const;

  /// Computes keys and values of each entry's tokens and writes the asked rows of logits, [row, vocabulary], in order.
  /// At most kStepRows rows are one step, in which all keys and values of a layer are written before any row looks at
  /// them; more rows are computed one step after the other, and must not see each other's tokens.
  /// Requires: no two entries write the same tokens; logits.size() == number of asked rows * vocabulary().
  /// Errors: invalid_argument (a token outside the vocabulary; a position beyond the context, with both numbers); then
  /// nothing was written. Does not allocate once the workspace has grown to its size.
  [[nodiscard]] base::Result<void> forward(std::span<const Rows> batch, Workspace& workspace,
                                           std::span<float> logits) const;
  /// Appends the tokens to the sequences. Requires: no sequence occurs twice.
  [[nodiscard]] base::Result<void> forward(std::span<const SequenceRows> batch, Workspace& workspace,
                                           std::span<float> logits) const;
  /// The same for one sequence.
  [[nodiscard]] base::Result<void> forward(Sequence& sequence, std::span<const base::TokenId> tokens, Logits which,
                                           Workspace& workspace, std::span<float> logits) const;

  class Parts;
  [[nodiscard]] const Parts& parts() const { return *parts_; }  ///< For the forward pass.

 private:
  explicit Model(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace plait::models
