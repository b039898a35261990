// SPDX-License-Identifier: Apache-2.0
#include "models/model.h"

#include <fmt/format.h>

#include <utility>

#include "models/parts.h"
#include "os/memory.h"

namespace plait::models {
namespace {

using base::Bytes;
using base::ErrorCode;
using base::fail;
using base::Result;

/// Weights once, and a little for tokenizer tables and scratch. The reference path reads the file's own pages.
Result<void> check_memory(const GgufFile& file, const LoadOptions& options) {
  Bytes needed = file.file_bytes() + file.file_bytes() / 8;
  for (const TensorInfo& tensor : file.tensors()) {
    if (options.weights == kernels::Weights::f32) needed += tensor.elements() * sizeof(float);
    if (options.weights == kernels::Weights::bf16) needed += tensor.elements() * sizeof(tensor::bf16);
    if (options.weights == kernels::Weights::int8) needed += tensor.elements() + tensor.elements() / 32;
  }
  const Bytes available = options.memory ? *options.memory : os::memory_info().available;
  if (available == 0 && !options.memory) return {};  // the system tells nothing
  if (needed <= available) return {};
  return fail(ErrorCode::out_of_resources,
              fmt::format("the model needs about {} of memory and {} is available; choose a smaller model",
                          base::human_bytes(needed), base::human_bytes(available)));
}

}  // namespace

Result<std::unique_ptr<Model>> Model::load(const std::filesystem::path& path, const LoadOptions& options,
                                           parallel::Team& team) {
  PLAIT_TRY(GgufFile file, GgufFile::open(path));
  return load(std::move(file), options, team);
}

Result<std::unique_ptr<Model>> Model::load(GgufFile file, const LoadOptions& options, parallel::Team& team) {
  PLAIT_TRY(Config config, read_config(file));
  PLAIT_TRY(Weights weights, find_weights(file, config));
  if (options.arithmetic == Arithmetic::reference && options.weights != kernels::Weights::exact &&
      options.weights != kernels::Weights::f32) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the reference arithmetic reads weights as the file has them, not as {}",
                            kernels::name(options.weights)));
  }
  if (options.arithmetic == Arithmetic::reference && options.attention != kernels::AttentionArithmetic::exact) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the reference arithmetic computes attention in floats, not in {}",
                            kernels::name(options.attention)));
  }
  PLAIT_TRY_VOID(check_memory(file, options));
  if (options.arithmetic == Arithmetic::exact) {
    PLAIT_TRY_VOID(pack_weights(file, weights, options.weights, team));
  } else if (options.weights == kernels::Weights::f32) {
    PLAIT_TRY_VOID(pack_weights(file, weights, kernels::Weights::f32, team));
  }
  const std::size_t context = options.context == 0 ? config.context : options.context;
  const kernels::Isa isa = options.isa ? *options.isa : kernels::best_isa();
  auto parts = std::make_unique<Parts>(
      Parts{std::move(file), std::move(config), std::move(weights), options.arithmetic, options.weights, isa, context});
  parts->attention = options.attention;
  if (options.arithmetic == Arithmetic::reference) {
    parts->kv_layout.emplace(parts->config, sizeof(float));
  } else {
    parts->kv_layout.emplace(parts->config, options.attention);
  }
  return std::unique_ptr<Model>(new Model(std::move(parts)));
}

Model::Model(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Model::~Model() = default;

const Config& Model::config() const { return parts_->config; }
const GgufFile& Model::file() const { return parts_->file; }
Arithmetic Model::arithmetic() const { return parts_->arithmetic; }
kernels::Weights Model::weights() const { return parts_->weights_form; }
kernels::AttentionArithmetic Model::attention() const { return parts_->attention; }
kernels::Isa Model::isa() const { return parts_->isa; }
std::size_t Model::vocabulary() const { return parts_->config.vocabulary; }
std::size_t Model::width() const { return parts_->config.width; }
std::size_t Model::context() const { return parts_->context; }
const KvLayout& Model::kv_layout() const { return *parts_->kv_layout; }
Bytes Model::weight_bytes() const { return parts_->weights.packed_bytes(); }
Bytes Model::bytes_per_step() const { return parts_->weights.bytes_per_step(); }
double Model::operations_per_token() const { return parts_->weights.operations_per_token(); }
double Model::operations_per_logits() const {
  return 2 * static_cast<double>(parts_->config.vocabulary) * static_cast<double>(parts_->config.width);
}

Workspace::Workspace(const Model& model, parallel::Team& team) : buffers_(std::make_unique<Buffers>()) {
  const Model::Parts& parts = model.parts();
  buffers_->operations =
      model.arithmetic() == Arithmetic::reference
          ? make_reference_operations(parts.config, *parts.kv_layout, parts.weights, team)
          : make_exact_operations(parts.config, *parts.kv_layout, parts.weights, parts.isa, parts.attention, team);
}
void Workspace::measure(StepClock* clock) { buffers_->operations->measure(clock); }
Workspace::Workspace(Workspace&&) noexcept = default;
Workspace& Workspace::operator=(Workspace&&) noexcept = default;
Workspace::~Workspace() = default;

}  // namespace plait::models
