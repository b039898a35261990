// SPDX-License-Identifier: Apache-2.0
//
// What model.cc and forward.cc share and nobody else needs to see.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "models/model.h"
#include "models/operations.h"
#include "models/weights.h"
#include "os/page_buffer.h"

namespace plait::models {

class Model::Parts {
 public:
  GgufFile file;
  Config config;
  Weights weights;
  Arithmetic arithmetic = Arithmetic::exact;
  kernels::Weights weights_form = kernels::Weights::exact;
  kernels::Isa isa = kernels::Isa::generic;
  std::size_t context = 0;
  kernels::AttentionArithmetic attention = kernels::AttentionArithmetic::exact;
  std::optional<KvLayout> kv_layout = {};  ///< Always there after load().
};

/// A row of a chunk of which more is wanted than its keys and values.
struct AskedRow {
  std::size_t row = 0;
  bool logits = false;
  float* hidden = nullptr;  ///< [width], or null.
};

class Workspace::Buffers {
 public:
  std::unique_ptr<Operations> operations;
  std::vector<Segment> segments;
  std::vector<base::TokenId> tokens;  ///< [rows]
  std::vector<AskedRow> asked;        ///< Of the chunk, ascending.
  std::size_t logit_rows = 0;         ///< Of these, with logits.
  os::HugeVector<float> stream;       ///< [rows, width] the residual stream
  os::HugeVector<float> branch;       ///< [rows, width] what a block adds to it
  os::HugeVector<float> qkv;          ///< [rows and turned rows, (heads + 2 kv_heads) * dim]
  os::HugeVector<float> attended;     ///< [rows, heads * dim]

  std::vector<Rows> views;  ///< Of sequences.
  std::vector<ViewEntry> entries;

  /// Makes room for `rows` rows.
  void reserve(const Config& config, std::size_t rows);
  void reserve_queries(const Config& config, std::size_t rows);
};

}  // namespace plait::models
