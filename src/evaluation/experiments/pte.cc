// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/pte.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "engine/model_shape.h"
#include "evaluation/experiments/lab_model.h"
#include "evaluation/experiments/pte_fairness.h"
#include "evaluation/experiments/pte_figures.h"
#include "evaluation/experiments/pte_replay.h"
#include "evaluation/experiments/pte_report.h"
#include "models/description.h"
#include "models/model.h"
#include "parallel/team.h"

namespace plait::evaluation {
namespace {

using base::Result;

constexpr std::array<std::string_view, 4> kProfiles{"cpu-fp32", "cpu-amx", "rtx4090", "h100"};

struct Scale {
  std::vector<AgentShape> shapes;  ///< Each kept and evicted.
  ReplayOptions replay;
  TwoClients clients;
  std::size_t calibration = 512;  ///< Prompt tokens that the machine is measured with.
};

/// Rounds 1 to 12, replies of 20 to 2,000 tokens, thinking of 50 to 800; two shapes each with 3 and 6 rounds.
Scale scale_of(const ExperimentOptions& options) {
  Scale scale{.shapes = {{1, 0, 800},
                         {2, 2000, 100},
                         {3, 50, 400},
                         {3, 800, 60},
                         {6, 20, 50},
                         {6, 300, 100},
                         {8, 100, 50},
                         {12, 20, 50}},
              .replay = {},
              .clients = {}};
  if (options.quick) {
    scale = {
        .shapes = {{1, 0, 16}, {2, 40, 6}, {3, 10, 4}},
        .replay = {.trajectories = 2, .prompt = 32, .concurrency = 3},
        .clients = {.reader_prompt = 80, .reader_tokens = 2, .writer_prompt = 5, .writer_tokens = 6, .requests = 2},
        .calibration = 32};
  }
  const double trajectories = static_cast<double>(scale.replay.trajectories) * options.scale;
  scale.replay.trajectories = static_cast<std::size_t>(std::max(1.0, std::round(trajectories)));
  std::vector<AgentShape> both;
  for (AgentShape shape : scale.shapes) {
    both.push_back(shape);
    shape.evicts = true;
    both.push_back(shape);
  }
  scale.shapes = std::move(both);
  return scale;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

/// What the machine does with this model and these kernels: operations of a prompt, bytes of weights read by steps of
/// one row. Peaks of the parts would be a fiction on cores that others use.
Result<engine::HardwareProfile> measure_machine(const models::Model& model, const engine::ModelShape& shape,
                                                parallel::Team& team, std::size_t tokens) {
  constexpr std::size_t kRepeats = 5;
  const base::Clock& clock = base::steady_clock();
  models::Workspace workspace(model, team);
  std::vector<float> logits(model.vocabulary());
  const std::vector<base::TokenId> prompt = scripted_tokens(7, tokens, model.vocabulary());
  std::vector<double> prompt_seconds;
  std::vector<double> step_seconds;
  for (std::size_t i = 0; i <= kRepeats; ++i) {
    models::Sequence sequence(model);
    double begin = clock.now();
    PLAIT_TRY_VOID(model.forward(sequence, prompt, models::Logits::last, workspace, logits));
    if (i > 0) prompt_seconds.push_back(clock.now() - begin);  // the first one warms up
    sequence.trim(16);
    for (std::size_t step = 0; step < 16; ++step) {
      begin = clock.now();
      PLAIT_TRY_VOID(model.forward(sequence, std::span(prompt).first(1), models::Logits::last, workspace, logits));
      if (i > 0) step_seconds.push_back(clock.now() - begin);
    }
  }
  return engine::HardwareProfile{
      .name = "measured",
      .flops_per_second = 2 * shape.parameters * static_cast<double>(tokens) / median(prompt_seconds),
      .bytes_per_second = shape.weight_bytes / median(step_seconds),
      .source = "prompts and one-row steps of this model"};
}

std::vector<engine::HardwareProfile> with_named(const engine::HardwareProfile& measured) {
  std::vector<engine::HardwareProfile> profiles{measured};
  for (const std::string_view name : kProfiles) profiles.push_back(*engine::find_profile(name));
  return profiles;
}

Result<ExperimentReport> run(const ExperimentOptions& options) {
  const Scale scale = scale_of(options);
  PLAIT_TRY(const LabModel lab, load_lab_model(options));
  const models::Model* model = lab.model.get();
  PLAIT_TRY(const auto description, models::describe(model->file()));
  const engine::ModelShape shape = engine::model_shape(model->config(), description);
  PLAIT_TRY(const auto machine, measure_machine(*model, shape, *lab.team, scale.calibration));
  engine::ModelRunner runner(*model, *lab.team);
  PLAIT_TRY(const Replay replay, replay_agents(runner, scale.shapes, scale.replay));
  ReplayOptions one_by_one = scale.replay;
  one_by_one.concurrency = 1;
  one_by_one.trajectories = 1;
  PLAIT_TRY(const Replay alone, replay_agents(runner, scale.shapes, one_by_one));

  Figures figures;
  figures.shapes = scale.shapes;
  figures.model = lab.name;
  fill_figures(figures, replay, alone.trajectories, shape, with_named(machine));
  PLAIT_TRY(figures.by_tokens, run_two_clients(runner, scale.clients, figures.rates, engine::ChargeUnit::tokens));
  PLAIT_TRY(figures.by_pte, run_two_clients(runner, scale.clients, figures.rates, engine::ChargeUnit::pte));
  return pte_report(figures);
}

}  // namespace

Experiment pte_experiment() {
  return {.name = "pte", .about = "Prefill token equivalents beside wall-clock time, over scripted agents", .run = run};
}

}  // namespace plait::evaluation
